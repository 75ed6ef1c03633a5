# SPDX-License-Identifier: Apache-2.0
"""A request that was approved, was superseded and came back: what ran by it can be revoked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import RequestState, RequestVerdict
from cabgate.api.types import AuthorType
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.states import (
    APPROVED_STATES,
    REFUSED_STATES,
    next_request_state,
    state_of,
)
from cabgate.review.identity import User
from cabgate.review.review import REQUEST_REVIEW, stamped_status
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, by_person, by_system, request, rollout
from unit.core.standings import decide, earlier_verdict, revocation_of

ENDED = (by_system("AutoApproved"), by_system("Superseded"), by_system("Reopened"))
TAKEN_BACK = (by_person("Approved"), by_system("Reopened"))


def may_be_revoked(made):
    verdict, person = RequestVerdict.REVOKED, AuthorType.PERSON
    return next_request_state(made, state_of(made), verdict, person) is not None


@pytest.mark.parametrize(
    ("gate", "entries"),
    [
        ("AutoApprove", ENDED),
        ("AutoApprove", (*ENDED, by_person("UnderReview"))),
        ("ManualReview", TAKEN_BACK),
        ("ManualReview", (*TAKEN_BACK, by_person("UnderReview"))),
        ("ManualReview", (*TAKEN_BACK, by_system("Superseded"), by_system("Reopened"))),
    ],
)
def test_what_came_back_and_waits_is_revoked_and_denies_its_images(gate, entries):
    made = request(gate, *entries)
    assert state_of(made) in (RequestState.SUBMITTED, RequestState.UNDER_REVIEW)
    assert may_be_revoked(made)
    revoked = request(gate, *entries, by_person("Revoked"))
    assert state_of(revoked) is RequestState.REVOKED
    assert revocation_of(revoked) is not None
    assert decide(rollout(), 2, [revoked], [], NOW).reason is Reason.REVOKED
    # Nor does another request with one of its images come through by score.
    assert earlier_verdict(revoked.spec.targets, [revoked]) is not None


@pytest.mark.parametrize("gate", ["AutoApprove", "ManualReview"])
@pytest.mark.parametrize(
    "entries",
    [
        (),
        (by_person("UnderReview"),),
        (by_system("Superseded"), by_system("Reopened")),
        (by_person("Revoked"),),
    ],
)
def test_what_was_never_approved_is_rejected_not_revoked(gate, entries):
    made = request(gate, *entries)
    assert not may_be_revoked(made)
    assert state_of(made) not in REFUSED_STATES


def test_who_revokes_what_was_never_approved_is_told_to_reject_it():
    old = request("ManualReview").model_dump(mode="json", by_alias=True, exclude_none=True)
    review = {"verdict": "Revoked", "rationale": "CVE-2026-1"}
    new = {**old, "status": {**old["status"], "review": review}}
    digest = old["spec"]["evidenceDigest"]
    with pytest.raises(Refusal, match="was ever approved by it: reject it") as refusal:
        stamped_status(REQUEST_REVIEW, old, new, digest, User("rita"), NOW)
    assert refusal.value.reason is RefusalReason.ILLEGAL_TRANSITION


SAID = [
    by_system("AutoApproved"),
    by_system("Superseded"),
    by_system("Reopened"),
    by_person("UnderReview"),
    by_person("Approved"),
    by_person("ConditionallyApproved"),
    by_person("Rejected"),
    by_person("Revoked"),
]


@given(st.sampled_from(["AutoApprove", "ManualReview"]), st.lists(st.sampled_from(SAID)))
def test_what_was_ever_approved_can_be_revoked_until_it_is_refused(gate, entries):
    """And nothing else, whatever was said in whatever order."""
    states = [state_of(request(gate, *entries[:n])) for n in range(len(entries) + 1)]
    approved = any(state in APPROVED_STATES for state in states)
    refused = states[-1] in REFUSED_STATES
    assert may_be_revoked(request(gate, *entries)) == (approved and not refused)
