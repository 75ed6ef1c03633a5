# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta

import pytest

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_operator.plans.requests import status_of_request
from unit.operator.standings import plan_request
from unit.operator.support import (
    BAD,
    GOOD,
    ME,
    MIDDLING,
    NOW,
    SYSTEM,
    decisions,
    evidence,
    exception,
    intent,
    request,
    with_decisions,
)

OTHER = evidence(GOOD, "other")
SUPERSEDED = ("Superseded", ME)
REOPENED = ("Reopened", ME)


def planned(
    subject: CABRequest, live: DeploymentIntent | None, *exceptions: CABException
) -> tuple[list[str], str]:
    plan = plan_request(subject, live, exceptions, SYSTEM, model=DEFAULT_RISK_MODEL)
    return [entry.verdict.value for entry in plan.entries], plan.state.value


@pytest.mark.parametrize(
    ("content", "before", "added", "state"),
    [
        (GOOD, [], ["AutoApproved"], "AutoApproved"),
        (GOOD, [("AutoApproved", ME)], [], "AutoApproved"),
        (GOOD, [SUPERSEDED], ["Reopened", "AutoApproved"], "AutoApproved"),
        (GOOD, [SUPERSEDED, REOPENED], ["AutoApproved"], "AutoApproved"),
        (GOOD, [("AutoApproved", ME), ("Revoked", "eve")], [], "Revoked"),
        (MIDDLING, [], [], "Submitted"),
        (MIDDLING, [("UnderReview", "ann")], [], "UnderReview"),
        (MIDDLING, [("Approved", "ann")], [], "Approved"),
        (MIDDLING, [("Rejected", "ann")], [], "Rejected"),
        (MIDDLING, [SUPERSEDED], ["Reopened"], "Submitted"),
        (MIDDLING, [SUPERSEDED, REOPENED], [], "Submitted"),
        (BAD, [], [], "ExceptionRequired"),
        (BAD, [SUPERSEDED], ["Reopened"], "ExceptionRequired"),
    ],
)
def test_the_current_request(
    content: dict[str, object], before: list[tuple[str, str]], added: list[str], state: str
) -> None:
    subject = with_decisions(request(content), *before)
    assert planned(subject, intent(content)) == (added, state)


@pytest.mark.parametrize("deleted", [True, False])
@pytest.mark.parametrize(
    ("content", "before", "added", "state"),
    [
        (GOOD, [], ["Superseded"], "Superseded"),
        (GOOD, [("AutoApproved", ME)], [], "AutoApproved"),
        (MIDDLING, [], ["Superseded"], "Superseded"),
        (MIDDLING, [("UnderReview", "ann")], ["Superseded"], "Superseded"),
        (MIDDLING, [("Approved", "ann")], [], "Approved"),
        (MIDDLING, [("Rejected", "ann")], [], "Rejected"),
        (MIDDLING, [SUPERSEDED], [], "Superseded"),
        (MIDDLING, [SUPERSEDED, REOPENED], ["Superseded"], "Superseded"),
        (BAD, [], ["Superseded"], "Superseded"),
    ],
)
def test_a_request_that_is_no_longer_current(
    content: dict[str, object],
    before: list[tuple[str, str]],
    added: list[str],
    state: str,
    deleted: bool,
) -> None:
    live = None if deleted else intent(OTHER)
    subject = with_decisions(request(content), *before)
    assert planned(subject, live) == (added, state)


def test_an_intent_being_deleted_asks_for_nothing() -> None:
    live = intent(MIDDLING, deletionTimestamp="2030-01-01T11:59:00Z")
    assert planned(request(MIDDLING), live) == (["Superseded"], "Superseded")


def test_a_live_exception_keeps_a_request_from_being_superseded_until_it_ends() -> None:
    subject = request(BAD)
    leave = exception(subject, ("Approved", "sam"))
    pending = exception(subject)
    ended = exception(subject, ("Approved", "sam"), created=NOW - timedelta(days=1))
    assert planned(subject, intent(OTHER), leave) == ([], "ExceptionRequired")
    assert planned(subject, intent(OTHER), pending) == (["Superseded"], "Superseded")
    assert planned(subject, intent(OTHER), ended) == (["Superseded"], "Superseded")


def test_the_system_leaves_people_their_room() -> None:
    many = [SUPERSEDED, REOPENED] * 120
    full = with_decisions(request(MIDDLING), *many)
    assert planned(full, intent(OTHER)) == (["Superseded"], "Superseded"), "an end has room"
    superseded = with_decisions(request(MIDDLING), *many, SUPERSEDED)
    assert planned(superseded, intent(MIDDLING)) == ([], "Superseded")


def test_what_went_back_and_forth_too_often_goes_to_a_person() -> None:
    auto = ("AutoApproved", ME)
    turns = [auto, *[SUPERSEDED, REOPENED, auto] * 73, SUPERSEDED, REOPENED, SUPERSEDED]
    subject = with_decisions(request(GOOD), *turns)
    live = intent(GOOD)
    plan = plan_request(subject, live, [], SYSTEM, model=DEFAULT_RISK_MODEL)
    assert [entry.verdict for entry in plan.entries] == ["Reopened"]
    assert plan.state == "Submitted"
    assert [floor.name for floor in plan.held] == ["DecisionsFull"]
    assert plan.full == ""
    message = status_of_request({}, plan, NOW)["conditions"][0]["message"]
    assert "its list of decisions takes 256 entries" in message
    assert "kubectl patch cabrequest" in message


def test_entries_are_numbered_and_signed() -> None:
    subject = with_decisions(request(GOOD), SUPERSEDED)
    entries = plan_request(subject, intent(GOOD), [], SYSTEM, model=DEFAULT_RISK_MODEL).entries
    assert [entry.sequence for entry in entries] == [2, 3]
    assert {entry.author.username for entry in entries} == {ME}
    assert {entry.evidence_digest for entry in entries} == {subject.spec.evidence_digest}
    assert {entry.at for entry in entries} == {NOW}
    assert all(entry.rationale for entry in entries)


def test_a_status_keeps_what_stands_there() -> None:
    subject = request(MIDDLING)
    digest = subject.spec.evidence_digest
    old = decisions(digest, ("UnderReview", "ann"))
    old[0]["fromTheFuture"] = 1
    raw = {
        "status": {
            "review": {"verdict": "Approved"},
            "decisions": old,
            "conditions": [
                {"type": "Other", "status": "True", "lastTransitionTime": "2029-01-01T00:00:00Z"},
                {
                    "type": "Decided",
                    "status": "False",
                    "reason": "Submitted",
                    "message": "",
                    "lastTransitionTime": "2029-01-01T00:00:00Z",
                },
            ],
        }
    }
    subject = with_decisions(subject, ("UnderReview", "ann"))
    status = status_of_request(
        raw, plan_request(subject, None, [], SYSTEM, model=DEFAULT_RISK_MODEL), NOW
    )
    assert status["review"] == {"verdict": "Approved"}
    assert status["decisions"][0] == old[0]
    assert [entry["verdict"] for entry in status["decisions"]] == ["UnderReview", "Superseded"]
    assert status["state"] == "Superseded"
    other, decided = status["conditions"]
    assert other["type"] == "Other"
    assert decided["lastTransitionTime"] == "2029-01-01T00:00:00Z"
    assert decided["reason"] == "Superseded"
    assert raw["status"]["decisions"] == old
    again = status_of_request(
        {"status": status}, plan_request(subject, None, [], SYSTEM, model=DEFAULT_RISK_MODEL), NOW
    )
    assert again["conditions"] == status["conditions"]


@pytest.mark.parametrize(
    ("content", "before", "words"),
    [
        (GOOD, [("AutoApproved", ME)], ["by the system", "because"]),
        (MIDDLING, [], ["waits for a CAB member", "kubectl patch cabrequest"]),
        (MIDDLING, [("UnderReview", "ann")], ["under review by ann", "kubectl patch cabrequest"]),
        (MIDDLING, [("Approved", "ann")], ["Approved by ann", "because"]),
        (MIDDLING, [("Rejected", "ann")], ["Rejected by ann", "because", "kubectl edit"]),
        (MIDDLING, [SUPERSEDED], ["superseded", "kubectl edit"]),
        (BAD, [], ["too risky", "Missing evidence", "cabgate exception -n team"]),
        (GOOD, [], ["about to approve"]),
    ],
)
def test_the_condition_says_who_what_and_the_next_step(
    content: dict[str, object], before: list[tuple[str, str]], words: list[str]
) -> None:
    subject = with_decisions(request(content), *before)
    plan = plan_request(subject, intent(content), [], SYSTEM, model=DEFAULT_RISK_MODEL)
    if not before and content is GOOD:  # only between two writes of another process
        plan = type(plan)(WholeRequest.of(subject), (), plan.state.SUBMITTED)
    if before == [SUPERSEDED]:
        plan = plan_request(subject, None, [], SYSTEM, model=DEFAULT_RISK_MODEL)
    message = status_of_request({}, plan, NOW)["conditions"][0]["message"]
    for word in words:
        assert word in message
    assert len(message.encode()) <= 1000
