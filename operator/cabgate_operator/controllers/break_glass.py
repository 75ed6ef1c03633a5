# SPDX-License-Identifier: Apache-2.0
"""Broken glasses: finds the workloads that say so, and opens a request for each break.

Nothing here stands in anybody's way: the rollout has happened. The request waits, like any other,
until a person decides it; it is never superseded.
"""

import logging
from collections.abc import Sequence
from typing import Any

from cabgate.api.kinds import GatedKind
from cabgate.api.request import CABRequest, RequestVerdict
from cabgate.lifecycle.requests.break_glass import (
    BREAKABLE,
    breakable,
    breaks_of,
    is_cut,
    requests_for_glass,
    template_taken_from,
)
from cabgate.lifecycle.state.requirements import unknown_words
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import kind_of
from cabgate_kube.client import ApiServer
from cabgate_kube.errors import AlreadyExistsError, ApiError
from cabgate_kube.k8s_events import News, Reference
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import NAMESPACES, REQUESTS, Object, Resource
from cabgate_operator.controllers.related import intent_named, requests_naming
from cabgate_operator.plans import texts
from cabgate_operator.plans.requests import (
    body_of,
    plan_request,
    seconds_to_decision,
    status_of_request,
)
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act, note_correlation

log = logging.getLogger(__name__)


def _resource(kind: GatedKind) -> Resource:
    return Resource(kind.api_version, kind.kind, kind.resource)


WORKLOADS = tuple(_resource(kind) for kind in BREAKABLE)
"""The kinds on which the glass can be broken."""

_DEFINED = frozenset(_resource(kind) for kind in BREAKABLE if kind.has_definition)

_BY_PLURAL = {kind.resource: kind for kind in BREAKABLE}


async def served_workloads(api: ApiServer) -> tuple[Resource, ...]:
    """Those of `WORKLOADS` that the cluster has: all but those whose definition is absent."""
    return tuple(
        [
            resource
            for resource in WORKLOADS
            if resource not in _DEFINED or await api.serves(resource)
        ]
    )


def glass_key(resource: Resource, body: Object) -> Key | None:
    """What to look at when a workload was seen; None if its glass was never broken."""
    meta: dict[str, Any] = body.get("metadata") or {}
    if not breaks_of(_BY_PLURAL[resource.plural], body):
        return None
    return Key(Subject.GLASS, meta.get("namespace", ""), f"{resource.plural}/{meta['name']}")


async def reconcile_glass(context: Context, key: Key) -> None:
    """Open the request for each break of a workload's glass, unless there is one."""
    if context.installation.excludes(key.namespace):
        return  # no policy of ours looked there: what stands on a workload, anybody wrote
    plural, _, name = key.name.partition("/")
    kind = _BY_PLURAL[plural]
    namespace = await context.api.get(NAMESPACES, "", key.namespace)
    if namespace is None or namespace["metadata"].get("deletionTimestamp"):
        return  # nothing may be created there
    raw = await context.api.get(_resource(kind), key.namespace, name)
    if raw is None or not breaks_of(kind, raw):
        return
    reference = template_taken_from(kind, raw)
    referred = None if reference is None else await get_referred(context, key.namespace, reference)
    requests = requests_for_glass(kind, raw, referred)
    known = await _known(context, requests)
    # The earliest last: as long as it is not there, those before it may have left no request.
    for request in requests:
        found = known.get(request.metadata.name)
        if found is not None:
            _check_same(key, request, found)
            continue
        note_correlation(request.spec.correlation_id)
        if request is requests[-1] and is_cut(raw):
            await _tell_of_the_cut(context, kind, raw, request)
        try:
            await context.api.create(REQUESTS, key.namespace, body_of(request))
        except AlreadyExistsError:
            continue  # a watch tells of it
        note_act(f"request {request.metadata.name}", "Opened", warns=True)


async def _known(context: Context, requests: list[CABRequest]) -> dict[str, CABRequest]:
    """Those of some requests for one workload that are there, by name."""
    namespace, (first, *others) = requests[0].metadata.namespace, requests
    if others:
        found = await requests_naming(context, namespace, first.spec.targets)
        return {each.name: each.stored for each in found}
    one = await context.api.get(REQUESTS, namespace, first.metadata.name)
    return {} if one is None else {first.metadata.name: parsed(CABRequest, one)}


def _check_same(key: Key, request: CABRequest, found: CABRequest) -> None:
    """Log a request that has the name of a break's and is about something else."""
    if found.spec.break_glass != request.spec.break_glass:
        log.error(
            "%s: request %s is about something else: not recorded",
            *(key, request.metadata.name),
            extra=fields(
                namespace=key.namespace, object=request.metadata.name, reason="NotRecorded"
            ),
        )


async def _tell_of_the_cut(
    context: Context, kind: GatedKind, raw: Object, request: CABRequest
) -> None:
    """Say that a workload's annotations had no room for still earlier breaks, and that these may
    have left no request."""
    meta = raw["metadata"]
    about = Reference(_resource(kind), meta["namespace"], meta["name"], meta["uid"])
    message = texts.breaks_cut(request)
    await context.tell(about, News("BreaksNotListed", message, (request.metadata.name,), True))
    extra = fields(namespace=meta["namespace"], object=meta["name"], reason="BreaksNotListed")
    log.warning("%s/%s: %s", meta["namespace"], meta["name"], message, extra=extra)


async def get_referred(context: Context, namespace: str, workload: Workload) -> Object | None:
    """What the `workloadRef` of a workload names, if it is there."""
    version = f"{workload.group}/v1" if workload.group else "v1"
    kind = kind_of(version, workload.kind)
    return (
        None if kind is None else await context.api.get(_resource(kind), namespace, workload.name)
    )


async def reconcile_retrospect(context: Context, key: Key) -> None:
    """Bring the status of a request up to date that was opened for a broken glass; tell of it the
    first time."""
    raw = await context.api.get(REQUESTS, key.namespace, key.name)
    if raw is None or raw["metadata"].get("deletionTimestamp"):
        return
    request = parsed(CABRequest, raw)
    if not is_retrospective(request) or unknown_words(request):
        return
    note_correlation(request.spec.correlation_id)
    system = context.system()
    plan = plan_request(WholeRequest.of(request), None, [], system)
    status = status_of_request(raw, plan, system.now, context.machines)
    if status == (raw.get("status") or {}):
        return
    is_new = plan.has(RequestVerdict.GLASS_BROKEN)
    if is_new:
        # Before the status: a status that says it is told only after it was.
        for about in _told_about(request):
            await context.tell(about, _broken(request))
    await context.api.replace_status(REQUESTS, {**raw, "status": status})
    context.metrics.decided(plan.state, seconds_to_decision(raw, plan))
    note_act(f"request {key.name}", plan.state)
    if is_new:
        context.metrics.glass_broken.labels(key.namespace).inc()


def _told_about(request: CABRequest) -> list[Reference]:
    """The workload, and the request."""
    meta, target, broken = request.metadata, request.spec.targets[0], request.spec.break_glass
    about = [Reference(REQUESTS, meta.namespace, meta.name, meta.uid)]
    kind = breakable(target.api_version, target.kind)
    if kind is not None and broken is not None:
        about.append(Reference(_resource(kind), meta.namespace, target.name, broken.uid))
    return about


def _broken(request: CABRequest) -> News:
    message = texts.glass_broken(request)
    return News("GlassBroken", message, (request.metadata.uid,), warning=True)


class Glass(Controller):
    """Workloads whose glass was broken, of the kinds that the cluster has."""

    subjects = (Subject.GLASS,)
    reconcile = staticmethod(reconcile_glass)

    def __init__(self) -> None:
        self._served: tuple[Resource, ...] = ()
        self._there: dict[str, set[str]] = {}

    @property
    def watches(self) -> Sequence[Watch]:
        """The kinds that the cluster was found to have."""
        return tuple(Watch(resource, metadata_only=True) for resource in self._served)

    @property
    def served(self) -> Sequence[Resource]:
        """The kinds on which the glass can be broken that the cluster was found to have."""
        return self._served

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """The workload, if its glass was broken."""
        broken = glass_key(resource, body)
        return () if broken is None else (broken,)

    async def start(self, context: Context) -> None:
        """Find out which kinds of workloads there are."""
        try:
            self._served = await served_workloads(context.api)
        except ApiError as error:
            log.warning("cannot see which workloads there are: %s; a sweep looks again", error)

    async def begin_sweep(self, context: Context) -> None:
        """Find it out again: a kind may have come or gone."""
        await self.start(context)
        self._there = {resource.plural: set() for resource in self._served}

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Note where a sweep finds workloads."""
        if event.swept:
            place = self._there.setdefault(event.resource.plural, set())
            place.add(str((event.body.get("metadata") or {}).get("namespace", "")))
        return ()

    def absent(self, namespace: str) -> frozenset[str]:
        """The resources of which the last sweep found nothing in a namespace."""
        return frozenset(p for p, spaces in self._there.items() if namespace not in spaces)


class Retrospects(Controller):
    """Requests that were opened for a broken glass."""

    subjects = (Subject.RETROSPECT,)
    watches = (Watch(REQUESTS),)
    reconcile = staticmethod(reconcile_retrospect)

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """The request itself, if no intent asked for it."""
        if intent_named(body):
            return ()
        meta = body.get("metadata") or {}
        return (Key(Subject.RETROSPECT, meta.get("namespace", ""), meta.get("name", "")),)
