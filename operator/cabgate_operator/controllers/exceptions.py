# SPDX-License-Identifier: Apache-2.0
"""Exceptions: when they end, and the state and condition that follow."""

from collections.abc import Sequence

from cabgate.api.exception import CABException, ExceptionVerdict
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.lifecycle.state.standing import (
    RequestStanding,
    standing_of,
    takes_exception,
)
from cabgate.lifecycle.state.states import approval_of
from cabgate.review.races import is_noticed, notice_of, waits_for_notice
from cabgate_kube.k8s_events import News, Reference
from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, Object, Resource
from cabgate_operator.controllers.related import requests_naming
from cabgate_operator.plans.exceptions import (
    ExceptionPlan,
    plan_exception,
    status_of_exception,
)
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.controller import Controller, Watch
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act, note_correlation


async def reconcile_exception(context: Context, key: Key) -> None:
    """Bring an exception's status up to date and set the deadline of its end."""
    raw = await context.api.get(EXCEPTIONS, key.namespace, key.name)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        context.queue.add_at(key, None)
        return
    exception = parsed(CABException, raw)
    wanted = exception.spec.request_ref.name
    raw_request = await context.api.get(REQUESTS, key.namespace, wanted)
    request = None if raw_request is None else standing_of(parsed(CABRequest, raw_request))
    if request is not None:
        note_correlation(request.spec.correlation_id)
    raw_intent = await _intent_of(context, request) if _unnoticed(exception) else None
    intent = None if raw_intent is None else parsed(DeploymentIntent, raw_intent)
    system = context.system()
    others = [] if request is None else await _others(context, request)
    plan = plan_exception(exception, request, system, intent, others)
    context.queue.add_at(key, plan.expires_at if plan.open else None)
    status = status_of_exception(raw, plan, system.now)
    if status == (raw.get("status") or {}):
        return
    if request is not None and plan.entry is not None:
        taken_back = plan.entry.verdict is ExceptionVerdict.REOPENED
        await context.tell(_asking(request), _taken_back(plan) if taken_back else _ended(plan))
    if raw_intent is not None and waits_for_notice(plan.exception, intent, request):
        await _notice(context, raw_intent, plan.exception)
    await context.api.replace_status(EXCEPTIONS, {**raw, "status": status})
    note_act(f"exception {key.name}", plan.state)
    if request is not None and request.spec.intent_ref is not None:
        asking = request.spec.intent_ref.name
        context.queue.add(Key(Subject.INTENT, key.namespace, asking))


async def _others(context: Context, request: RequestStanding) -> list[RequestStanding]:
    """The requests for the first workload of a request: one for the very same content is among
    them."""
    if not takes_exception(request):
        return []  # which says why itself
    meta, targets = request.metadata, request.spec.targets[:1]
    return [each.standing for each in await requests_naming(context, meta.namespace, targets)]


def _unnoticed(exception: CABException) -> bool:
    return approval_of(exception) is not None and not is_noticed(exception)


async def _intent_of(context: Context, request: RequestStanding | None) -> Object | None:
    """The live intent that a request was made from, if there is one."""
    if request is None or request.spec.intent_ref is None:
        return None
    meta = request.metadata
    raw = await context.api.get(INTENTS, meta.namespace, request.spec.intent_ref.name)
    return None if raw is None or raw["metadata"].get("deletionTimestamp") else raw


async def _notice(context: Context, raw: Object, exception: CABException) -> None:
    """Say in an intent's status that an approval was noticed: a change of the intent that is under
    way meets a conflict, and is admitted anew in knowledge of it."""
    status = {**(raw.get("status") or {}), "noticedApproval": notice_of(exception)}
    if status != raw.get("status"):
        await context.api.replace_status(INTENTS, {**raw, "status": status})


def _asking(request: RequestStanding) -> Reference:
    """The intent that a request was made from, or the request itself if there was none."""
    meta, intent = request.metadata, request.spec.intent_ref
    if intent is None:
        return Reference(REQUESTS, meta.namespace, meta.name, meta.uid)
    return Reference(INTENTS, meta.namespace, intent.name, intent.uid)


def _ended(plan: ExceptionPlan) -> News:
    meta = plan.exception.metadata
    return News("ExceptionExpired", plan.active.message, (meta.uid,), warning=True)


def _taken_back(plan: ExceptionPlan) -> News:
    entry, meta = plan.entry, plan.exception.metadata
    message = entry.rationale if entry is not None else ""
    sequence = str(len(plan.exception.status.decisions))
    return News("ApprovalTakenBack", message, (meta.uid, sequence), warning=True)


class Exceptions(Controller):
    """Exceptions, one for each key."""

    subjects = (Subject.EXCEPTION,)
    watches = (Watch(EXCEPTIONS),)
    reconcile = staticmethod(reconcile_exception)

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """The exception itself."""
        meta = body.get("metadata") or {}
        return (Key(Subject.EXCEPTION, meta.get("namespace", ""), meta.get("name", "")),)
