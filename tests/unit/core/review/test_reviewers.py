# SPDX-License-Identifier: Apache-2.0
"""Who may decide: a person, with the verb, who did not submit."""

from typing import Any

import pytest

from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter
from cabgate.review.identity import User
from cabgate.review.reviewers import ReviewFacts, check_reviewer, verb_for
from cabgate.text.refusal import Refusal, RefusalReason

RITA = User("rita", "r-1")
ANN = Submitter(username="ann", uid="a-1")
ROBOT = "system:serviceaccount:ci:deployer"
V, W = RequestVerdict, ExceptionVerdict
DECIDING = [V.UNDER_REVIEW, V.APPROVED, V.CONDITIONALLY_APPROVED, V.REJECTED]


def facts(**changed: Any) -> ReviewFacts:
    known: dict[str, Any] = {
        "submitters": [ANN],
        "requesters": frozenset(),
        "holds_verb": True,
        "impersonates": None,
        "current": True,
    }
    return ReviewFacts(**(known | changed))


def refused(
    known: ReviewFacts,
    verdict: RequestVerdict | ExceptionVerdict = V.APPROVED,
    user: User = RITA,
    plural: str = "cabrequests",
) -> RefusalReason | None:
    try:
        check_reviewer(user, verdict, plural, known)
    except Refusal as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize("verdict", [*DECIDING, V.REVOKED])
def test_another_person_with_the_verb_may(verdict: RequestVerdict) -> None:
    assert refused(facts(), verdict) is None
    assert verb_for(verdict) == ("revoke" if verdict is V.REVOKED else "approve")


@pytest.mark.parametrize("verdict", [*DECIDING, V.REVOKED, W.APPROVED, W.REVOKED])
def test_a_machine_never_may(verdict: RequestVerdict | ExceptionVerdict) -> None:
    assert refused(facts(), verdict, User(ROBOT)) is RefusalReason.MACHINE


@pytest.mark.parametrize("verdict", [*DECIDING, V.REVOKED, W.APPROVED, W.REVOKED])
def test_without_the_verb_nobody_may(verdict: RequestVerdict | ExceptionVerdict) -> None:
    assert refused(facts(holds_verb=False), verdict) is RefusalReason.NOT_AUTHORIZED


@pytest.mark.parametrize("verdict", DECIDING)
@pytest.mark.parametrize(
    "known",
    [
        facts(submitters=[ANN, Submitter(username="rita")]),
        facts(submitters=[Submitter(username="renamed", uid="r-1")]),
        facts(requesters=frozenset({"bob", "rita"})),
        facts(impersonates=ROBOT),
    ],
)
def test_nobody_decides_on_their_own(verdict: RequestVerdict, known: ReviewFacts) -> None:
    assert refused(known, verdict) is RefusalReason.SELF_APPROVAL


def test_whoever_submitted_may_take_it_back() -> None:
    known = facts(submitters=[Submitter(username="rita")], current=False)
    assert refused(known, V.REVOKED) is None


def test_what_machines_alone_submitted_needs_somebody_who_asked() -> None:
    machines = facts(submitters=[Submitter(username=ROBOT)])
    assert refused(machines) is RefusalReason.REQUESTER_NEEDED
    assert refused(machines, V.CONDITIONALLY_APPROVED) is RefusalReason.REQUESTER_NEEDED
    assert refused(machines, V.REJECTED) is None
    assert refused(facts(submitters=[])) is RefusalReason.REQUESTER_NEEDED
    asked = facts(submitters=[Submitter(username=ROBOT)], requesters=frozenset({"bob"}))
    assert refused(asked) is None


@pytest.mark.parametrize("verdict", DECIDING)
def test_only_the_present_request_is_decided(verdict: RequestVerdict) -> None:
    assert refused(facts(current=False), verdict) is RefusalReason.NOT_CURRENT


def test_an_exception_for_an_old_request_can_be_rejected_but_not_approved() -> None:
    old = facts(current=False)
    assert refused(old, W.REJECTED, plural="cabexceptions") is None
    assert refused(old, W.APPROVED, plural="cabexceptions") is RefusalReason.NOT_CURRENT


@pytest.mark.parametrize("verdict", DECIDING)
def test_who_may_have_broken_the_glass_does_not_decide(verdict: RequestVerdict) -> None:
    unknown = facts(submitters=[], glass=True, may_have_broken=True)
    assert refused(unknown, verdict) is RefusalReason.SELF_APPROVAL
    assert refused(facts(submitters=[], glass=True), verdict) is None


def test_a_glass_that_a_machine_broke_is_decided_without_a_requester() -> None:
    assert refused(facts(submitters=[Submitter(username=ROBOT)])) is RefusalReason.REQUESTER_NEEDED
    assert refused(facts(submitters=[Submitter(username=ROBOT)], glass=True)) is None
