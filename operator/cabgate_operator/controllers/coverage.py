# SPDX-License-Identifier: Apache-2.0
"""What runs in gated namespaces although nothing covers it: counted, told, and never stopped."""

import contextlib
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Gauge

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException
from cabgate.api.kinds import BUILT_IN
from cabgate.api.request import CABRequest
from cabgate.gate.commands import list_uncovered
from cabgate.gate.composing import compose
from cabgate.gate.coverage import Running, Uncovered, running_of, uncovered
from cabgate.lifecycle.state.standing import standings_of, standings_of_exceptions
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.rings import GATED_FROM, RING_LABEL
from cabgate_kube.errors import ApiError
from cabgate_kube.k8s_events import News, Reference
from cabgate_kube.resources import EXCEPTIONS, NAMESPACES, REQUESTS, Resource
from cabgate_operator.controllers.beyond import tell_beyond
from cabgate_operator.work.context import Context, listed
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject

log = logging.getLogger(__name__)

WORKLOADS = tuple((kind, Resource(kind.api_version, kind.kind, kind.resource)) for kind in BUILT_IN)
"""What is counted: the kinds that are gated everywhere."""

MAX_NAMES = 10
"""Workloads that an Event names."""

EVENTS_LAST = timedelta(hours=1)
"""How long the API server keeps an Event, unless it was told otherwise."""


class Coverage(Controller):
    """Which namespaces are gated, and what runs uncovered there."""

    subjects = (Subject.COVERAGE,)
    watches = (Watch(NAMESPACES, swept=False),)

    def __init__(
        self,
        gauge: Gauge,
        installation: InstallationSettings,
        absent: Callable[[str], frozenset[str]] = lambda namespace: frozenset(),
    ) -> None:
        """`absent` says of which resources the last sweep found nothing in a namespace."""
        self._gauge = gauge
        self._installation = installation
        self._absent = absent
        self._swept: dict[str, frozenset[str]] = {}
        """Of which resources a sweep found nothing, until a namespace is looked at for it."""
        self._rings: dict[str, int] = {}
        self._risen: set[str] = set()

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Take note of a namespace; its key if it is or was gated and its ring changed.

        One that is seen for the first time counts as risen if somebody wrote its ring label not
        long ago: a ring that rose while no operator ran is told of by the next. If it was told of
        already, that Event is still there, and is not written again.
        """
        meta: Mapping[str, Any] = event.body.get("metadata") or {}
        name = str(meta.get("name", ""))
        ring = 0 if event.deleted else self._installation.namespace_ring(name, meta.get("labels"))
        before = self._rings.get(name)
        if event.deleted:
            self._rings.pop(name, None)
        else:
            self._rings[name] = ring
        if before is None:
            written = _label_written(meta)
            risen = written is not None and event.at - written < EVENTS_LAST
        else:
            risen = before < GATED_FROM
        if ring >= GATED_FROM and risen:
            self._risen.add(name)
        changed = before != ring and max(before or 0, ring) >= GATED_FROM
        return (Key(Subject.COVERAGE, name, ""),) if changed else ()

    def end_sweep(self) -> Sequence[Key]:
        """The gated namespaces."""
        gated = [name for name, ring in self._rings.items() if ring >= GATED_FROM]
        self._swept = {name: self._absent(name) for name in gated}
        return [Key(Subject.COVERAGE, name, "") for name in gated]

    async def reconcile(self, context: Context, key: Key) -> None:
        """Count what runs uncovered in a namespace; tell of it if its ring rose."""
        namespace = key.namespace
        absent = self._swept.pop(namespace, frozenset())
        if namespace in self._risen:
            absent = frozenset()  # told once: what came after the sweep is counted as well
        raw = await context.namespace(namespace)
        meta: dict[str, Any] = {} if raw is None else raw["metadata"]
        ring = self._installation.namespace_ring(namespace, meta.get("labels")) if meta else 0
        if ring < GATED_FROM:
            self._risen.discard(namespace)
            with contextlib.suppress(KeyError):
                self._gauge.remove(namespace)
            if meta:
                exceptions = await listed(context.api, CABException, EXCEPTIONS, namespace)
                await tell_beyond(context, exceptions, (), gated=False)
            return
        found, exceptions = await _uncovered(context, namespace, ring, absent)
        self._gauge.labels(namespace).set(len(found))
        if found and namespace in self._risen:
            about = Reference(NAMESPACES, namespace, namespace, str(meta.get("uid", "")))
            await context.tell(about, news_of(namespace, ring, found, _label_written(meta)))
        self._risen.discard(namespace)
        # Last: a status that changes meanwhile is written anew with the next try.
        await tell_beyond(context, exceptions, found)


def news_of(
    namespace: str, ring: int, found: Sequence[Uncovered], written: datetime | None
) -> News:
    """What to tell of a namespace whose ring rose over workloads that nothing covers: once for
    each time that its label was written."""
    names = [item.workload.argument for item in found]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    workloads = "1 workload runs" if len(found) == 1 else f"{len(found)} workloads run"
    return News(
        "UncoveredWorkloads",
        compose(
            f"Ring {ring}: {workloads} images that no approval covers.",
            [
                "What runs keeps running; its next rollout needs an approval.",
                f"{', '.join(names[:MAX_NAMES])}{more}.",
            ],
            f"See which and why: {list_uncovered(namespace)}",
        ),
        (str(ring), rfc3339(written) if written else ""),
        warning=True,
    )


async def _uncovered(
    context: Context, namespace: str, ring: int, absent: Container[str]
) -> tuple[list[Uncovered], list[CABException]]:
    """What runs uncovered in a namespace, and the exceptions there."""
    running, requests = await _running(context, namespace, absent), []
    if running:
        requests = await listed(context.api, CABRequest, REQUESTS, namespace)
    exceptions = await listed(context.api, CABException, EXCEPTIONS, namespace)
    found = uncovered(
        namespace,
        ring,
        running,
        standings_of(requests),
        standings_of_exceptions(exceptions),
        context.clock(),
    )
    return found, exceptions


async def _running(context: Context, namespace: str, absent: Container[str]) -> list[Running]:
    """What runs in a namespace, where nothing is known to be `absent` of some resources; of each
    object only what is needed of it is kept."""
    found = []
    for kind, resource in WORKLOADS:
        if resource.plural in absent:
            continue
        try:
            async for page in context.api.pages(resource, namespace):
                found += [running_of(kind, namespace, obj) for obj in page.items]
        except ApiError as error:
            if error.code != 404:  # Argo Rollouts are not installed everywhere
                raise
    return found


def _label_written(meta: Mapping[str, Any]) -> datetime | None:
    """When somebody last wrote the ring label, or another field of theirs with it."""
    times = [
        entry.get("time")
        for entry in meta.get("managedFields") or []
        if f"f:{RING_LABEL}"
        in (((entry.get("fieldsV1") or {}).get("f:metadata") or {}).get("f:labels") or {})
    ]
    return max((datetime.fromisoformat(time) for time in times if time), default=None)
