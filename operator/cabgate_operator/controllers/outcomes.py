# SPDX-License-Identifier: Apache-2.0
"""What becomes of rollouts: an outcome for each that became available, what interrupts it, how its
Pods do, how it ends.

Nothing here stands in anybody's way, and of a workload nothing is written. Workloads are watched
for broken glasses anyway; Pods are not watched, but listed when their workload changes.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pydantic import ValidationError

from cabgate import API_VERSION
from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.outcome import KIND, RolloutOutcome, RolloutOutcomeStatus
from cabgate.api.request import CABRequest
from cabgate.api.types import Tier
from cabgate.lifecycle.limits.kept_outcomes import removable_outcomes
from cabgate.lifecycle.state.standing import (
    exception_admits,
    standing_of,
    standings_of_exceptions,
)
from cabgate.outcomes.occupancy import is_ended
from cabgate.outcomes.pods import PodsNow, pods_now
from cabgate.outcomes.running import RunningWorkload, running_workload
from cabgate.outcomes.writing import (
    UNAVAILABLE_AFTER,
    ended,
    gone_on,
    is_unavailable,
    labels_of,
    left,
    name_of,
    place_of,
    present,
    result_of,
    says_what_runs,
    spec_of,
)
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import reference_of
from cabgate.writes.outcomes import covers
from cabgate_kube.errors import AlreadyExistsError
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import (
    EXCEPTIONS,
    INTENTS,
    NAMESPACES,
    OUTCOMES,
    REQUESTS,
    Object,
    Resource,
)
from cabgate_operator.controllers.break_glass import get_referred
from cabgate_operator.controllers.outcome_notes import BY_PLURAL, Notes, resource_of
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act

log = logging.getLogger(__name__)

PODS_EVERY = timedelta(seconds=10)
"""How often the Pods of one workload are listed at most, however often it changes."""

_PODS = Resource("v1", "Pod", "pods")

_SOON = timedelta(seconds=1)
"""How long after a deadline it is looked at: moments of Kubernetes are whole seconds."""


class Outcomes(Controller):
    """The outcomes of the workloads of intents. `served` says which kinds of workloads there
    are."""

    subjects = (Subject.OUTCOME,)

    def __init__(self, served: Callable[[], Sequence[Resource]], kept: int) -> None:
        self._served = served
        self._kept = kept
        self._notes = Notes()
        self._listed: dict[Key, datetime] = {}
        """When the Pods of a workload were listed last."""
        self._unavailable: dict[Key, datetime] = {}
        """Since when none of the Pods of a workload is available."""

    @property
    def watches(self) -> Sequence[Watch]:
        """Intents, outcomes, rings, and the metadata of workloads of the kinds that there are."""
        workloads = [each for each in self._served() if each.plural in BY_PLURAL]
        watches = [Watch(each, metadata_only=True) for each in workloads]
        return (Watch(INTENTS), Watch(OUTCOMES), Watch(NAMESPACES, swept=False), *watches)

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """A workload that an intent has, or that an outcome is about which has not ended, unless it
        was looked at as it is."""
        kind = BY_PLURAL.get(resource.plural)
        return () if kind is None else self._notes.to_look_at(kind, body)

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Note the targets of intents, and which outcomes there are; the workloads of an intent
        that says something else than before."""
        if event.resource == INTENTS:
            return self._notes.saw_intent(event)
        if event.resource == NAMESPACES:
            return self._notes.saw_namespace(event)
        if event.resource == OUTCOMES:
            self._notes.saw_outcome(event)
        elif event.swept:
            self._notes.saw_workload(BY_PLURAL[event.resource.plural], event.body)
        return ()

    async def begin_sweep(self, context: Context) -> None:
        """Count anew."""
        self._notes.begin_sweep(context.clock())

    def end_sweep(self) -> Sequence[Key]:
        """The workloads that are gone, of outcomes that have not ended or are needed no more."""
        return self._notes.end_sweep()

    async def reconcile(self, context: Context, key: Key) -> None:
        """Write what became of a workload."""
        namespace = await context.namespace(key.namespace)
        if namespace is None or namespace["metadata"].get("deletionTimestamp"):
            return  # nothing may be created there
        plural, _, name = key.name.partition("/")
        kind = BY_PLURAL[plural]
        workload = Workload(kind.group, kind.kind, name)
        raws = await context.api.list(OUTCOMES, key.namespace, labels=workload.label)
        outcomes = [parsed(RolloutOutcome, raw) for raw in raws]
        declared = self._notes.intent_of(key)
        if declared is None and not outcomes:
            return
        try:
            running = await _running(context, key)
        except PodTemplateError as error:
            about = fields(namespace=key.namespace, object=name, reason="Unreadable")
            log.warning("%s: cannot tell what it runs: %s", key, error, extra=about)
            await _leave(context, raws, outcomes)
            return
        labels = namespace["metadata"].get("labels")
        ring = context.installation.namespace_ring(key.namespace, labels)
        current = _current(running, outcomes, ring, declared)
        if running is not None and running.rolled_out and current is None and declared is not None:
            raw = await _begin(context, key, running, ring, declared[0], outcomes)
            if raw is not None:
                current = parsed(RolloutOutcome, raw)
                known = {each.metadata.name for each in outcomes}
                if current.metadata.name not in known:
                    raws, outcomes = [*raws, raw], [*outcomes, current]
        statuses = await self._statuses(context, key, running, outcomes, current)
        for raw, outcome, status in zip(raws, outcomes, statuses, strict=True):
            if status != outcome.status:
                await _write(context, raw, status)
        await self._remove(context, raws, outcomes, declared is not None)
        self._notes.looked_at(key, None if running is None else running.version)

    async def _statuses(
        self,
        context: Context,
        key: Key,
        running: RunningWorkload | None,
        outcomes: Sequence[RolloutOutcome],
        current: RolloutOutcome | None,
    ) -> list[RolloutOutcomeStatus]:
        """The status that each outcome of a workload is to have; sets when to look again."""
        now = context.clock()
        # Without an intent nothing new is written of what took its place.
        undeclared = self._notes.intent_of(key) is None
        has_other = undeclared and running is not None and running.rolled_out
        pods, again = None, None
        if running is not None and current is not None and not is_ended(current):
            pods, again = await self._pods(context, key, running, now)
        since = self._unavailable_since(key, running, pods, now)
        if since is not None and now - since < UNAVAILABLE_AFTER:
            again = min(again or now + UNAVAILABLE_AFTER, since + UNAVAILABLE_AFTER + _SOON)
        context.queue.add_at(key, again)
        found = []
        for each in outcomes:
            if is_ended(each):
                found.append(each.status)
            elif running is None or (each is not current and (has_other or current is not None)):
                others = [other for other in outcomes if other is not each]
                found.append(ended(each, result_of(each, running, others), now))
            else:
                found.append(gone_on(each, running, pods, since, now))
        return found

    async def _pods(
        self, context: Context, key: Key, running: RunningWorkload, now: datetime
    ) -> tuple[PodsNow | None, datetime | None]:
        """What the Pods of a workload show, None where they were looked at a moment ago; and when
        to look again."""
        last = self._listed.get(key)
        if last is not None and now - last < PODS_EVERY:
            return None, last + PODS_EVERY
        if not running.selector:
            return None, None
        self._listed[key] = now
        found = PodsNow()
        async for page in context.api.pages(_PODS, key.namespace, labels=running.selector):
            found = found.beside(pods_now(running, page.items, now))  # however many there are
        return found, None if found.may_fail_at is None else found.may_fail_at + _SOON

    def _unavailable_since(
        self, key: Key, running: RunningWorkload | None, pods: PodsNow | None, now: datetime
    ) -> datetime | None:
        """Since when none of the Pods of a workload is available, as far as that is known; None
        where one is."""
        if running is None or not is_unavailable(running):
            self._unavailable.pop(key, None)
            return None
        shown = now if pods is None or pods.unready_since is None else pods.unready_since
        return self._unavailable.setdefault(key, min(shown, now))

    async def _remove(
        self,
        context: Context,
        raws: Sequence[Object],
        outcomes: Sequence[RolloutOutcome],
        is_declared: bool,
    ) -> None:
        """Remove the outcomes of a workload that nobody needs any more, as they were read."""
        by_name = {raw["metadata"]["name"]: raw for raw in raws}
        now = context.clock()
        for each in removable_outcomes(outcomes, now, self._kept, is_declared=is_declared):
            await context.api.delete(OUTCOMES, by_name[each.metadata.name])
            note_act(f"outcome {each.metadata.name}", "Removed")


def _current(
    running: RunningWorkload | None,
    outcomes: Sequence[RolloutOutcome],
    ring: int,
    declared: tuple[str, str | None] | None,
) -> RolloutOutcome | None:
    """The outcome that goes on with what runs now. Of a workload that no intent has any more it is
    that which ran last."""
    if running is None:
        return None
    if declared is None:
        same = [e for e in outcomes if not is_ended(e) and says_what_runs(e, running)]
        return same[-1] if same else None
    name, release = declared
    return present((ring, release, name), running, outcomes)


async def _running(context: Context, key: Key) -> RunningWorkload | None:
    """What a workload runs; None if it is gone. Raises `PodTemplateError`."""
    plural, _, name = key.name.partition("/")
    kind = BY_PLURAL[plural]
    stored = await context.api.get(resource_of(kind), key.namespace, name)
    if stored is None:
        return None
    reference = reference_of(kind, stored)
    referred = None if reference is None else await get_referred(context, key.namespace, reference)
    return running_workload(kind, stored, referred)


async def _begin(
    context: Context,
    key: Key,
    running: RunningWorkload,
    ring: int,
    intent_name: str,
    before: Sequence[RolloutOutcome],
) -> Object | None:
    """Create the outcome of what a workload runs, by what its intent says now; None if the intent
    is gone, or says something else: a watch tells of it."""
    raw = await context.api.get(INTENTS, key.namespace, intent_name)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        return None
    intent = parsed(DeploymentIntent, raw)
    if running.workload not in map(Workload.of, intent.spec.targets):
        return None
    request, exception = await _let_in_by(context, key.namespace, intent, running)
    try:
        spec = spec_of(running, ring, intent_name, intent.spec.release, request, exception)
    except ValidationError:  # more images than are listed, or a longer one: no intent has it
        about = fields(namespace=key.namespace, object=key.name, reason="TooLarge")
        log.warning("%s: runs what no outcome can say", key, extra=about)
        return None
    known = present(place_of(spec), running, before)
    name = known.metadata.name if known else name_of(spec, running.uid, before)
    if known is not None:
        return await context.api.get(OUTCOMES, key.namespace, name)
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "namespace": key.namespace, "labels": labels_of(spec)},
        "spec": spec.to_dict(),
    }
    try:
        created = await context.api.create(OUTCOMES, key.namespace, body)
    except AlreadyExistsError:
        return await context.api.get(OUTCOMES, key.namespace, name)
    note_act(f"outcome {name}", "Begun")
    return created


async def _let_in_by(
    context: Context, namespace: str, intent: DeploymentIntent, running: RunningWorkload
) -> tuple[str | None, str | None]:
    """The names of the current request of an intent, if it names what runs, and of the exception
    for it that is active, if it needs one."""
    name = intent.status.request_name
    raw = None if name is None else await context.api.get(REQUESTS, namespace, name)
    if raw is None:
        return None, None
    request = parsed(CABRequest, raw)
    if not covers(request, running):
        return None, None
    if request.spec.assessment.gate is not Tier.EXCEPTION_REQUIRED:
        return name, None
    raws = await context.api.list(EXCEPTIONS, namespace, fields=f"spec.requestRef.name={name}")
    exceptions = standings_of_exceptions([parsed(CABException, each) for each in raws])
    standing, now = standing_of(request), context.clock()
    active = [each for each in exceptions if exception_admits(each, standing, now)]
    return name, active[0].metadata.name if active else None


async def _leave(
    context: Context, raws: Sequence[Object], outcomes: Sequence[RolloutOutcome]
) -> None:
    """Interrupt what ran before what cannot be read."""
    for raw, each in zip(raws, outcomes, strict=True):
        status = each.status if is_ended(each) else left(each, context.clock())
        if status != each.status:
            await _write(context, raw, status)


async def _write(context: Context, raw: Object, status: RolloutOutcomeStatus) -> None:
    """Write the status of an outcome, over the version that was read."""
    body = {**raw, "status": {**(raw.get("status") or {}), **status.to_dict()}}
    await context.api.replace_status(OUTCOMES, body)
    result = status.result.value if status.result is not None else "Updated"
    note_act(f"outcome {raw['metadata']['name']}", result)
