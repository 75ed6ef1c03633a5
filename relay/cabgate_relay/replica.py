# SPDX-License-Identifier: Apache-2.0
"""One process of the relay: it waits to lead, follows the ledger while it does, and says how it
is."""

import asyncio
from collections.abc import Callable

from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import Clock, utc_now
from cabgate_kube.election import Elector
from cabgate_kube.installation import RELAY_LEASE
from cabgate_kube.leadership import Leadership, Term, identity
from cabgate_kube.process.health import Pages
from cabgate_kube.process.tasks import cancelled
from cabgate_relay.appending import LONGEST_PAUSE, Appender
from cabgate_relay.following import Follower
from cabgate_relay.metrics import Metrics
from cabgate_relay.settings import Settings
from cabgate_store.opening import open_to_append
from cabgate_store.store import EventStore

AGENT = "cabgate-relay"


class Replica:
    """A replica of the relay. `longest_pause` is the longest time between two attempts to append,
    in seconds."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        connect: Callable[[Callable[[str, int], None]], ApiServer] | None = None,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._clock = clock
        self._connect = connect or (lambda called: ApiServer.connect(called, AGENT))
        self._longest_pause = longest_pause
        self._leadership = Leadership()
        self._appender: Appender | None = None
        self._follower: Follower | None = None
        self.metrics.leader.set_function(lambda: float(self.leads))
        self.metrics.lag.set_function(lambda: 0.0 if self._follower is None else self._follower.lag)
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
        settings = self.settings
        appender = Appender(
            settings.cluster, self._open, self.metrics, self._clock, self._longest_pause
        )
        follower = Follower(api, appender, settings.sweep_seconds)
        self._appender, self._follower = appender, follower
        work = asyncio.create_task(follower.run(), name="follower")

        async def stop() -> None:
            await cancelled(work)
            await appender.close()  # what is under way ends before another leads

        try:
            await term.serve(work, stop)
        finally:
            self._appender = self._follower = None

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
        return found

    def pages(self) -> Pages:
        """What /healthz, /readyz and /metrics say."""

        async def unready() -> list[str]:
            return [*self.unready(), *self.problems()]

        return Pages(self.problems, unready, self.metrics.text)
