# SPDX-License-Identifier: Apache-2.0
"""The operator as a whole: what watches and sweeps bring comes to keys, and keys to controllers."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from cabgate_kube.client import ApiServer
from cabgate_kube.clock import utc_now
from cabgate_kube.errors import ApiError
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import INTENTS, REQUESTS, Object, Resource
from cabgate_operator.runtime.dependents import Dependents
from cabgate_operator.runtime.registry import make_controllers
from cabgate_operator.runtime.seen import Seen
from cabgate_operator.runtime.stale_watches import StaleWatches
from cabgate_operator.runtime.sweeper import LONGEST_RETRY, Sweeper
from cabgate_operator.settings import Settings
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from cabgate_operator.work.overview import Overview
from cabgate_operator.work.queue import Timing, WorkQueue
from cabgate_operator.work.remembered import Remembered

log = logging.getLogger(__name__)

LISTING_SECONDS = 30.0
"""How long after a start kopf's lists count as part of it."""

STUCK_SECONDS = 300.0
"""How long a worker may be at one key, in seconds. Every call that it makes ends in far less."""


class Manager:
    """Has controllers reconcile what watches bring, what a sweep finds, and what falls due.

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
        self.queue = WorkQueue(
            self._reconcile, Timing(clock=clock, monotonic=monotonic), self.metrics.handled
        )
        self.on_stale_watch: Callable[[str], None] = lambda why: None
        """Called when the watches turn out to miss something."""
        self._clock = clock
        self._monotonic = monotonic
        self._stale = StaleWatches(lambda: self.watched, self._watches_are_stale)
        self._controllers = (*make_controllers(self.settings, self.metrics), self._stale)
        self._by_subject = _by_subject(self._controllers)
        self.watches: Mapping[Resource, Watch] = {}
        """All that is watched."""
        self._watching: Mapping[Resource, Sequence[Controller]] = {}
        self._look_at_watches()
        self._seen = Seen(self.keys_of)
        self._dependents = Dependents(self.keys_of)
        self._remembered = Remembered(monotonic)
        self._sweeper = Sweeper(self._sweep, self.settings.sweep_seconds, self._swept, monotonic)
        self._context: Context | None = None
        self._trouble = False
        self._listing_from = monotonic()
        self._losses = 0
        """How often the watches may have missed something."""
        self._listed_at = -1
        """What that was as the last sweep began that is done."""

    @property
    def context(self) -> Context:
        """What the controllers work with; there once the manager has started."""
        if self._context is None:
            raise RuntimeError("the operator has not started")
        return self._context

    @property
    def watched(self) -> list[Resource]:
        """The resources of all that is watched."""
        return list(self.watches)

    def _look_at_watches(self) -> None:
        """Find out what the controllers watch by now."""
        found: dict[Resource, Watch] = {}
        watching: dict[Resource, list[Controller]] = {}
        for controller in self._controllers:
            for watch in controller.watches:
                found.setdefault(watch.resource, watch)
                watching.setdefault(watch.resource, []).append(controller)
        self.watches, self._watching = found, watching

    def keys_of(self, resource: Resource, body: Object) -> list[Key]:
        """What to reconcile when an object changed, by what stands in it alone. Called in any
        thread."""
        watching = self._watching.get(resource, ())
        return [key for each in watching for key in each.keys(resource, body)]

    async def start(self, api: ApiServer) -> None:
        """Begin to work."""
        username = await _who_am_i(api)
        log.info("working as %s", username)
        self._context = Context(
            *(api, self.queue, self._clock, username, self.settings.installation),
            machines=self.settings.machines,
            labels=self.settings.request_label,
            metrics=self.metrics,
            remembered=self._remembered,
            requests=self._dependents,
        )
        for controller in self._controllers:
            await controller.start(self._context)
        self._look_at_watches()
        self.queue.start(self.settings.workers)
        self._sweeper.start()

    async def stop(self) -> None:
        """End; whatever is left undone is done at the next start."""
        await self._sweeper.stop()
        await self.queue.stop()

    @property
    def ready(self) -> bool:
        """Whether the first sweep is done."""
        return self._sweeper.ready

    def problems(self) -> list[str]:
        """What is wrong so that only a new process may help."""
        found = []
        if self._sweeper.started and not self.queue.running:
            found.append("queue: a worker has ended")
        slowest = self.queue.slowest()
        if slowest is not None and slowest[1] > STUCK_SECONDS:
            found.append(f"queue: a worker has been at {slowest[0]} for {slowest[1]:.0f} s")
        return [*found, *self._sweeper.problems()]

    def saw(self, resource: Resource, event: Object) -> None:
        """Take note of an event of a watch."""
        body, deleted = event.get("object") or {}, event.get("type") == "DELETED"
        self._stale.brought(resource, body)
        self._remembered.brought(resource, str((body.get("metadata") or {}).get("name", "")))
        self.overview.saw(resource, body, deleted=deleted)
        if self._is_remembered(resource):
            self._seen.saw(resource, body, deleted=deleted)
        depend = self._dependents.saw(resource, body, deleted=deleted)
        # What kopf lists at its start, a sweep lists as well, and comes by all that depends.
        early = self._monotonic() - self._listing_from < LISTING_SECONDS
        if event.get("type") is None and early:
            depend = set()
        own = self.keys_of(resource, body)
        for key in own:
            if resource is INTENTS:
                self._remembered.keep(key, None if deleted else body)
            self._queue_unless_own(key, body)
        self._queue(depend.difference(own))
        self._tell_controllers(WatchEvent(resource, body, self._clock(), deleted))

    def _watches_are_stale(self, why: str) -> None:
        self.on_stale_watch(why)

    def _is_remembered(self, resource: Resource) -> bool:
        """Whether a sweep looks for what the watches missed, and only at that."""
        found = self.watches.get(resource)
        return found is not None and found.swept and not found.metadata_only

    def _queue_unless_own(self, key: Key, body: Object) -> None:
        """Queue a key, unless the version that a watch brought is of a write of its own reconcile.
        While that runs nobody knows; it is looked at when it is over."""
        meta = body.get("metadata") or {}
        version = str(meta.get("uid", "")), str(meta.get("resourceVersion", ""))
        if self.queue.is_active(key):
            self.context.own_writes.brought_meanwhile(key, version)
        elif not self.context.own_writes.brought(version):
            self.queue.add(key)

    def _tell_controllers(self, event: WatchEvent) -> None:
        for controller in self._watching.get(event.resource, ()):
            self._queue(controller.saw(event))

    def _queue(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.queue.add(key)

    def watch_began(self, plural: str, since: int) -> None:
        """A watch goes on from a version; check that the cluster has got so far."""
        self._remembered.began(plural)
        self._look_what_is_known()
        self.queue.add(self._stale.began(plural, since))
        if self._trouble:
            self._trouble = False
            self.sweep_soon()

    def watch_failed(self, plural: str) -> None:
        """A watch could not go on; once it can, sweep, whatever happened meanwhile."""
        self._trouble = True
        self._know_less(plural)

    def _know_less(self, *plurals: str) -> None:
        """Watches may have missed something, until they begin again and a sweep is done."""
        self._losses += 1
        self._remembered.lost(*plurals)
        self._look_what_is_known()

    def _look_what_is_known(self) -> None:
        """Find out whether all requests that there are were noted: a sweep has listed them since
        something may have been missed, and each other one is told of."""
        watched = self._remembered.is_watched(REQUESTS)
        self._dependents.complete = watched and self._listed_at == self._losses

    def sweep_soon(self) -> None:
        """Sweep now, out of turn, and look at everything: something may have been missed."""
        self._sweeper.soon()

    def watches_restarted(self) -> None:
        """The watches begin anew, perhaps on an older state of the cluster."""
        self._seen.forget()
        self._know_less(*(resource.plural for resource in self.watched))
        self.context.own_writes.forget()
        for controller in self._controllers:
            controller.forget()
        self._listing_from = self._monotonic()
        self.sweep_soon()

    async def _reconcile(self, key: Key) -> None:
        try:
            await self._by_subject[key.subject].reconcile(self.context, key)
        finally:
            if self.context.own_writes.is_changed_by_others(key):
                self.queue.add(key)

    def _swept(self) -> None:
        self.metrics.swept_at.set(time.time())

    async def _sweep(self, everything: bool) -> None:
        """Queue every object that there is, or that the watches did not bring as it is, and what
        the controllers make of all of them."""
        begun, before, losses = self._monotonic(), self.watched, self._losses
        for controller in self._controllers:
            await controller.begin_sweep(self.context)
        self._look_at_watches()
        if self.watched != before:
            self._watches_are_stale("there are other kinds of workloads than before")
        uids: list[str] = []
        others = 0
        for watch in self.watches.values():
            if watch.swept and watch.metadata_only:
                others += await self._sweep_metadata(watch.resource)
            elif watch.swept:
                uids += await self._sweep_objects(watch.resource, everything)
        self.overview.swept(uids)
        self._listed_at = losses
        self._look_what_is_known()
        for controller in self._controllers:
            self._queue(controller.end_sweep())
        count, seconds = len(uids) + others, self._monotonic() - begun
        about = fields(kind="sweep", reason="Swept", milliseconds=round(seconds * 1000, 1))
        log.info("swept %d objects", count, extra=about)

    async def _sweep_objects(self, resource: Resource, everything: bool) -> list[str]:
        """The uids of all objects of a resource."""
        newest, at, now = self._stale.newest(resource), 0, self._clock()
        noted = self._dependents.noted(resource)
        uids: list[str] = []
        async for page in self.context.api.pages(resource):
            at = at or int(page.resource_version or 0)
            for item in page.items:
                uids.append(str(item["metadata"].get("uid", "")))
                self.overview.saw(resource, item)
                depend = self._dependents.saw(resource, item)
                news = self._seen.saw(resource, item)
                # One that looks at everything comes by all that depends.
                self._queue(depend if news and not everything else ())
                self._queue(self.keys_of(resource, item) if news or everything else ())
                self._tell_controllers(WatchEvent(resource, item, now, swept=True))
            await asyncio.sleep(0)
        listed = set(uids)
        # What a watch brought meanwhile may be younger than the list.
        there = listed | (self._dependents.noted(resource) - noted)
        self._queue((*self._seen.gone(resource, listed), *self._dependents.gone(resource, there)))
        self._stale.listed(resource, at, newest)
        return uids

    async def _sweep_metadata(self, resource: Resource) -> int:
        """How many objects of a resource there are, of which metadata alone is read."""
        count, now = 0, self._clock()
        async for page in self.context.api.pages(resource, metadata=True):
            count += len(page.items)
            for item in page.items:
                self._queue(self.keys_of(resource, item))
                self._tell_controllers(WatchEvent(resource, item, now, swept=True))
            await asyncio.sleep(0)
        return count


def _by_subject(controllers: Sequence[Controller]) -> dict[Subject, Controller]:
    found = {subject: each for each in controllers for subject in each.subjects}
    if len(found) != sum(len(each.subjects) for each in controllers):
        raise ValueError("two controllers reconcile one subject")
    return found


async def _who_am_i(api: ApiServer) -> str:
    delay = 1.0
    while True:
        try:
            return await api.who_am_i()
        except ApiError as error:
            log.warning("cannot reach the API server: %s, retrying in %.0f s", error, delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_RETRY)
