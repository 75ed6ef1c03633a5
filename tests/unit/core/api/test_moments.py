# SPDX-License-Identifier: Apache-2.0
"""Times that people write: none of them may make an object that no rule can read any more."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.base import rfc3339
from cabgate.api.crds import definitions
from cabgate.api.request import RequestReview
from cabgate.risk.evidence import check_moments, moment_problem
from cabgate.text.refusal import Refusal
from cabgate_samples.models import evidence, intent


def problem(at):
    return moment_problem(evidence(manualTesting={"at": at}))


def declared(at, **fields):
    return intent({"manualTesting": {"at": at, **fields}}).spec


@pytest.mark.parametrize(
    "at",
    [
        "2026-02-27t15:30:00z",
        "2026-02-27T15:30:00z",
        "2026-02-27 15:30:00Z",
        "2026-02-27T15:30:00",
        "2026-02-27T15:30:00,5Z",
        "2026-02-27T15:30:00ZTx",
        "2026-02-30T15:30:00Z",
        "2026-02-27T15:30:00+99:99",
        "2026-02-27T15:30:00Z\n",
        "\u0662026-02-27T15:30:00Z",
        "yesterday",
        "",
    ],
)
def test_what_the_api_server_takes_for_a_time_and_cannot_read_again_is_refused(at):
    with pytest.raises(Refusal, match=r"^Invalid: spec\.evidence\.manualTesting\.at: is not a t"):
        check_moments(None, declared(at))


def test_small_letters_are_told_in_capitals():
    assert (problem("2026-02-27t15:30:00z") or "").endswith("; write 2026-02-27T15:30:00Z")
    assert (problem("yesterday") or "").endswith("such as 2026-01-31T12:00:00Z")


def test_what_stands_unchanged_is_left_alone():
    standing = declared("2026-02-27t15:30:00z")
    check_moments(standing, standing.model_copy(update={"summary": "other"}))
    with pytest.raises(Refusal):  # the schema would refuse it with a 422
        check_moments(standing, declared("2026-02-27t15:30:00z", status="Completed"))


@given(st.datetimes(timezones=st.just(UTC)))
def test_each_moment_is_written_so_that_it_is_one(moment):
    """Of the first years too: the API server refuses the year 1."""
    written = rfc3339(moment)
    assert problem(written) is None
    assert datetime.fromisoformat(written) == moment.replace(microsecond=0)


@pytest.mark.parametrize("at", ["2026-02-27t15:30:00z", "2026-02-27 15:30:00Z", 1772206200])
def test_times_of_a_review_are_written_anew(at):
    condition = {"name": "a", "description": "b", "notBefore": at}
    asked = {"verdict": "ConditionallyApproved", "conditions": [condition]}
    review = RequestReview.model_validate(asked)
    assert review.conditions[0].to_dict()["notBefore"] == "2026-02-27T15:30:00Z"


def _formats(schema, path):
    if "format" in schema:
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from _formats(inner, f"{path}.{name}")
    if "items" in schema:
        yield from _formats(schema["items"], f"{path}[]")


def test_no_text_of_a_client_is_a_date_to_a_rule_that_compares_it():
    """`self.spec == oldSelf.spec` fails for good where CEL cannot read one of them, and with it
    each write of the object, a revocation too. Records are the operator's own words, and no rule
    compares those of a signer."""
    for definition in definitions():
        kind = definition["spec"]["names"]["kind"]
        [version] = definition["spec"]["versions"]
        schema = version["schema"]["openAPIV3Schema"]
        if kind not in ("CABDecision", "EvidenceSigner"):
            assert list(_formats(schema["properties"]["spec"], f"{kind}.spec")) == []
