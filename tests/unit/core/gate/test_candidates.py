# SPDX-License-Identifier: Apache-2.0
"""What is said of each request that was looked at, and that it is what `decide` goes by."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.gate.checks import ADMITTING
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import age_of
from cabgate_samples.models import (
    IMAGE,
    NOW,
    OTHER_DIGEST,
    by_person,
    by_system,
    exception,
    request,
    rollout,
    target,
)
from unit.core.standings import candidates, decide, describe

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def condition(**fields: Any) -> dict[str, Any]:
    return by_person(
        "ConditionallyApproved", conditions=[{"name": "calm", "description": "d", **fields}]
    )


RISKY = request("ExceptionRequired", name="risky")


def said(requests: list[CABRequest], exceptions: list[CABException] | None = None,
         *images: str) -> list[str]:  # fmt: skip
    what, leaves = rollout(*images), exceptions or []
    return [describe(look, what, leaves, NOW) for look in candidates(what, requests, leaves, NOW)]


BY_SCORE = "score 0.00, AutoApprove"


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (request("AutoApprove", by_system("AutoApproved")), "admits the rollout"),
        (request("ManualReview"), "waits for a CAB member (score 52.50, ManualReview)"),
        (
            request("AutoApprove"),
            f"waits for the operator, or a CAB member where a floor holds it ({BY_SCORE})",
        ),
        (RISKY, "needs an exception (score 100.00, ExceptionRequired)"),
        (
            request("ManualReview", by_person("Rejected", rationale="no plan")),
            "was rejected by rita: no plan",
        ),
        (
            request("ManualReview", by_person("Approved"), by_person("Revoked")),
            "is revoked by rita: because",
        ),
        (
            request("ManualReview", by_system("Superseded")),
            "is superseded: its intent was deleted or now says otherwise",
        ),
        (
            request("ManualReview", condition(notBefore=rfc3339(NOW + DAY))),
            "approved with approval condition calm, which admits from 2026-03-02T12:00:00Z",
        ),
        (
            request("ManualReview", condition(notAfter=rfc3339(NOW - DAY))),
            "approved with approval condition calm, which admitted until 2026-02-28T12:00:00Z",
        ),
        (
            request("ManualReview", condition(attestation="Required")),
            "approved with approval conditions that nobody has attested: calm",
        ),
    ],
)
def test_what_is_said_of_one_request(made: CABRequest, line: str) -> None:
    assert said([made]) == [line]


@pytest.mark.parametrize(
    ("leave", "line"),
    [
        (exception(RISKY), "exception leave is Pending, and would end at 2026-03-31T11:00:00Z"),
        (exception(RISKY, by_person("Rejected")), "exception leave is Rejected"),
        (
            exception(RISKY, by_person("Approved"), by_person("Revoked")),
            "exception leave is Revoked",
        ),
        (
            exception(RISKY, by_person("Approved", NOW - 2 * DAY), days=1, age=2 * DAY),
            "exception leave ended at 2026-02-28T12:00:00Z",
        ),
        (
            exception(RISKY, by_person("Approved", evidenceDigest=OTHER_DIGEST)),
            "exception leave is Approved until 2026-03-31T11:00:00Z, but not for these images: "
            "one was revoked since, or it was approved for other evidence",
        ),
    ],
)
def test_what_is_said_of_an_exception(leave: CABException, line: str) -> None:
    head = "needs an exception (score 100.00, ExceptionRequired)"
    assert said([RISKY], [leave]) == [f"{head}; {line}"]


def test_an_exception_that_admits_is_told_alone() -> None:
    leave = exception(RISKY, by_person("Approved"))
    other = exception(RISKY, name="other")
    [line] = said([RISKY], [other, leave])
    assert line == "admits the rollout under exception leave until 2026-03-31T11:00:00Z"


def test_other_images_are_named() -> None:
    made = request("ManualReview", targets=[target("checkout", "a", "b", "c", "d")])
    assert said([made], [], "a", "x") == ["does not name x; it names a, b, c and 1 more"]


def test_a_revocation_of_the_same_images_is_named() -> None:
    approved = request("AutoApprove", by_system("AutoApproved"), name="one", age=2 * DAY)
    revoked = request("ManualReview", by_person("Approved"), by_person("Revoked", NOW - MINUTE),
                      name="two")  # fmt: skip
    newest, older = said([approved, revoked])
    assert newest.startswith("is revoked by rita")
    assert older == (
        f"approved, but image {IMAGE} was revoked at 2026-03-01T11:59:00Z under request two: only "
        "a person's approval after that counts"
    )
    assert decide(rollout(), 2, [approved, revoked], [], NOW).basis.request == standing_of(revoked)


POOL = [
    request("AutoApprove", by_system("AutoApproved"), name="auto"),
    request("ManualReview", by_person("Approved"), name="approved", age=2 * DAY),
    request("ManualReview", by_person("Approved"), by_person("Revoked"), name="revoked"),
    request("ManualReview", by_person("Rejected"), name="rejected", age=3 * DAY),
    request("ManualReview", by_system("Superseded"), name="superseded"),
    request("ManualReview", name="waiting", age=DAY),
    request("ManualReview", condition(attestation="Required"), name="conditional"),
    request("ManualReview", by_person("Approved"), targets=[target("checkout", "x")], name="other"),
    request("ManualReview", by_person("Approved"), targets=[target("cart")], name="cart"),
    RISKY,
]
LEAVES = [
    exception(RISKY, name="pending"),
    exception(RISKY, by_person("Approved"), name="active"),
    exception(RISKY, days=1, age=2 * DAY, name="ended"),
    exception(POOL[4], by_person("Approved"), name="of-superseded"),
]


@given(
    st.lists(st.sampled_from(POOL), unique_by=lambda r: r.metadata.name),
    st.lists(st.sampled_from(LEAVES), unique_by=lambda e: e.metadata.name),
)
def test_the_decision_is_what_one_of_the_requests_says(
    requests: list[CABRequest], leaves: list[CABException]
) -> None:
    decision = decide(rollout(), 2, requests, leaves, NOW)
    found = candidates(rollout(), requests, leaves, NOW)

    assert [look.request.metadata.name for look in found] == [
        r.metadata.name
        for r in sorted(
            requests, key=lambda r: age_of(r, r.metadata.creation_timestamp), reverse=True
        )
        if r.metadata.name != "cart"
    ]
    if not found:
        assert decision.reason is Reason.NO_REQUEST
        return
    seen = [look for look in found if look.request == decision.basis.request]
    assert [look.reason for look in seen] == [decision.reason]
    assert decision.allowed == any(look.reason in ADMITTING for look in found)
    for look in found:
        assert "\n" not in describe(look, rollout(), leaves, NOW)
