# SPDX-License-Identifier: Apache-2.0
"""A rationale says something: what is recorded stays for good."""

import json
import shlex
from typing import Any

import pytest

from cabgate.api.rationale import RATIONALE, says_nothing
from cabgate.gate.commands import approve_exception, approve_request, attest, revoke_request
from cabgate.review.identity import User
from cabgate.review.review import (
    EXCEPTION_REVIEW,
    REQUEST_REVIEW,
    check_person_write,
    requested_review,
)
from cabgate.text.refusal import Refusal
from cabgate_samples.decisions import numbered
from cabgate_samples.models import NOW, by_person, exception, request

NOTHING = ["...", "<why>", " <why>\n", "-", "?!", "\u2026"]


@pytest.mark.parametrize("rationale", NOTHING)
@pytest.mark.parametrize("kind", [REQUEST_REVIEW, EXCEPTION_REVIEW])
def test_one_that_says_nothing_is_refused(kind: Any, rationale: str) -> None:
    review = {"verdict": "Approved", "rationale": rationale}
    with pytest.raises(Refusal, match="says nothing") as refused:
        requested_review(kind, {}, {"status": {"review": review}})
    assert refused.value.field == "status.review.rationale"


def test_an_entry_that_nobody_shaped_is_looked_at_as_well() -> None:
    old = request("ManualReview").model_dump(mode="json", by_alias=True)
    entries = numbered([by_person("Approved", rationale="...")], old["spec"]["evidenceDigest"])
    old["status"] = {}
    new = {**old, "status": {"state": "Approved", "decisions": entries}}
    digest = old["spec"]["evidenceDigest"]
    with pytest.raises(Refusal, match="says nothing"):
        check_person_write(REQUEST_REVIEW, old, new, digest, User("rita"), NOW, None)


@pytest.mark.parametrize("rationale", ["", "x", "7", "Schön", "看过", "see <why> in the ticket"])
def test_whatever_says_something_is_taken(rationale: str) -> None:
    assert not says_nothing(rationale)


def test_each_command_that_we_print_has_the_placeholder_that_is_refused() -> None:
    of = request("ExceptionRequired")
    for command in (
        approve_request(of),
        attest(of, "dba"),
        revoke_request(of, ["*"]),
        approve_exception(exception(of), of),
    ):
        review = json.loads(shlex.split(command)[-1])["status"]["review"]
        assert review["rationale"] == RATIONALE
