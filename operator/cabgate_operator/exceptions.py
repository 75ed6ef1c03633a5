# SPDX-License-Identifier: Apache-2.0
"""Exceptions: when they end, and the state and condition that follow."""

import copy
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
from cabgate.api.request import CABRequest
from cabgate.lifecycle import (
    approval_of,
    exception_admits,
    expires_at,
    state_of,
)
from cabgate_operator import texts
from cabgate_operator.apiserver import EXCEPTIONS, INTENTS, REQUESTS, Object
from cabgate_operator.conditions import Wanted, merge_conditions
from cabgate_operator.context import Context, parsed
from cabgate_operator.events import News, Reference
from cabgate_operator.keys import Key, Subject
from cabgate_operator.reports import concerns, did
from cabgate_operator.requests import System


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
    exception: CABException, request: CABRequest | None, system: System
) -> ExceptionPlan:
    """What the system says of an exception now, given its request (None: there is none)."""
    state = state_of(exception, system.now)
    entry = _end(exception, request, system) if state is ExceptionState.EXPIRED else None
    if entry is not None:
        decisions = [*exception.status.decisions, entry]
        status = exception.status.model_copy(update={"decisions": decisions})
        exception = exception.model_copy(update={"status": status})
    reason, message = texts.about_exception(exception, request, state, system.now)
    admits = request is not None and exception_admits(exception, request, system.now)
    active = Wanted("Active", admits, reason, message)
    return ExceptionPlan(exception, entry, state, expires_at(exception), active)


def _end(
    exception: CABException, request: CABRequest | None, system: System
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


async def reconcile_exception(context: Context, key: Key) -> None:
    """Bring an exception's status up to date and set the deadline of its end."""
    raw = await context.api.get(EXCEPTIONS, key.namespace, key.name)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        context.queue.add_at(key, None)
        return
    exception = parsed(CABException, raw)
    wanted = exception.spec.request_ref.name
    raw_request = await context.api.get(REQUESTS, key.namespace, wanted)
    request = None if raw_request is None else parsed(CABRequest, raw_request)
    if request is not None:
        concerns(request.spec.correlation_id)
    system = context.system()
    plan = plan_exception(exception, request, system)
    context.queue.add_at(key, plan.expires_at if plan.open else None)
    status = status_of_exception(raw, plan, system.now)
    if status == (raw.get("status") or {}):
        return
    if plan.entry is not None and request is not None:
        await context.tell(_asking(request), _ended(plan))
    await context.api.replace_status(EXCEPTIONS, {**raw, "status": status})
    did(f"exception {key.name}", plan.state)
    if request is not None and request.spec.intent_ref is not None:
        intent = request.spec.intent_ref.name
        context.queue.add(Key(Subject.INTENT, key.namespace, intent))


def _asking(request: CABRequest) -> Reference:
    """The intent that a request was made from, or the request itself if there was none."""
    meta, intent = request.metadata, request.spec.intent_ref
    if intent is None:
        return Reference(REQUESTS, meta.namespace, meta.name, meta.uid)
    return Reference(INTENTS, meta.namespace, intent.name, intent.uid)


def _ended(plan: ExceptionPlan) -> News:
    meta = plan.exception.metadata
    return News("ExceptionExpired", plan.active.message, (meta.uid,), warning=True)
