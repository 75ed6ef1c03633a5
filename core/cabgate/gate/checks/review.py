# SPDX-License-Identifier: Apache-2.0
"""A request that waits for its approval."""

from datetime import datetime

from cabgate.api.request import RequestState
from cabgate.api.types import Tier
from cabgate.gate.commands import approve_request, show_request
from cabgate.gate.phrases import assessment_details, scored
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.quorum import counted, still_needed
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import WAITING_STATES
from cabgate.rollout.rollout import Rollout


def check(found: Covering) -> Look | None:
    """That nobody has decided it yet."""
    if found.state not in WAITING_STATES:
        return None
    return Look(found.request, found.state, Reason.REVIEW_PENDING)


def _by_score(request: RequestStanding) -> bool:
    """Whether nobody has to decide, so that nobody is asked to."""
    auto = request.spec.assessment.gate is Tier.AUTO_APPROVE
    return auto and request.state is RequestState.SUBMITTED


def _message(found: Situation) -> Parts:
    request = found.request
    if _by_score(request):
        return (
            f"{found.head} waits for cabgate's operator, which approves it by its score "
            f"({scored(request)}) if nothing has come to stand against it.",
            [],
            "Try again in a moment; if it stays so, its condition Decided says who decides, or the "
            f"operator is not running: {show_request(request)} -o yaml",
        )
    votes = request.votes, request.opened_at
    lacking = still_needed(request, *votes, found.now)
    if lacking:
        return (
            f"{found.head} has approvals {counted(request, *votes)} ({scored(request)}): "
            f"it lacks {lacking}.",
            assessment_details(request, found.machines),
            "Someone who neither submitted nor approved it approves with: "
            + approve_request(request),
        )
    return (
        f"{found.head} waits for a CAB member ({scored(request)}).",
        assessment_details(request, found.machines),
        "Someone who did not submit it approves with: " + approve_request(request),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    if _by_score(look.request):
        who = "the operator, or a CAB member where a floor holds it"
    else:
        request = look.request
        who = still_needed(request, request.votes, request.opened_at, now) or "a CAB member"
    return f"waits for {who} ({scored(look.request)})"


RECORDS = (
    Record(
        Reason.REVIEW_PENDING,
        _message,
        _line,
        health=ArgoHealth.SUSPENDED,
        decided_by_cabgate=Tier.AUTO_APPROVE,
        says="the request waits for its approval",
        to_do="have a CAB member, who did not submit it, run the command",
    ),
)
