# SPDX-License-Identifier: Apache-2.0
"""One process of the relay: it waits to lead, follows the ledger while it does, and says how it
is."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import Clock, utc_now
from cabgate_kube.election import Elector
from cabgate_kube.installation import RELAY_LEASE
from cabgate_kube.leadership import Leadership, Term, identity
from cabgate_kube.process.health import Pages
from cabgate_kube.process.tasks import cancelled
from cabgate_relay.appending import Appender
from cabgate_relay.following import Follower
from cabgate_relay.keeping import RESOURCES, Keeper
from cabgate_relay.metrics import Metrics
from cabgate_relay.notifications.channels import read_channels
from cabgate_relay.notifications.metrics import NotificationMetrics
from cabgate_relay.notifications.notifier import Notifier, Pace
from cabgate_relay.retrying import LONGEST_PAUSE
from cabgate_relay.settings import Settings
from cabgate_relay.sinks.metrics import SinkMetrics
from cabgate_relay.sinks.running import Configured, Sinks
from cabgate_store.opening import open_to_append
from cabgate_store.store import EventStore

AGENT = "cabgate-relay"


class Replica:
    """A replica of the relay. `longest_pause` is the longest time between two attempts to append
    or to deliver, in seconds, and to read if that is shorter; `pace` how fast people are notified.
    Raises `SettingsError` where the file of channels cannot be used."""

    def __init__(
        self,
        settings: Settings,
        sinks: Sequence[Configured] = (),
        *,
        clock: Clock = utc_now,
        connect: Callable[[Callable[[str, int], None]], ApiServer] | None = None,
        longest_pause: float = LONGEST_PAUSE,
        pace: Pace | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._clock = clock
        self._connect = connect or (lambda called: ApiServer.connect(called, AGENT))
        self._longest_pause = longest_pause
        self._leadership = Leadership()
        self._pace = pace or Pace()
        file = settings.notifications
        self._channels = None if file is None else read_channels(file)
        self._notified = NotificationMetrics(self.metrics.registry)
        self._appender: Appender | None = None
        self._follower: Follower | None = None
        self._keepers: list[Keeper] = []
        self._sinks = Sinks(
            sinks,
            cluster=settings.cluster,
            sweep_seconds=settings.sweep_seconds,
            metrics=SinkMetrics(self.metrics.registry),
            clock=clock,
            longest_pause=longest_pause,
        )
        self.metrics.leader.set_function(lambda: float(self.leads))
        self.metrics.lag.set_function(self._lag)
        self.metrics.stuck.set_function(
            lambda: 0.0 if self._follower is None else float(len(self._follower.stuck))
        )

    @property
    def leads(self) -> bool:
        """Whether it follows the ledger now."""
        return self._leadership.leads

    async def run(self) -> None:
        """Wait to lead, and follow the ledger while it does, again and again, until cancelled."""
        api = self._connect(self.metrics.called)
        elector = Elector(api, SYSTEM_NAMESPACE, identity(), clock=self._clock, lease=RELAY_LEASE)
        try:
            await self._leadership.run(elector, lambda term: self._lead(api, term))
        finally:
            await api.close()

    async def _lead(self, api: ApiServer, term: Term) -> None:
        work = [asyncio.create_task(each, name=name) for name, each in self._work(api)]

        async def stop() -> None:
            for task in work:
                await cancelled(task)
            if self._appender is not None:
                await self._appender.close()  # what is under way ends before another leads

        try:
            await term.serve(work, stop)
        finally:
            self._appender = self._follower = None
            self._keepers = []

    def _work(self, api: ApiServer) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """All that a leader does, side by side."""
        settings = self.settings
        if settings.store:
            self._appender = Appender(
                settings.cluster, self._open, self.metrics, self._clock, self._longest_pause
            )
            self._follower = Follower(
                *(api, self._appender.append, settings.sweep_seconds, "store"),
                longest_pause=self._longest_pause,
            )
            yield "follower", self._follower.run()
            keep = self._appender.keep
            self._keepers = [
                Keeper(api, each, keep, settings.sweep_seconds, self._longest_pause)
                for each in RESOURCES
            ]
            for keeper, resource in zip(self._keepers, RESOURCES, strict=True):
                yield resource.plural, keeper.run()
        if self._sinks.configured:
            yield "sinks", self._sinks.run(api)
        if settings.notifications is not None and self._channels is not None:
            where = settings.notifications.parent, settings.cluster
            notifier = Notifier(
                api, self._channels, *where, self._notified, self._clock, self._pace
            )
            yield "notifier", notifier.run()

    def _lag(self) -> float:
        """How far the store is behind, in seconds."""
        lags = [each.lag for each in self._keepers]
        return max([0.0 if self._follower is None else self._follower.lag, *lags])

    def _open(self) -> EventStore:
        return open_to_append(self.settings.store, self._clock())

    def problems(self) -> list[str]:
        """What is wrong so that only a new process may help. That the API server or the store is
        away is not."""
        return self._leadership.problems()

    def unready(self) -> list[str]:
        """Why it could not do its work now, leading or taking over; empty if it could."""
        found = self._leadership.unready()
        if found:
            return found
        if self.leads and self._appender is not None and self._appender.trouble:
            found.append(f"store: {self._appender.trouble}")
        if self.leads and self._follower is not None and self._follower.trouble:
            found.append(f"ledger: {self._follower.trouble}")
        found += [f"store: {each.trouble}" for each in self._keepers if each.trouble]
        return found

    def pages(self) -> Pages:
        """What /healthz, /readyz and /metrics say."""

        async def unready() -> list[str]:
            return [*self.unready(), *self.problems()]

        return Pages(self.problems, unready, self.metrics.text)
