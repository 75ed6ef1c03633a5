# SPDX-License-Identifier: Apache-2.0
"""Change freezes: what they keep back of what is approved, and when their calendars end."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from prometheus_client import Gauge

from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.api.intent import DeploymentIntent
from cabgate.api.types import Target
from cabgate.gate.coverage import running_of
from cabgate.lifecycle.limits.calendars import calendar_ends
from cabgate.lifecycle.limits.freezes import KnownFreeze, read_freezes
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import kind_of
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import CHANGE_FREEZES, INTENTS, NAMESPACES, Object, Resource
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller, Watch
from cabgate_operator.work.keys import Key, Subject


async def freezes_for(context: Context, labels: Mapping[str, str]) -> Sequence[KnownFreeze]:
    """The freezes that may be about a namespace with these labels; none where the gate reads
    none."""
    return await _all(context) if POLICY_LABEL in labels else ()


async def running_targets(context: Context, intent: DeploymentIntent) -> Collection[Workload]:
    """The workloads of an intent that run what it declares for them already: nothing of it is left
    to be rolled out there, and nothing keeps it back."""
    targets = intent.spec.targets
    found = await asyncio.gather(*(_runs(context, intent, each) for each in targets))
    return [Workload.of(each) for each, runs in zip(targets, found, strict=True) if runs]


async def _runs(context: Context, intent: DeploymentIntent, target: Target) -> bool:
    kind = kind_of(target.api_version, target.kind, context.installation.kinds)
    if kind is None or not kind.resource or "*" in target.name:
        return False
    resource = Resource(target.api_version, kind.kind, kind.resource)
    namespace = intent.metadata.namespace
    try:
        stored = await context.api.get(resource, namespace, target.name)
    except ApiError as error:
        if error.code not in (403, 404):  # kinds that may not be read, or are not installed
            raise
        return False
    if stored is None:
        return False
    images = running_of(kind, namespace, stored).rollout.images
    return bool(images) and set(images) <= set(target.images)


async def _all(context: Context) -> Sequence[KnownFreeze]:
    """All of them, as they were listed since the last change of one: what the gate goes by it reads
    itself."""

    async def read() -> Sequence[KnownFreeze]:
        return read_freezes(await context.api.list(CHANGE_FREEZES, ""))

    return await context.remembered.still(CHANGE_FREEZES, "", read)


class Freezes(Controller):
    """Change freezes. What begins and ends of them by itself, each intent looks after."""

    subjects = (Subject.FREEZES,)
    watches = (Watch(CHANGE_FREEZES, swept=False),)

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """All of them at once."""
        return (Key(Subject.FREEZES, "", ""),)

    def end_sweep(self) -> Sequence[Key]:
        """All of them: what is over long since is told of no more."""
        return (Key(Subject.FREEZES, "", "ends"),)

    async def reconcile(self, context: Context, key: Key) -> None:
        """Tell when calendars end; after a change of a freeze, look again at the intents of the
        namespaces that carry a change policy."""
        known = await _all(context)
        self._show(known, context.clock())
        if key.name:
            return
        for namespace in await context.api.list(NAMESPACES, "", labels=POLICY_LABEL):
            name = namespace["metadata"]["name"]
            for intent in await context.api.list(INTENTS, name):
                context.queue.add(Key(Subject.INTENT, name, intent["metadata"]["name"]))

    def _show(self, known: Sequence[KnownFreeze], now: datetime) -> None:
        self._gauge.clear()
        for each in calendar_ends(known, now):
            self._gauge.labels(each.name, each.kind.value).set(each.ends.timestamp())
