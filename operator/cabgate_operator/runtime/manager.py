# SPDX-License-Identifier: Apache-2.0
"""The operator as a whole: queue, reconcilers and sweep. What kopf sees comes in by `saw`."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cabgate.risk.builtin_model import DEFAULT_NAME
from cabgate.risk.model_choice import MODEL_LABEL
from cabgate.rollout.rings import RING_LABEL
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import utc_now
from cabgate_kube.errors import ApiError
from cabgate_kube.process.logs import explained, fields, reason_of
from cabgate_kube.resources import (
    EXCEPTIONS,
    INTENTS,
    NAMESPACES,
    REQUESTS,
    RISK_MODELS,
    Object,
    Resource,
)
from cabgate_operator.controllers.break_glass import served_workloads
from cabgate_operator.controllers.certificates import CERTIFICATES, Certificates
from cabgate_operator.controllers.coverage import Coverage
from cabgate_operator.controllers.installation import check_installation
from cabgate_operator.controllers.ledger import Ledger
from cabgate_operator.controllers.models import reconcile_models
from cabgate_operator.controllers.retention import Census, reconcile_retention
from cabgate_operator.runtime.dependents import Dependents
from cabgate_operator.runtime.observed import keys_of
from cabgate_operator.runtime.reconcilers import RECONCILERS
from cabgate_operator.runtime.seen import Seen
from cabgate_operator.settings import Settings
from cabgate_operator.work.context import Context
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from cabgate_operator.work.overview import Overview
from cabgate_operator.work.queue import Timing, WorkQueue

log = logging.getLogger(__name__)

WATCHED = (INTENTS, REQUESTS, EXCEPTIONS, RISK_MODELS, NAMESPACES)
"""What the operator watches, beside the workloads that the cluster has."""

SWEPT = (INTENTS, REQUESTS, EXCEPTIONS)
"""What a sweep lists."""

LISTING_SECONDS = 30.0
"""How long after a start kopf's lists count as part of it."""

LATE_SECONDS = 120.0
"""How much longer than two of its periods a sweep may take to come, in seconds."""

STUCK_SECONDS = 300.0
"""How long a worker may be at one key, in seconds. Every call that it makes ends in far less."""

LONGEST_SWEEP_RETRY = 30.0
"""Longest wait before a failed sweep is tried again, in seconds."""


class Operator:
    """Reconciles what it is told about, what a sweep finds, and what falls due.

    It lives as long as its replica leads, without a break: what one knows, the next reads anew.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.metrics = metrics or Metrics()
        self.overview = Overview()
        self._clock = clock
        self._monotonic = monotonic
        timing = Timing(clock=clock, monotonic=monotonic)
        self.queue = WorkQueue(self._reconcile, timing, self.metrics.handled)
        self.workloads: tuple[Resource, ...] = ()
        """The kinds of workloads that the cluster has."""
        self._coverage = Coverage(self.metrics.uncovered_workloads, self.settings.installation)
        self._ledger = Ledger()
        self._certificates = Certificates(self.settings.webhook_name)
        self._context: Context | None = None
        self._choices: dict[str, tuple[str | None, ...]] = {}
        self._newest_seen: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._trouble = False
        self._seen = Seen()
        self._dependents = Dependents()
        self._meanwhile: dict[Key, list[tuple[str, str]]] = {}
        """Versions that watches brought of what a worker is at."""
        self._sweep_now = asyncio.Event()
        self._look_at_all = True
        """Whether the next sweep looks at what is as it was seen, too."""
        self._sweeper: asyncio.Task[None] | None = None
        self._swept_at: float | None = None
        self._begun = self._listing_from = self._monotonic()
        self.on_stale_watch: Callable[[str], None] = lambda why: None
        """Called when a sweep shows that the watches missed something."""

    @property
    def context(self) -> Context:
        """What the reconcilers work with; there once the operator has started."""
        if self._context is None:
            raise RuntimeError("the operator has not started")
        return self._context

    async def start(self, api: ApiServer) -> None:
        """Begin to work."""
        username = await self._who_am_i(api)
        log.info("working as %s", username)
        self._context = Context(
            *(api, self.queue, self._clock, username, self.settings.installation),
            machines=self.settings.machines,
            labels=self.settings.request_label,
            metrics=self.metrics,
        )
        await self._look_for_workloads()
        await self._ensure_model()
        if self.settings.manage_certificates:
            self.queue.add(CERTIFICATES)
        self.queue.start(self.settings.workers)
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="sweep")

    @property
    def watched(self) -> tuple[Resource, ...]:
        """All that is watched."""
        return (*WATCHED, *self.workloads)

    async def _look_for_workloads(self) -> bool:
        """Find out which kinds of workloads there are; whether that is news."""
        before = self.workloads
        try:
            self.workloads = await served_workloads(self.context.api)
        except ApiError as error:
            log.warning("cannot see which workloads there are: %s; a sweep looks again", error)
        return before != self.workloads

    async def _ensure_model(self) -> None:
        """Have a risk model before the first intent is looked at; if that fails, soon after."""
        key = Key(Subject.MODELS, "", DEFAULT_NAME)
        try:
            await reconcile_models(self.context, key)
        except ApiError as error:
            log.warning("%s: %s, retrying soon", key, error)
            self.queue.add(key)

    async def _who_am_i(self, api: ApiServer) -> str:
        delay = 1.0
        while True:
            try:
                return await api.who_am_i()
            except ApiError as error:
                log.warning("cannot reach the API server: %s, retrying in %.0f s", error, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_SWEEP_RETRY)

    async def stop(self) -> None:
        """End; whatever is left undone is done at the next start."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.queue.stop()

    @property
    def ready(self) -> bool:
        """Whether the first sweep is done."""
        return self._swept_at is not None

    def problems(self) -> list[str]:
        """What is wrong so that only a new process may help."""
        found = []
        if self._sweeper is not None and not self.queue.running:
            found.append("queue: a worker has ended")
        slowest = self.queue.slowest()
        if slowest is not None and slowest[1] > STUCK_SECONDS:
            found.append(f"queue: a worker has been at {slowest[0]} for {slowest[1]:.0f} s")
        if self._sweeper is not None and self._sweeper.done():
            found.append("sweep: has ended")
        last = self._begun if self._swept_at is None else self._swept_at
        late = self._monotonic() - last
        if late > 2 * self.settings.sweep_seconds + LATE_SECONDS:
            found.append(f"sweep: the last one was {late:.0f} s ago")
        return found

    def saw(self, resource: Resource, event: Object) -> None:
        """Take note of an event of a watch."""
        body: Object = event.get("object") or {}
        meta: dict[str, Any] = body.get("metadata") or {}
        version = str(meta.get("resourceVersion", ""))
        if version.isdigit():
            newest = self._newest_seen.get(resource.plural, 0)
            self._newest_seen[resource.plural] = max(newest, int(version))
        if resource is NAMESPACES:
            self._saw_namespace(meta, deleted=event.get("type") == "DELETED")
        else:
            deleted = event.get("type") == "DELETED"
            self.overview.saw(resource, body, deleted=deleted)
            if resource in SWEPT:
                self._seen.saw(resource, body, deleted=deleted)
            depend = self._dependents.saw(resource, body, deleted=deleted)
            # What kopf lists at its start, a sweep lists as well, and comes by all that depends.
            early = self._monotonic() - self._listing_from < LISTING_SECONDS
            if event.get("type") is None and early:
                depend = set()
            own = keys_of(resource, body)
            for key in own:
                self._queue_unless_own(key, (str(meta.get("uid", "")), version))
            for key in depend.difference(own):
                self.queue.add(key)
            self._note_decisions(resource, body, deleted=deleted)

    def _queue_unless_own(self, key: Key, version: tuple[str, str]) -> None:
        """Queue a key, unless the version that a watch brought is of a write of its own look. That
        is known when the look is over: a watch can be faster than the answer to the write."""
        if self.queue.is_active(key):
            self._meanwhile.setdefault(key, []).append(version)
        elif not self.context.brought(version):
            self.queue.add(key)

    def _note_decisions(self, resource: Resource, body: Object, *, deleted: bool = False) -> None:
        key = self._ledger.saw(resource, body, deleted=deleted)
        if key is not None:
            self.queue.add(key)

    def _saw_namespace(self, meta: dict[str, Any], *, deleted: bool) -> None:
        name = meta.get("name", "")
        key = self._coverage.saw(meta, self._clock(), deleted=deleted)
        if key is not None:
            self.queue.add(key)
        if deleted:
            self._choices.pop(name, None)
            return
        labels = meta.get("labels") or {}
        chosen = (labels.get(RING_LABEL), labels.get(MODEL_LABEL))
        if self._choices.get(name, chosen) != chosen:
            self.queue.add(Key(Subject.NAMESPACE, name, ""))
        self._choices[name] = chosen

    def watch_began(self, plural: str, since: int) -> None:
        """A watch goes on from a version; check that the cluster has got so far.

        After etcd was rolled back the API server accepts a version of the future, and then is
        silent until the cluster has reached it.
        """
        self._since[plural] = since
        self.queue.add(Key(Subject.WATCH, "", plural))
        if self._trouble:
            self._trouble = False
            self.sweep_soon()

    def watch_failed(self) -> None:
        """A watch could not go on; once it can, sweep, whatever happened meanwhile."""
        self._trouble = True

    async def _check_watch(self, key: Key) -> None:
        resource = next((each for each in self.watched if each.plural == key.name), None)
        if resource is None:
            return  # of a kind that is gone by now
        since = self._since.get(key.name, 0)
        newest = await self.context.api.newest_version(resource)
        if newest < since:
            self.on_stale_watch(f"{key.name} went back from version {since} to {newest}")

    def sweep_soon(self) -> None:
        """Sweep now, out of turn, and look at everything: something may have been missed."""
        self._look_at_all = True
        self._sweep_now.set()

    def watches_restarted(self) -> None:
        """The watches begin anew, perhaps on an older state of the cluster."""
        self._newest_seen.clear()
        self._seen.forget()
        self.context.written.clear()
        self._since.clear()
        self._ledger.forget()
        self._listing_from = self._monotonic()
        self.sweep_soon()

    async def _reconcile(self, key: Key) -> None:
        try:
            await self._look(key)
        finally:
            brought = [self.context.brought(each) for each in self._meanwhile.pop(key, ())]
            if not all(brought):
                self.queue.add(key)

    async def _look(self, key: Key) -> None:
        if key.subject in RECONCILERS:
            await RECONCILERS[key.subject](self.context, key)
        elif key.subject is Subject.LEDGER:
            await self._ledger.reconcile(self.context, key.namespace)
        elif key.subject is Subject.HEADS:
            await self._ledger.publish(self.context)
        elif key.subject is Subject.RETENTION:
            kept = self.settings.keep_approved
            await reconcile_retention(self.context, self._ledger, key.namespace, kept)
        elif key.subject is Subject.COVERAGE:
            await self._coverage.reconcile(self.context, key.namespace)
        elif key.subject is Subject.CERTIFICATES:
            self.queue.add_at(key, await self._certificates.reconcile(self.context))
        elif key.subject is Subject.WATCH:
            await self._check_watch(key)
        else:
            await self._fan_out_namespace(key)

    async def _fan_out_namespace(self, key: Key) -> None:
        for item in await self.context.api.list(INTENTS, key.namespace):
            self.queue.add(Key(Subject.INTENT, key.namespace, item["metadata"]["name"]))

    async def _sweep_forever(self) -> None:
        delay = 0.5
        while True:
            self._sweep_now.clear()
            everything, self._look_at_all = self._look_at_all, False
            try:
                await self._sweep(everything)
            except Exception as error:  # noqa: BLE001 - a sweep that fails is tried again
                self._look_at_all = self._look_at_all or everything
                about = fields(kind="sweep", reason=reason_of(error))
                log.warning("sweep: %s, retrying in %.1f s", explained(error), delay, extra=about)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_SWEEP_RETRY)
                continue
            delay = 0.5
            self._swept_at = self._monotonic()
            self.metrics.swept_at.set(time.time())
            try:
                async with asyncio.timeout(self.settings.sweep_seconds):
                    await self._sweep_now.wait()
            except TimeoutError:
                continue

    async def _sweep(self, everything: bool) -> None:
        """Queue every object that there is, or that the watches did not bring as it is, and the
        namespaces that may hold too many."""
        begun = self._monotonic()
        uids: list[str] = []
        census = Census(self._clock())
        for resource in SWEPT:
            seen = self._newest_seen.get(resource.plural, 0)
            at = 0
            async for page in self.context.api.pages(resource):
                at = at or int(page.resource_version or 0)
                for item in page.items:
                    uids.append(str(item["metadata"].get("uid", "")))
                    self.overview.saw(resource, item)
                    depend = self._dependents.saw(resource, item)
                    news = self._seen.saw(resource, item)
                    # One that looks at everything comes by all that depends.
                    for key in depend if news and not everything else ():
                        self.queue.add(key)
                    for key in keys_of(resource, item) if news or everything else ():
                        self.queue.add(key)
                    self._note_decisions(resource, item)
                    if resource is REQUESTS:
                        census.saw(item)
                await asyncio.sleep(0)
            listed = set(uids)
            for key in (
                *self._seen.gone(resource, listed),
                *self._dependents.gone(resource, listed),
            ):
                self.queue.add(key)
            if at and at < seen:
                self.on_stale_watch(f"{resource.plural} went back from version {seen} to {at}")
        for namespace in census.to_look_at(self.settings.keep_approved):
            self.queue.add(Key(Subject.RETENTION, namespace, ""))
        self.overview.swept(uids)
        for key in self._coverage.gated():
            self.queue.add(key)
        await check_installation(self.context)
        workloads = await self._sweep_workloads()
        count, seconds = len(uids) + workloads, self._monotonic() - begun
        about = fields(kind="sweep", reason="Swept", milliseconds=round(seconds * 1000, 1))
        log.info("swept %d objects", count, extra=about)

    async def _sweep_workloads(self) -> int:
        """Find broken glasses, on new kinds too; how many workloads there are."""
        if await self._look_for_workloads():
            self.on_stale_watch("there are other kinds of workloads than before")
        count = 0
        for resource in self.workloads:
            async for page in self.context.api.pages(resource, metadata=True):
                count += len(page.items)
                for item in page.items:
                    for key in keys_of(resource, item):
                        self.queue.add(key)
                await asyncio.sleep(0)
        return count
