# SPDX-License-Identifier: Apache-2.0
"""Opens the request that an intent asks for."""

from datetime import datetime

from cabgate.api.intent import DeploymentIntent
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.lifecycle.limits.flapping import opens_at
from cabgate.rollout.gated_targets import impossible_names
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import may_be_required
from cabgate.text.refusal import RefusalReason
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.resources import INTENTS, NAMESPACES, REQUESTS, Object
from cabgate_operator.controllers.intent_work import Work, wanted_as_read
from cabgate_operator.controllers.kept_evidence import discard, keep_evidence
from cabgate_operator.plans import texts
from cabgate_operator.plans.intents import Problem, own_request, wanted_request
from cabgate_operator.work.context import Context
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act

REFUSED = "RequestRefused"
"""Why an intent is not ready whose request the webhook refused."""


async def ensure_request(context: Context, work: Work, intent: DeploymentIntent) -> None:
    """Have the request that an intent asks for, in `work.requests`; or say in `work.problem` why
    there is none."""
    if work.wanted in work.requests:
        found: Object | None = work.requests[work.wanted][0]
    elif work.refused is not None:
        return
    else:
        work.problem = await _opposed(context, work, intent)
        if work.problem is not None:
            return
        found = await _opened(context, work, intent)
        if work.problem is not None:
            return
    own, work.problem = own_request(intent, None if found is None else wanted_as_read(work, found))
    if found is not None and own is not None:
        work.requests[work.wanted] = (found, own)


async def _opposed(context: Context, work: Work, intent: DeploymentIntent) -> Problem | None:
    """What stands against opening a request now; None if nothing does."""
    impossible = impossible_names(intent.spec.targets)
    if impossible:
        why = texts.not_gated(intent, impossible)
        return Problem(RefusalReason.TARGET_NOT_GATED.value, why)
    # No risk model, or no change policy that is known, holds for the namespace.
    if isinstance(work.model, NoneHolds):
        return Problem(work.model.reason, texts.no_model(work.model.message))
    if isinstance(work.policy, NoneHolds):
        return Problem(work.policy.reason, texts.no_policy(work.policy.message))
    moment = opens_at(context.opened.get(work.key, ()), context.clock())
    if moment is not None:
        return too_often(work, texts.opened_too_often(moment), moment)
    moment = _room_at(context, work, intent)
    if moment is not None:
        work.too_often_until = moment
        message = texts.refused(work.wanted, texts.used_up(moment))
        return Problem(REFUSED, message, stalled=False)
    return None


async def _opened(context: Context, work: Work, intent: DeploymentIntent) -> Object | None:
    """The request, created or as somebody else has created it. Where the webhook refuses it, there
    is none, and `work.problem` says why."""
    kept: Object | None = None
    body = _body(context, work, intent)
    try:
        async with context.room.turn_to_open(work.key.namespace, _workloads(intent)):
            kept = await keep_evidence(context, intent)  # first: the webhook asks for it
            found = await context.api.create(REQUESTS, work.key.namespace, body)
    except AlreadyExistsError:
        return await context.api.get(REQUESTS, work.key.namespace, work.wanted)
    except ApiError as error:
        if not error.refused:
            raise
        await discard(context, kept)
        await unchanged_or_conflict(context, work)
        work.errors.append(error)
        if error.used_up:
            _note_used_up(context, work, intent)
        why = texts.refused(work.wanted, f"{error.code} {error.reason}: {error.message}")
        work.problem = Problem(REFUSED, why, stalled=False)
        return None
    context.own_writes.note(found)
    context.requests.created(found)
    note_act(f"request {work.wanted}", "Opened")
    context.note_opened(work.key)
    return found


def _body(context: Context, work: Work, intent: DeploymentIntent) -> Object:
    """The request that is wanted, as it is created."""
    if not isinstance(work.model, RiskModel) or isinstance(work.policy, NoneHolds):
        raise TypeError("a request is opened only where a model and a policy are known")
    return wanted_request(
        *(intent, work.ring, work.standings, work.model, context.labels, work.provenance),
        template_asked=may_be_required(work.labels),
        policy=work.policy,
    )


def _workloads(intent: DeploymentIntent) -> list[Workload]:
    return [Workload.of(target) for target in intent.spec.targets]


def _room_at(context: Context, work: Work, intent: DeploymentIntent) -> datetime | None:
    """When there may be room for a request again; None if nobody was refused it just now."""
    namespace, now = work.key.namespace, context.clock()
    return context.room.asked_again_at(namespace, _workloads(intent), now)


def _note_used_up(context: Context, work: Work, intent: DeploymentIntent) -> None:
    """Have nobody ask for room for a while, and make what room there can be."""
    namespace, now = work.key.namespace, context.clock()
    context.room.note_used_up(namespace, _workloads(intent), now)
    key, looking = Key(Subject.RETENTION, namespace, ""), context.room.look_at(namespace, now)
    if looking > now:
        context.queue.add_at(key, looking)
    else:
        context.queue.add(key)


def too_often(work: Work, message: str, moment: datetime) -> Problem:
    """That an intent waits until a moment, since it was changed too often."""
    work.too_often_until = moment
    return Problem("ChangedTooOften", message, stalled=False)


async def unchanged_or_conflict(context: Context, work: Work) -> None:
    """Raise `ConflictError` if the intent is not what it was, or was judged by what a watch had
    brought, which may be older than what the webhook read: a refusal is no news then, and the look
    that follows reads everything."""
    if context.remembered.is_watched(NAMESPACES) and not context.remembered.is_doubted(work.key):
        raise ConflictError(409, "Conflict", "it was judged by what a watch brought")
    now = await context.api.get(INTENTS, work.key.namespace, work.key.name)
    if now is None or work.raw is None or now["metadata"] != work.raw["metadata"]:
        raise ConflictError(409, "Conflict", "the intent changed meanwhile")
