# SPDX-License-Identifier: Apache-2.0
"""Requests: which entries the system adds, and the state and condition that follow."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import (
    CABRequest,
    Floor,
    Provenance,
    RequestDecision,
    RequestState,
    RequestVerdict,
)
from cabgate.api.riskmodel import RiskModel
from cabgate.api.stored import Declared
from cabgate.api.types import MAX_DECISIONS, Author, AuthorType, Tier
from cabgate.lifecycle.history.precedent import EARLIER_VERDICT
from cabgate.lifecycle.limits.capacity import lacking
from cabgate.lifecycle.limits.flapping import reopens_at
from cabgate.lifecycle.limits.retention import INTENT_GONE, gone_since
from cabgate.lifecycle.requests.assessment import floors_now
from cabgate.lifecycle.requests.endings import ended_by
from cabgate.lifecycle.requests.opening import is_current
from cabgate.lifecycle.state.columns import listed_submitters, listed_targets
from cabgate.lifecycle.state.quorum import counted
from cabgate.lifecycle.state.requirements import unknown_words
from cabgate.lifecycle.state.standing import (
    DECIDED,
    ExceptionStanding,
    RequestStanding,
    WholeRequest,
    exception_admits,
)
from cabgate.lifecycle.state.states import (
    DECIDED_STATES,
    is_retrospective,
    next_request_state,
    with_entry,
)
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.review.races import own_approver
from cabgate_kube.k8s_events import News
from cabgate_kube.resources import REQUESTS, Object
from cabgate_operator.plans import texts
from cabgate_operator.plans.conditions import Wanted, merge_conditions

UNDECIDED = frozenset(
    {RequestState.SUBMITTED, RequestState.UNDER_REVIEW, RequestState.EXCEPTION_REQUIRED}
)
"""States that a change of the intent supersedes."""


FULL = "DecisionsFull"
"""Name of what keeps the system from approving a request that has no room for that."""


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

    request: WholeRequest
    """The request as it will be."""
    entries: tuple[RequestDecision, ...]
    """What the system adds to its decisions."""
    state: RequestState
    held: tuple[Floor, ...] = ()
    """What keeps the system from approving a request whose score asks for nobody, or what was
    refused of its images since it was opened."""
    full: str = ""
    """Why there is no room for what the system has to say; empty if there is."""

    def has(self, verdict: RequestVerdict) -> bool:
        """Whether the system adds a verdict."""
        return any(entry.verdict is verdict for entry in self.entries)


def plan_request(
    request: WholeRequest,
    intent: DeploymentIntent | None,
    exceptions: Sequence[ExceptionStanding],
    system: System,
    others: Sequence[RequestStanding] = (),
    *,
    model: RiskModel | None = None,
    successor: str = "",
    provenance: Sequence[Provenance] = (),
) -> RequestPlan:
    """What the system says of a request now, given its live intent (None: there is none).

    `others` are the requests of the namespace that name one of its workloads; `model` is the one
    that the request was scored with, None if it is not there as it was; `successor` is the name of
    the request that stands for what the intent declares now, empty if there is none;
    `provenance` says who speaks for the evidence of the intent.
    """
    entries: list[RequestDecision] = []
    current = is_current(request.stored, intent)
    held = tuple(floors_now(request.stored, others, model, provenance)) if current else ()
    full = ""
    for _ in range(2):  # reopened and approved by score, at most
        following = _next(request, intent, exceptions, system.now, held, successor)
        before = request.standing.state
        if following is None:
            ending = ended_by(request, intent, others)
            if ending is not None:
                rationale = texts.approval_ended(ending.metadata.name)
                following = RequestVerdict.SUPERSEDED, rationale
        if following is None:
            break
        verdict, rationale = following
        after = next_request_state(request.stored, before, verdict, AuthorType.SYSTEM)
        if after is None:
            break
        entry = RequestDecision(
            sequence=min(len(request.stored.status.decisions) + 1, MAX_DECISIONS),
            author=system.author,
            at=system.now,
            verdict=verdict,
            rationale=rationale,
            evidence_digest=request.stored.spec.evidence_digest,
        )
        longer = with_entry(request.stored, entry)
        full = lacking(longer, before, after)
        if full:
            break
        entries.append(entry)
        request = WholeRequest.of(longer)
    state = request.standing.state
    waits = state is RequestState.SUBMITTED and by_score(request.standing)
    if waits and full:  # what went back and forth so often is for a person
        held, full = (*held, Floor(name=FULL, gate=Tier.MANUAL_REVIEW, explanation=full)), ""
    if not waits:
        held = _refused_since(request.standing, held)
    return RequestPlan(request, tuple(entries), state, held, full)


def _refused_since(request: RequestStanding, floors: Sequence[Floor]) -> tuple[Floor, ...]:
    """What was refused of the images of a request that waits for a person, after it was opened:
    whoever approves it is to know."""
    if request.state not in (RequestState.SUBMITTED, RequestState.UNDER_REVIEW):
        return ()
    known = request.spec.assessment.floors
    return tuple(each for each in floors if each.name == EARLIER_VERDICT and each not in known)


def _next(
    request: WholeRequest,
    intent: DeploymentIntent | None,
    exceptions: Sequence[ExceptionStanding],
    now: datetime,
    held: Sequence[Floor],
    successor: str,
) -> tuple[RequestVerdict, str] | None:
    stored, state = request.stored, request.standing.state
    if unknown_words(stored):
        return None  # a newer release opened it, and knows what is to be said
    if is_retrospective(stored):
        # The one thing to say of it, if nobody has said anything yet: the ledger is to hold it.
        said = bool(stored.status.decisions)
        return None if said else (RequestVerdict.GLASS_BROKEN, texts.glass_broken(stored))
    approver = own_approver(request, intent)
    if approver:
        return RequestVerdict.REOPENED, texts.taken_back(approver)
    if is_current(stored, intent):
        if state is RequestState.SUPERSEDED:
            waits = reopens_at(request, now) is not None
            return None if waits else (RequestVerdict.REOPENED, texts.REOPENED)
        if state is RequestState.SUBMITTED and by_score(stored) and not held:
            return RequestVerdict.AUTO_APPROVED, texts.auto_approval(stored)
        return None
    if state in UNDECIDED and not any(
        exception_admits(e, request.standing, now) for e in exceptions
    ):
        return RequestVerdict.SUPERSEDED, texts.superseded(successor, deleted=_is_gone(intent))
    return None


def by_score(request: Declared) -> bool:
    """Whether the score of a request asks for nobody."""
    return request.spec.assessment.gate is Tier.AUTO_APPROVE


def waits_for_system(request: WholeRequest, intent: DeploymentIntent | None) -> bool:
    """Whether the system may be about to approve a request by its score: also one whose approval by
    a person it is about to take back."""
    states = (RequestState.SUBMITTED, RequestState.SUPERSEDED)
    waits = request.standing.state in states or own_approver(request, intent) != ""
    return by_score(request.stored) and waits


def _is_gone(intent: DeploymentIntent | None) -> bool:
    return intent is None or intent.metadata.deletion_timestamp is not None


def body_of(request: CABRequest) -> Object:
    """JSON of a request to create."""
    return {"apiVersion": REQUESTS.api_version, "kind": REQUESTS.kind, **request.to_dict()}


def seconds_to_decision(raw: Object, plan: RequestPlan) -> float | None:
    """How long the decision took of a request whose status does not tell of it yet; None if it
    does, or if there is none.

    Every decided request gets `decidedAt` in one write: so whoever makes that write counts it, and
    each is counted once, also if nobody led when it was decided.
    """
    request = plan.request
    decided, opened = request.standing.decided_at, request.stored.metadata.creation_timestamp
    if decided is None or opened is None or "decidedAt" in (raw.get("status") or {}):
        return None
    return max(0.0, (decided - opened).total_seconds())


def status_of_request(
    raw: Object,
    plan: RequestPlan,
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
    *,
    gone: bool = False,
    asked: bool = False,
) -> dict[str, Any]:
    """The status to write: what stands there, with the system's entries, state and conditions.

    `gone` says whether its intent is gone for good, `asked` that its intent asks for it and did not
    before.
    """
    status: dict[str, Any] = copy.deepcopy(raw.get("status") or {})
    if plan.entries:
        added = [entry.to_dict() for entry in plan.entries]
        status["decisions"] = [*status.get("decisions", []), *added]
    status["state"] = plan.state.value
    request, standing = plan.request.stored, plan.request.standing
    status["targets"] = listed_targets(request.spec.targets)
    status["submitters"] = listed_submitters(request.spec)
    approvals = counted(request, standing.votes, standing.opened_at)
    if approvals:
        status["approvals"] = approvals
    for field, moment in (
        ("takenAt", standing.taken_at),
        ("decidedAt", standing.decided_at),
    ):
        status.pop(field, None)  # what was taken back was not decided
        if moment is not None:
            status[field] = rfc3339(moment)
    if asked:
        status["askedAt"] = rfc3339(now)
    decided = Wanted(
        type=DECIDED,
        holds=plan.state in DECIDED_STATES,
        reason=plan.state.value,
        message=texts.about_request(standing, plan.state, machines, plan.held),
    )
    wanted = [decided]
    if gone_since(request) is not None or (gone and is_to_be_marked(plan.request)):
        reason, message = texts.intent_gone(gone=gone)
        wanted.append(Wanted(type=INTENT_GONE, holds=gone, reason=reason, message=message))
    status["conditions"] = merge_conditions(
        status.get("conditions", []), wanted, request.metadata.generation, now
    )
    return status


def is_to_be_marked(request: WholeRequest) -> bool:
    """Whether a request, once its intent is gone, is to say since when: from then on it has a time
    to live."""
    return request.standing.is_approved and gone_since(request.stored) is None


def news_of_superseded(plan: RequestPlan) -> News:
    """What to tell of a request that the system has just superseded."""
    return News(
        "Superseded",
        texts.about_request(plan.request.standing, plan.state),
        _identity(plan.request),
    )


def news_of_taken_back(plan: RequestPlan) -> News:
    """What to tell of a request whose approval the system has just taken back."""
    rationale = plan.entries[0].rationale
    return News("ApprovalTakenBack", rationale, _identity(plan.request), warning=True)


def _identity(request: WholeRequest) -> tuple[str, str]:
    return (request.stored.metadata.uid, str(len(request.stored.status.decisions)))
