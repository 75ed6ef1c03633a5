# SPDX-License-Identifier: Apache-2.0
"""What is to be written of an exception: its end, an approval that is taken back, its state."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.exception import (
    CABException,
    ExceptionDecision,
    ExceptionState,
    ExceptionVerdict,
)
from cabgate.api.intent import DeploymentIntent
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding, exception_admits
from cabgate.lifecycle.state.states import approval_of, expires_at, state_of, with_entry
from cabgate.review.races import ACTIVE, own_approver
from cabgate.writes.exceptions import without_exception
from cabgate_kube.resources import Object
from cabgate_operator.plans import texts
from cabgate_operator.plans.conditions import Wanted, merge_conditions
from cabgate_operator.plans.requests import System


@dataclass(frozen=True)
class ExceptionPlan:
    """What an exception's status should become."""

    exception: CABException
    """The exception as it will be."""
    entry: ExceptionDecision | None
    """What the system adds to its decisions."""
    state: ExceptionState
    expires_at: datetime
    active: Wanted

    @property
    def open(self) -> bool:
        """Whether its end is still to come."""
        return self.state in (ExceptionState.PENDING, ExceptionState.APPROVED)


def plan_exception(
    exception: CABException,
    request: RequestStanding | None,
    system: System,
    intent: DeploymentIntent | None = None,
    others: Sequence[RequestStanding] = (),
) -> ExceptionPlan:
    """What the system says of an exception now, given its request, the live intent of that (None:
    there is none), and the requests that name one of its workloads."""
    state = state_of(exception, system.now)
    entry: ExceptionDecision | None = None
    if state is ExceptionState.EXPIRED:
        entry = _end(exception, request, system)
    elif state is ExceptionState.APPROVED:
        entry = _taking_back(exception, request, system, intent)
    if entry is not None:
        exception = with_entry(exception, entry)
        state = state_of(exception, system.now)
    reason, message = texts.about_exception(exception, request, state, system.now, others)
    admits = (
        request is not None
        and exception_admits(ExceptionStanding.of(exception), request, system.now)
        and without_exception(request, others) is None
    )
    active = Wanted(ACTIVE, admits, reason, message)
    return ExceptionPlan(exception, entry, state, expires_at(exception), active)


def _taking_back(
    exception: CABException,
    request: RequestStanding | None,
    system: System,
    intent: DeploymentIntent | None,
) -> ExceptionDecision | None:
    """The entry that takes an approval back whose author stands in the intent; None if there is
    none to take back."""
    approver, approval = own_approver(exception, intent, request), approval_of(exception)
    if not approver or approval is None:
        return None
    return ExceptionDecision(
        sequence=len(exception.status.decisions) + 1,
        author=system.author,
        at=system.now,
        verdict=ExceptionVerdict.REOPENED,
        rationale=texts.taken_back(approver),
        evidence_digest=approval.evidence_digest,
    )


def _end(
    exception: CABException, request: RequestStanding | None, system: System
) -> ExceptionDecision | None:
    """The entry that records the end, unless it is there or there is no digest to record."""
    decisions = exception.status.decisions
    if any(entry.verdict is ExceptionVerdict.EXPIRED for entry in decisions):
        return None
    approval = approval_of(exception)
    if approval is not None:
        digest = approval.evidence_digest
    elif request is not None:
        digest = request.spec.evidence_digest
    else:
        return None
    return ExceptionDecision(
        sequence=len(decisions) + 1,
        author=system.author,
        at=system.now,
        verdict=ExceptionVerdict.EXPIRED,
        rationale=texts.EXPIRED,
        evidence_digest=digest,
    )


def status_of_exception(raw: Object, plan: ExceptionPlan, now: datetime) -> dict[str, Any]:
    """The status to write: what stands there, with the system's entry, state and condition."""
    status: dict[str, Any] = copy.deepcopy(raw.get("status") or {})
    if plan.entry is not None:
        status["decisions"] = [*status.get("decisions", []), plan.entry.to_dict()]
    status["state"] = plan.state.value
    status["expiresAt"] = rfc3339(plan.expires_at)
    status["conditions"] = merge_conditions(
        status.get("conditions", []), [plan.active], plan.exception.metadata.generation, now
    )
    return status
