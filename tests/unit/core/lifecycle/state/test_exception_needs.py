# SPDX-License-Identifier: Apache-2.0
"""Exceptions that need several people, limits and constraints, by the terms of their request."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.api.exception import ExceptionState
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.exception_needs import counted_of
from cabgate.lifecycle.state.requirements import EXCEPTIONS, QUORUM, unknown_words
from cabgate.lifecycle.state.standing import ExceptionStanding, WholeRequest
from cabgate.lifecycle.state.states import expires_at, state_of
from cabgate.review.identity import User
from cabgate.review.races import check_not_approver, check_voters_stand_apart
from cabgate.rollout.rollout import Scale
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.exceptions import check_within_terms
from cabgate_samples.decisions import entry
from cabgate_samples.models import NOW, by_system, exception, intent, request, rollout
from support.policies import BOARD, EXCEPTING
from unit.core.standings import decide

S, R = ExceptionState, Reason
FEW = {"maxReplicas": 2}
RISKY = request("ExceptionRequired", policy=EXCEPTING)
HOUR = timedelta(hours=1)


def said(who: str, verdict: str = "Approved", uid: str = "", **more: Any) -> dict[str, Any]:
    found = entry("Person", who, verdict, NOW - HOUR / 2, rationale="because", **more)
    found["author"]["uid"] = uid
    return found


def leave(*decisions: dict[str, Any], needed: int | None = 2, **more: Any) -> CABException:
    return exception(RISKY, *decisions, needed=needed, constraints=FEW, **more)


def reason(found: CABException, of: CABRequest = RISKY, now: Any = NOW) -> Reason:
    return decide(rollout(), 2, [of], [found], now).reason


ATTACKS = {
    "one vote": [said("ann")],
    "the same person again": [said("ann"), said("ann")],
    "the same name under another uid": [said("ann", uid="1"), said("ann", uid="2")],
    "the same uid under another name": [said("ann", uid="1"), said("bob", uid="1")],
    "the same name as it is written otherwise": [said("ann"), said("ANN ")],
    "the system": [said("ann"), by_system("Approved")],
    "votes before it was taken back": [
        *(said("ann"), said("bob"), by_system("Reopened"), said("eve")),
    ],
}


@pytest.mark.parametrize("decisions", ATTACKS.values(), ids=ATTACKS)
def test_nothing_but_two_different_people_is_two_approvals(decisions: Any) -> None:
    found = leave(*decisions)
    assert state_of(found, NOW) is S.PENDING
    assert reason(found) is R.EXCEPTION_PENDING


@pytest.mark.parametrize(("needed", "named"), [(2, True), (None, False)])
def test_another_that_nobody_can_approve_is_not_asked_for(needed: int | None, named: bool) -> None:
    """One that came before its request carries no number of approvals, and is refused them."""
    few = leave(said("ann"), said("bob"))
    wider = exception(RISKY, name="wider", needed=needed, constraints={"maxReplicas": 20})
    wide = replace(rollout(), scale=Scale(10))
    decision = decide(wide, 2, [RISKY], [few, wider], NOW)
    assert decision.reason is R.CONSTRAINT_VIOLATED
    assert ("have wider approved" in decision.message) is named


def test_it_admits_with_the_second_of_two_people_and_one_no_ends_it() -> None:
    two = leave(said("ann"), said("bob"))
    assert reason(two) is R.EXCEPTION_ACTIVE
    standing = ExceptionStanding.of(leave(said("ann")))
    assert counted_of(standing.spec, standing.votes) == "1/2"
    assert counted_of(leave(needed=None).spec, []) == ""
    refused = leave(said("ann"), said("bob", "Rejected"), said("eve"))
    assert state_of(refused, NOW) is S.REJECTED
    ended = leave(said("ann"), said("bob"), said("eve", "Revoked"))
    assert state_of(ended, NOW) is S.REVOKED


def test_the_constraints_of_every_vote_hold() -> None:
    soon = {"until": "2026-03-01T13:00:00Z"}
    tight, plain = said("ann", constraints=soon), said("bob")
    for order in ([tight, plain], [plain, tight]):
        found = leave(*order)
        assert expires_at(found) == NOW + HOUR
        assert reason(found, now=NOW + HOUR) is R.EXCEPTION_ENDED
    ringed, fewer = {"maxRing": 3}, {"maxReplicas": 1}
    low = leave(said("ann", constraints=ringed), said("bob", constraints=fewer))
    limits = [(c.max_replicas, c.max_ring) for c in ExceptionStanding.of(low).constraints]
    assert limits == [(2, None), (None, 3), (1, None)]


@pytest.mark.parametrize(
    "weaker",
    [
        leave(said("ann"), needed=None),
        leave(said("ann"), said("bob"), days=31),
        exception(RISKY, said("ann"), said("bob"), needed=2),
        exception(RISKY, said("ann"), said("bob"), needed=2, constraints={"maxRing": 2}),
    ],
    ids=["fewer people", "longer", "no constraints", "other constraints"],
)
def test_what_an_older_release_let_in_admits_nothing_here(weaker: CABException) -> None:
    assert state_of(weaker, NOW) is S.APPROVED
    assert reason(weaker) is R.EXCEPTION_REQUIRED
    with pytest.raises(Refusal) as refused:
        check_within_terms(weaker, RISKY)
    assert refused.value.reason is RefusalReason.EXCEPTION_NOT_ALLOWED


def test_what_it_lacks_is_told_at_once_with_every_field() -> None:
    with pytest.raises(Refusal) as refused:
        check_within_terms(exception(RISKY, days=60), RISKY)
    fields = [each.field for each in refused.value.causes]
    assert fields == ["spec.durationDays", "spec.constraints.maxReplicas", "spec.approvalsNeeded"]
    check_within_terms(leave(), RISKY)


def test_without_a_rule_an_exception_is_what_it_was() -> None:
    for policy in (None, BOARD):
        plain = request("ExceptionRequired", policy=policy)
        assert EXCEPTIONS not in plain.spec.requires
        found = exception(plain, said("ann"), days=90)
        check_within_terms(found, plain)
        assert reason(found, plain) is R.EXCEPTION_ACTIVE


def test_the_rule_is_frozen_where_an_exception_is_needed_and_older_releases_deny() -> None:
    assert RISKY.spec.requires == [EXCEPTIONS, QUORUM]
    assert request("ManualReview", policy=EXCEPTING).spec.requires == [QUORUM]
    raw = RISKY.to_dict()
    del raw["spec"]["terms"]["exceptions"]
    assert unknown_words(CABRequest.model_validate(raw)) == [EXCEPTIONS]


def test_who_gave_one_of_the_approvals_is_no_submitter() -> None:
    opened, found = intent({}), leave(said("ann"))
    with pytest.raises(Refusal, match="ann approved leave"):
        check_not_approver(
            opened, intent({}, summary="x"), User("ann"), WholeRequest.of(RISKY), [found]
        )
    now = intent({}, submittedBy=[{"username": "ann"}])
    approved = found.status.decisions[0].verdict
    with pytest.raises(Refusal, match="ann gave one of the approvals of leave"):
        check_voters_stand_apart(found, now, approved)
    check_voters_stand_apart(found, opened, approved)
