# SPDX-License-Identifier: Apache-2.0
"""Requests: which entries the system adds, and the state and condition that follow."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import (
    CABRequest,
    Floor,
    RequestDecision,
    RequestState,
    RequestVerdict,
)
from cabgate.api.types import Author, AuthorType, Gate
from cabgate.assessment import floors_now
from cabgate.evidence import evidence_digest
from cabgate.identity import SERVICE_ACCOUNTS, Machines
from cabgate.lifecycle import (
    DECIDED_STATES,
    decided_at,
    exception_admits,
    next_request_state,
    room_for_system,
    state_of,
    taken_at,
)
from cabgate.races import DECIDED, own_approver
from cabgate.requests import has_other_evidence, is_current, request_name
from cabgate.requirements import unknown_words
from cabgate_operator import texts
from cabgate_operator.apiserver import REQUESTS, Object
from cabgate_operator.conditions import Wanted, merge_conditions

UNDECIDED = frozenset(
    {RequestState.SUBMITTED, RequestState.UNDER_REVIEW, RequestState.EXCEPTION_REQUIRED}
)
"""States that a change of the intent supersedes."""


@dataclass(frozen=True)
class System:
    """The operator as an author, at a moment."""

    username: str
    now: datetime

    @property
    def author(self) -> Author:
        """The author of its entries."""
        return Author(type=AuthorType.SYSTEM, username=self.username)


@dataclass(frozen=True)
class RequestPlan:
    """What a request's status should become."""

    request: CABRequest
    """The request as it will be."""
    entries: tuple[RequestDecision, ...]
    """What the system adds to its decisions."""
    state: RequestState
    held: tuple[Floor, ...] = ()
    """What keeps the system from approving a request whose score asks for nobody."""

    def has(self, verdict: RequestVerdict) -> bool:
        """Whether the system adds a verdict."""
        return any(entry.verdict is verdict for entry in self.entries)


def plan_request(
    request: CABRequest,
    intent: DeploymentIntent | None,
    exceptions: Sequence[CABException],
    system: System,
    others: Sequence[CABRequest] = (),
    *,
    succeeded: bool = False,
) -> RequestPlan:
    """What the system says of a request now, given its live intent (None: there is none).

    `others` are the requests of the namespace that name one of its workloads; `succeeded` says
    whether there is a request for what the intent declares now.
    """
    entries: list[RequestDecision] = []
    held = tuple(floors_now(request, others)) if is_current(request, intent) else ()
    for _ in range(2):  # reopened and approved by score, at most
        following = _next(request, intent, exceptions, system.now, held)
        if following is None and succeeded:
            following = _end_of_approval(request, intent)
        if following is None or not room_for_system(request):
            break
        verdict, rationale = following
        entry = RequestDecision(
            sequence=len(request.status.decisions) + 1,
            author=system.author,
            at=system.now,
            verdict=verdict,
            rationale=rationale,
            evidence_digest=request.spec.evidence_digest,
        )
        if next_request_state(request, state_of(request), verdict, AuthorType.SYSTEM) is None:
            break
        entries.append(entry)
        decisions = [*request.status.decisions, entry]
        status = request.status.model_copy(update={"decisions": decisions})
        request = request.model_copy(update={"status": status})
    state = state_of(request)
    waits = state is RequestState.SUBMITTED and _by_score(request)
    return RequestPlan(request, tuple(entries), state, held if waits else ())


def _next(
    request: CABRequest,
    intent: DeploymentIntent | None,
    exceptions: Sequence[CABException],
    now: datetime,
    held: Sequence[Floor],
) -> tuple[RequestVerdict, str] | None:
    state = state_of(request)
    if unknown_words(request):
        return None  # a newer release opened it, and knows what is to be said
    if request.spec.break_glass is not None:
        # The one thing to say of it, if nobody has said anything yet: the ledger is to hold it.
        said = bool(request.status.decisions)
        return None if said else (RequestVerdict.GLASS_BROKEN, texts.glass_broken(request))
    approver = own_approver(request, intent)
    if approver:
        return RequestVerdict.REOPENED, texts.taken_back(approver)
    if is_current(request, intent):
        if state is RequestState.SUPERSEDED:
            return RequestVerdict.REOPENED, texts.REOPENED
        if state is RequestState.SUBMITTED and _by_score(request) and not held:
            return RequestVerdict.AUTO_APPROVED, texts.auto_approval(request)
        return None
    if state in UNDECIDED and not any(exception_admits(e, request, now) for e in exceptions):
        return RequestVerdict.SUPERSEDED, texts.superseded(_asked_for(intent))
    return None


def _by_score(request: CABRequest) -> bool:
    return request.spec.assessment.gate is Gate.AUTO_APPROVE


def _end_of_approval(
    request: CABRequest, intent: DeploymentIntent | None
) -> tuple[RequestVerdict, str] | None:
    """The end of an approval by score whose intent declares other evidence for the same images. A
    person's approval stands: nobody but a person takes it back."""
    if state_of(request) is not RequestState.AUTO_APPROVED:
        return None
    asked = _asked_for(intent)
    if asked is None or not has_other_evidence(request, intent):
        return None
    return RequestVerdict.SUPERSEDED, texts.approval_ended(asked)


def _asked_for(intent: DeploymentIntent | None) -> str | None:
    if intent is None or intent.metadata.deletion_timestamp is not None:
        return None
    return request_name(intent.metadata.name, evidence_digest(intent.spec))


def body_of(request: CABRequest) -> Object:
    """JSON of a request to create."""
    return {"apiVersion": REQUESTS.api_version, "kind": REQUESTS.kind, **request.to_dict()}


def seconds_to_decision(raw: Object, plan: RequestPlan) -> float | None:
    """How long the decision took of a request whose status does not tell of it yet; None if it
    does, or if there is none.

    Every decided request gets `decidedAt` in one write: so whoever makes that write counts it, and
    each is counted once, also if nobody led when it was decided.
    """
    decided, opened = decided_at(plan.request), plan.request.metadata.creation_timestamp
    if decided is None or opened is None or "decidedAt" in (raw.get("status") or {}):
        return None
    return max(0.0, (decided - opened).total_seconds())


def status_of_request(
    raw: Object, plan: RequestPlan, now: datetime, machines: Machines = SERVICE_ACCOUNTS
) -> dict[str, Any]:
    """The status to write: what stands there, with the system's entries, state and condition."""
    status: dict[str, Any] = copy.deepcopy(raw.get("status") or {})
    if plan.entries:
        added = [entry.to_dict() for entry in plan.entries]
        status["decisions"] = [*status.get("decisions", []), *added]
    status["state"] = plan.state.value
    for field, moment in (
        ("takenAt", taken_at(plan.request)),
        ("decidedAt", decided_at(plan.request)),
    ):
        status.pop(field, None)  # what was taken back was not decided
        if moment is not None:
            status[field] = rfc3339(moment)
    decided = Wanted(
        type=DECIDED,
        holds=plan.state in DECIDED_STATES,
        reason=plan.state.value,
        message=texts.about_request(plan.request, plan.state, machines, plan.held),
    )
    status["conditions"] = merge_conditions(
        status.get("conditions", []), [decided], plan.request.metadata.generation, now
    )
    return status
