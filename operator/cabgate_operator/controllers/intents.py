# SPDX-License-Identifier: Apache-2.0
"""Reconciles an intent and every request made from it.

One reconciler writes the status of both, so that they never race each other. The order of the
writes is such that whatever a crash leaves out is found missing at the next look: the request,
then the decisions of the requests, then the intent's own status, which says that all is done. Only
of an approval by a person the intent tells first: `cabgate.review.races` says why.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, Provenance, RequestVerdict
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.flapping import ABSENCE, reopens_at
from cabgate.lifecycle.requests.opening import wanted_name
from cabgate.lifecycle.state.requirements import unknown_words
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    WholeRequest,
    standings_of_exceptions,
)
from cabgate.review.races import approver_of, own_approver, waits_for_notice
from cabgate.risk.evidence import evidence_digest
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.templates import is_required
from cabgate_kube.errors import ApiError
from cabgate_kube.k8s_events import Reference
from cabgate_kube.resources import (
    EXCEPTIONS,
    INTENTS,
    REQUESTS,
    SIGNERS,
    Object,
    Resource,
)
from cabgate_kube.signers import LabelsAndSigners, speaking_for
from cabgate_operator.controllers.freezes import freezes_for, running_targets
from cabgate_operator.controllers.intent_reads import read_work
from cabgate_operator.controllers.intent_work import Work, refused_among
from cabgate_operator.controllers.models import chosen_model, chosen_policy, model_behind
from cabgate_operator.controllers.opening import (
    REFUSED,
    ensure_request,
    too_often,
    unchanged_or_conflict,
)
from cabgate_operator.controllers.related import intent_named
from cabgate_operator.plans import texts
from cabgate_operator.plans.intents import (
    Problem,
    Readiness,
    Surroundings,
    comes_to_ask,
    news_of_approval,
    news_of_intent,
    next_window,
    readiness,
    status_of_intent,
)
from cabgate_operator.plans.requests import (
    FULL,
    UNDECIDED,
    is_to_be_marked,
    news_of_superseded,
    news_of_taken_back,
    plan_request,
    seconds_to_decision,
    status_of_request,
    waits_for_system,
)
from cabgate_operator.work.context import Context, listed, parsed
from cabgate_operator.work.controller import Controller, Watch
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act, note_correlation


async def reconcile_intent(context: Context, key: Key) -> None:
    """Bring an intent's requests and their statuses up to date, then its own. After a look that
    failed, the next one takes nothing for known."""
    try:
        await _reconcile(context, key)
    except BaseException:
        context.remembered.doubt(key)
        raise
    context.remembered.trust(key)


async def _reconcile(context: Context, key: Key) -> None:
    work = await read_work(context, key)
    if work is None:
        context.absent.pop(key, None)
        return
    work.may_come_back = _may_come_back(context, work)
    if work.intent is not None:
        work.wanted = wanted_name(work.intent)
        work.model, work.policy, work.provenance = await asyncio.gather(
            _model(context, work), _policy(context, work), _provenance(context, work)
        )
        note_correlation(work.intent.spec.correlation_id)
        work.refused = refused_among(evidence_digest(work.intent.spec), work.others)
        await _look_at_approvals(context, work)
        await ensure_request(context, work, work.intent)
        if work.request is not None:
            note_correlation(work.request.stored.spec.correlation_id)
    unnoticed = _unnoticed(work)
    # The wanted request first.
    for name in sorted(work.requests, key=lambda name: (name != work.wanted, name)):
        if name != unnoticed:
            await _update_request(context, work, name)
    if work.intent is not None and work.raw is not None:
        await _update_intent(context, work, work.raw, work.intent)
    if unnoticed:
        await _update_request(context, work, unnoticed)
    if work.errors:
        raise work.errors[0]


async def _provenance(context: Context, work: Work) -> Sequence[Provenance]:
    async def read(_namespace: str) -> LabelsAndSigners:
        return work.labels, await context.api.list(SIGNERS, "")

    return await speaking_for(work.intent, context.clock(), read)


def _may_come_back(context: Context, work: Work) -> bool:
    waiting = any(
        request.standing.state in UNDECIDED or is_to_be_marked(request)
        for _, request in work.requests.values()
    )
    if work.intent is not None or not waiting:
        context.absent.pop(work.key, None)
        return False
    now = context.clock()
    until = context.absent.setdefault(work.key, now) + ABSENCE
    if now < until:
        context.queue.add_at(work.key, until)
    return now < until


async def _model(context: Context, work: Work) -> RiskModel | NoneHolds | None:
    if work.wanted in work.requests:
        return None
    context.without_model.add(work.key)  # first: a model may come while we look
    model = await chosen_model(context, work.labels)
    if not isinstance(model, NoneHolds):
        context.without_model.discard(work.key)
    return model


async def _policy(context: Context, work: Work) -> ChangePolicy | NoneHolds | None:
    if work.wanted in work.requests:
        return None
    policy = await chosen_policy(context, work.labels)
    if isinstance(policy, NoneHolds):
        context.without_model.add(work.key)
        policy = await chosen_policy(context, work.labels)  # one may have come since
    return policy


async def _model_behind(context: Context, work: Work, request: WholeRequest) -> RiskModel | None:
    """The model that a request was scored with, if it is still there as it was, and if the request
    may be approved by its score."""
    if not waits_for_system(request, work.intent):
        return None
    recorded, known = request.stored.spec.assessment.risk_model, work.model
    if isinstance(known, RiskModel) and (known.name, known.digest) == (
        recorded.name,
        recorded.digest,
    ):
        return known
    context.without_model.add(work.key)  # first: it may come back while we look
    model = await model_behind(context, request.stored)
    if model is not None:
        context.without_model.discard(work.key)
    return model


async def _look_at_approvals(context: Context, work: Work) -> None:
    """Before anything is opened or approved, take back the approvals of who submits the intent by
    now, and notice those of what it has moved on from: they lift what was refused of its images
    only then. The wanted request last, since it may be approved by its score in the same write."""
    for name in sorted(work.requests, key=lambda name: (name == work.wanted, name)):
        request = work.requests[name][1]
        new = approver_of(request) is not None and not request.standing.noticed
        if own_approver(request, work.intent) or (new and name != work.wanted):
            await _update_request(context, work, name)


def _unnoticed(work: Work) -> str:
    """Name of the wanted request if a person approved it and nothing tells of that yet; empty if
    there is none, or if the approval is to be taken back."""
    request = work.request
    if request is None or request.name not in work.requests:
        return ""
    if own_approver(request, work.intent) or not waits_for_notice(request, work.intent):
        return ""
    return request.name


async def _exceptions(context: Context, work: Work) -> list[ExceptionStanding]:
    """Where the exceptions of the namespace stand, read once."""
    if work.exceptions is None:
        namespace = work.key.namespace
        found = await listed(context.api, CABException, EXCEPTIONS, namespace)
        work.exceptions = standings_of_exceptions(found)
    return work.exceptions


async def _update_request(context: Context, work: Work, name: str) -> None:
    raw, request = work.requests[name]
    if unknown_words(request.stored):
        return  # a newer release opened it, and sees to it
    current = name == work.wanted and work.problem is None
    # Only what may be superseded depends on exceptions.
    needed = not current and request.standing.state in UNDECIDED
    if needed and work.may_come_back:
        return
    exceptions = await _exceptions(context, work) if needed else []
    system = context.system()
    successor = work.wanted if work.refused is None else work.refused.name
    if work.problem is not None:
        successor = ""
    model = await _model_behind(context, work, request) if current else None
    plan = plan_request(
        *(request, work.intent, exceptions, system, work.standings),
        model=model,
        successor=successor,
        provenance=work.provenance,
    )
    if current:
        work.held, work.full = plan.held, plan.full
    gone = work.intent is None and not work.may_come_back
    own = [each.stored for _, each in work.requests.values()]
    asked = current and work.refused is None and comes_to_ask(work.intent, request.stored, own)
    status = status_of_request(raw, plan, system.now, context.machines, gone=gone, asked=asked)
    if status == (raw.get("status") or {}):
        return
    # Before the status: an entry that says it is told only after it was.
    if plan.has(RequestVerdict.SUPERSEDED):
        await context.tell(_about(work, plan.request), news_of_superseded(plan))
    if own_approver(request, work.intent) and plan.has(RequestVerdict.REOPENED):
        await context.tell(_about(work, plan.request), news_of_taken_back(plan))
    try:
        written = await context.api.replace_status(REQUESTS, {**raw, "status": status})
    except ApiError as error:
        if not error.refused:
            raise
        if current:
            await unchanged_or_conflict(context, work)
            why = f"{error.code} {error.reason}: {error.message}"
            work.unwritten = texts.status_refused(name, why)
        work.errors.append(error)
        return
    context.own_writes.note(written)
    context.metrics.decided(plan.state, seconds_to_decision(raw, plan))
    work.requests[name] = (written, WholeRequest.of(parsed(CABRequest, written)))
    if work.intent is None:
        note_correlation(request.stored.spec.correlation_id)
    note_act(f"request {name}", plan.state)


def _about(work: Work, request: WholeRequest) -> Reference:
    reference = request.stored.spec.intent_ref
    uid = reference.uid if reference is not None else ""
    if work.intent is not None:
        uid = work.intent.metadata.uid
    return Reference(INTENTS, work.key.namespace, work.key.name, uid)


async def _update_intent(
    context: Context, work: Work, raw: Object, intent: DeploymentIntent
) -> None:
    request = work.request and work.request.beside(intent)
    if request is not None and work.problem is None and work.full:
        work.problem = Problem(FULL, texts.no_room(request.standing, work.full))
    if request is not None and work.problem is None and not work.errors:
        moment = reopens_at(request, context.clock())
        if moment is not None:
            work.problem = too_often(work, texts.reopened_too_often(work.wanted, moment), moment)
    around = await _surroundings(context, work)
    ready = await _readiness(context, intent, work.problem, around)
    if work.too_often_until is not None:  # what was approved before still admits
        admitted = await _readiness(context, intent, None, around)
        ready = admitted if admitted.ready else ready
    # An exception is asked for only where no request admits.
    if not ready.ready and work.problem is None and work.ring >= GATED_FROM:
        around = replace(around, exceptions=await _exceptions(context, work))
        ready = await _readiness(context, intent, None, around)
        _wake(context, work, around)
    if request is not None and work.held and ready.reason == Reason.REVIEW_PENDING.value:
        message = texts.about_request(
            request.standing, request.standing.state, context.machines, work.held
        )
        ready = replace(ready, message=message)
    if work.unwritten and not ready.ready and work.problem is None:
        ready = replace(ready, reason=REFUSED, message=work.unwritten)
    standing = None if request is None else request.standing
    status = status_of_intent(raw, intent, standing, ready, around.now)
    old = raw.get("status") or {}
    if status == old:
        return
    # Before the status: a status that says it is told only after it was.
    if old.get("evidenceDigest") != status["evidenceDigest"]:
        await _tell_reviewers(context, work, intent)
    news = news_of_intent(old, status, request, ready, context.machines, work.held)
    if news is not None:
        about = Reference(INTENTS, work.key.namespace, work.key.name, intent.metadata.uid)
        await context.tell(about, news)
    written = await context.api.replace_status(INTENTS, {**raw, "status": status})
    context.own_writes.note(written)
    context.remembered.wrote(work.key, written)
    note_act(f"intent {work.key.name}", ready.reason)


async def _readiness(
    context: Context, intent: DeploymentIntent, problem: Problem | None, around: Surroundings
) -> Readiness:
    """Whether every target would be admitted now; what runs already is not asked for where that
    does not matter."""
    ready = readiness(intent, problem, around)
    if not ready.kept_back:
        return ready
    running = await running_targets(context, intent)
    return readiness(intent, problem, replace(around, running=running))


async def _tell_reviewers(context: Context, work: Work, intent: DeploymentIntent) -> None:
    """Tell, on each approval by a person that still admits, that other evidence is declared."""
    for name, (_, request) in work.requests.items():
        news = news_of_approval(request, intent)
        if news is not None:
            about = Reference(REQUESTS, work.key.namespace, name, request.stored.metadata.uid)
            await context.tell(about, news)


async def _surroundings(context: Context, work: Work) -> Surroundings:
    freezes = await freezes_for(context, work.labels)
    now, kinds = context.clock(), context.installation.kinds
    around = Surroundings(
        *(work.ring, work.known, (), now, context.machines, kinds),
        template_required=is_required(work.labels, work.ring),
        known_freezes=freezes,
        labels=work.labels,
    )
    _wake(context, work, around)
    return around


def _wake(context: Context, work: Work, around: Surroundings) -> None:
    """Look at the intent again when something opens or closes."""
    known = [m for m in (next_window(around), work.too_often_until) if m is not None]
    context.queue.add_at(work.key, min(known, default=None))  # one deadline for each key


class Intents(Controller):
    """Intents, each with every request made from it."""

    subjects = (Subject.INTENT,)
    watches = (Watch(INTENTS), Watch(REQUESTS))
    reconcile = staticmethod(reconcile_intent)

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """The intent itself, or the one that asked for a request."""
        meta = body.get("metadata") or {}
        name = meta.get("name", "") if resource is INTENTS else intent_named(body)
        return (Key(Subject.INTENT, meta.get("namespace", ""), name),) if name else ()
