# SPDX-License-Identifier: Apache-2.0
"""The operator is not trusted: what it writes has to follow from what stands."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cabgate.api import CABException, CABRequest, RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.review.identity import User
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.system import check_exception_status
from cabgate_samples.decisions import numbered
from cabgate_samples.models import (
    NOW,
    OTHER_DIGEST,
    by_person,
    by_system,
    exception,
    intent,
    request,
)
from cabgate_samples.objects import GOOD
from unit.core.standings import (
    check_created,
    check_request_status,
    decided_at,
    request_for,
    taken_at,
)

OPERATOR = User("system:serviceaccount:cabgate:operator")
DAY = timedelta(days=1)


def stored(made: CABRequest) -> CABRequest:
    """A request as the webhook reads it."""
    labels = {"labels": dict(made.metadata.labels)}
    wire = made.to_dict()
    return CABRequest.model_validate({**wire, "metadata": {**wire["metadata"], **labels}})


def refusal(check: Any, *args: Any, **facts: Any) -> str | None:
    """The field of a refusal, or None."""
    try:
        check(*args, **facts)
    except Refusal as refused:
        # Any other reason would be told to the operator as something else than a wrong write.
        return refused.field if refused.reason is RefusalReason.WRONG_CONTENT else refused.reason
    return None


@pytest.mark.parametrize("evidence", [GOOD, {}, {"testResults": {}, "artifacts": [], "scope": {}}])
def test_the_request_that_an_intent_asks_for_may_be_created(evidence: dict[str, Any]) -> None:
    live = intent(evidence, summary="more", requester="bob", submittedBy=[{"username": "ann"}])
    assert (
        refusal(check_created, stored(request_for(live, 3)), live, [], DEFAULT_RISK_MODEL) is None
    )


def test_a_request_without_its_intent_may_not_be_created() -> None:
    assert (
        refusal(check_created, request_for(intent(), 2), None, [], DEFAULT_RISK_MODEL)
        == "spec.intentRef.name"
    )


@pytest.mark.parametrize(
    ("live", "field"),
    [
        (intent({}), "metadata.name"),
        (intent(name="another"), "metadata.name"),
        (intent(summary="another"), "spec.summary"),
        (intent(requester="bob"), "spec.requester"),
        (intent(submittedBy=[{"username": "ann"}]), "spec.submittedBy"),
        (intent(generation=2), "spec.intentRef"),
        (intent(correlationID="CHG-1"), "spec.correlationID"),
    ],
)
def test_a_request_says_what_its_live_intent_says(live: Any, field: str) -> None:
    assert refusal(check_created, request_for(intent(), 2), live, [], DEFAULT_RISK_MODEL) == field


def test_a_request_has_the_labels_of_its_targets() -> None:
    made = request_for(intent(), 2)
    bare = made.model_copy(update={"metadata": made.metadata.model_copy(update={"labels": {}})})
    assert refusal(check_created, bare, intent(), [], DEFAULT_RISK_MODEL) == "metadata.labels"


def written(
    gate: str,
    before: list[dict[str, Any]],
    added: list[dict[str, Any]],
    state: str,
    **status: Any,
) -> tuple[CABRequest, CABRequest]:
    """A request, and the same after a write of the operator."""
    old = request(gate, *before)
    decisions = numbered((*before, *added), old.spec.evidence_digest)
    wire = old.model_dump(mode="json", by_alias=True)
    bare = CABRequest.model_validate({**wire, "status": {"decisions": decisions}})
    times = {"takenAt": taken_at(bare), "decidedAt": decided_at(bare)}
    new = CABRequest.model_validate(
        {**wire, "status": {"decisions": decisions, "state": state, **times, **status}}
    )
    return old, new


def wrong(
    old: CABRequest,
    new: CABRequest,
    *,
    current: bool = True,
    model: RiskModel | None = DEFAULT_RISK_MODEL,
    now: datetime = NOW,
) -> str | None:
    return refusal(check_request_status, old, new, OPERATOR, current=current, model=model, now=now)


def system(verdict: str, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return by_system(verdict, at, **more)


@pytest.mark.parametrize(
    ("gate", "before", "added", "state", "current"),
    [
        ("ManualReview", [], [], "Submitted", True),
        ("AutoApprove", [], [system("AutoApproved")], "AutoApproved", True),
        ("ManualReview", [], [system("Superseded")], "Superseded", False),
        ("ManualReview", [system("Superseded")], [system("Reopened")], "Submitted", True),
        ("ManualReview", [by_person("Approved")], [], "Approved", False),
    ],
)
def test_the_operator_may_write_what_follows(
    gate: str, before: list[Any], added: list[Any], state: str, current: bool
) -> None:
    assert wrong(*written(gate, before, added, state), current=current) is None


@pytest.mark.parametrize(
    ("gate", "before", "added", "state", "current"),
    [
        # not by its gate
        ("ManualReview", [], [system("AutoApproved")], "AutoApproved", True),
        ("ExceptionRequired", [], [system("AutoApproved")], "AutoApproved", True),
        # not in the name of a person, or as another machine
        ("ManualReview", [], [by_person("Approved", NOW)], "Approved", True),
        (
            "AutoApprove",
            [],
            [system("AutoApproved", author={"type": "System", "username": "eve"})],
            "AutoApproved",
            True,
        ),
        # not for an intent that says otherwise, nor against one that says so
        ("AutoApprove", [], [system("AutoApproved")], "AutoApproved", False),
        ("ManualReview", [], [system("Superseded")], "Superseded", True),
        ("ManualReview", [system("Superseded")], [system("Reopened")], "Submitted", False),
        # not what has been decided
        ("ManualReview", [by_person("Approved")], [system("Superseded")], "Superseded", False),
        # not of other evidence, nor at another time
        (
            "AutoApprove",
            [],
            [system("AutoApproved", evidenceDigest=OTHER_DIGEST)],
            "AutoApproved",
            True,
        ),
        ("AutoApprove", [], [system("AutoApproved", NOW - DAY)], "AutoApproved", True),
        ("AutoApprove", [], [system("AutoApproved", NOW + DAY)], "AutoApproved", True),
    ],
)
def test_the_operator_may_not_write_what_does_not_follow(
    gate: str, before: list[Any], added: list[Any], state: str, current: bool
) -> None:
    assert wrong(*written(gate, before, added, state), current=current) == "status.decisions"


def test_the_operator_says_when_a_request_was_decided_as_the_decisions_do() -> None:
    for moment in (None, NOW):
        old, new = written(
            "ManualReview", [by_person("Approved")], [], "Approved", decidedAt=moment
        )
        assert wrong(old, new, current=False) == "status.decidedAt"


def test_the_operator_approves_only_a_score_that_follows_from_the_evidence() -> None:
    old, new = written("AutoApprove", [], [system("AutoApproved")], "AutoApproved")
    spec = old.spec.model_copy(update={"evidence": intent({}).spec.evidence})
    forged = old.model_copy(update={"spec": spec})
    assert wrong(forged, new) == "status.decisions"
    better = old.spec.assessment.model_copy(update={"score": "1.00"})
    scored = old.model_copy(update={"spec": old.spec.model_copy(update={"assessment": better})})
    assert wrong(scored, new) == "status.decisions"


def test_the_operator_approves_by_the_model_that_the_request_was_scored_with_alone() -> None:
    old, new = written("AutoApprove", [], [system("AutoApproved")], "AutoApproved")
    spec = DEFAULT_RISK_MODEL.spec.model_copy(update={"version": "2"})
    other = DEFAULT_RISK_MODEL.model_copy(update={"spec": spec})
    assert wrong(old, new, model=other) == "status.decisions"
    with pytest.raises(Refusal, match=r"RiskModel default 1 .* is gone or was replaced"):
        check_request_status(old, new, OPERATOR, current=True, model=None, now=NOW)
    # What else the operator writes asks for no model.
    assert wrong(*written("ManualReview", [], [], "Submitted"), model=None) is None


def test_without_a_model_no_request_is_created() -> None:
    none = NoneHolds("RiskModelMissing", "there is none")
    made = request_for(intent(), 2)
    assert refusal(check_created, made, intent(), [], none) == "spec.assessment.riskModel"


def test_the_list_is_only_added_to_and_numbered() -> None:
    old, new = written("ManualReview", [by_person("Approved")], [], "Approved")
    shorter = new.model_copy(update={"status": new.status.model_copy(update={"decisions": []})})
    assert wrong(old, shorter) == "status.decisions"
    gap = written("AutoApprove", [], [system("AutoApproved", sequence=2)], "AutoApproved")
    assert wrong(*gap) == "status.decisions"


def test_state_and_review_are_not_the_operator_s_to_choose() -> None:
    assert wrong(*written("ManualReview", [], [], "Approved")) == "status.state"
    review = {"verdict": "Approved"}
    assert wrong(*written("ManualReview", [], [], "Submitted", review=review)) == "status.review"


def test_the_operator_leaves_room_for_people() -> None:
    turns = [system("Superseded"), system("Reopened")] * 120
    full = written(
        "ManualReview", [*turns, system("Superseded")], [system("Reopened")], "Submitted"
    )
    assert wrong(*full) == "status.decisions"


def leave(
    before: list[dict[str, Any]], added: list[dict[str, Any]], state: str, **status: Any
) -> tuple[CABException, CABException]:
    """An exception of 1 day, made an hour ago, and the same after a write of the operator."""
    of = request("ExceptionRequired")
    old = exception(of, *before, days=1)
    new = CABException.model_validate(
        {
            **old.model_dump(mode="json", by_alias=True),
            "status": {
                "decisions": numbered((*before, *added), of.spec.evidence_digest),
                "state": state,
                "expiresAt": "2026-03-02T11:00:00Z",
                **status,
            },
        }
    )
    return old, new


END = NOW + DAY - timedelta(hours=1)


@pytest.mark.parametrize(
    ("written", "now", "field"),
    [
        (leave([], [], "Pending"), NOW, None),
        (leave([by_person("Approved")], [], "Approved"), NOW, None),
        (leave([by_person("Approved")], [system("Expired", END)], "Expired"), END, None),
        (leave([], [system("Expired", END)], "Expired"), END + timedelta(minutes=1), None),
        # time has come, the entry follows later
        (leave([by_person("Approved")], [], "Expired"), END, None),
        # not early, by whichever clock
        (leave([by_person("Approved")], [system("Expired")], "Expired"), NOW, "status.decisions"),
        (
            leave([by_person("Approved")], [system("Expired", END)], "Expired"),
            END - timedelta(seconds=1),
            "status.decisions",
        ),
        (
            leave([], [system("Expired", END - timedelta(seconds=1))], "Expired"),
            END,
            "status.decisions",
        ),
        # not what a person decides, nor what has ended otherwise
        (leave([], [system("Approved")], "Approved"), NOW, "status.decisions"),
        (
            leave([by_person("Rejected")], [system("Expired", END)], "Rejected"),
            END,
            "status.decisions",
        ),
        (leave([], [], "Approved"), NOW, "status.state"),
        (leave([], [], "Pending", expiresAt="2026-03-09T11:00:00Z"), NOW, "status.expiresAt"),
        (leave([], [], "Pending", review={"verdict": "Approved"}), NOW, "status.review"),
    ],
)  # fmt: skip
def test_the_operator_ends_an_exception_when_its_time_is_over(
    written: tuple[CABException, CABException], now: datetime, field: str | None
) -> None:
    assert refusal(check_exception_status, *written, OPERATOR, now) == field
