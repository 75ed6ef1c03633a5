# SPDX-License-Identifier: Apache-2.0
"""One process of the operator: it waits to lead, works while it does, and says how it is."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import utc_now
from cabgate_kube.election import Elector
from cabgate_kube.leadership import Leadership, Term, identity
from cabgate_kube.process.health import Pages
from cabgate_kube.process.tasks import cancelled
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.settings import Settings
from cabgate_operator.work.metrics import Metrics
from cabgate_operator.work.overview import Overview


class Watching(Protocol):
    """What watches for a manager."""

    async def run_forever(self) -> None:
        """Watch, until cancelled."""

    def problems(self) -> list[str]:
        """What is wrong so that only a new process may help."""


class Replica:
    """A replica of the operator. `watches` makes what watches for a manager that begins."""

    def __init__(
        self,
        settings: Settings,
        watches: Callable[[Manager], Watching],
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._make_watches = watches
        self._clock = clock
        self._leadership = Leadership()
        self._manager: Manager | None = None
        self._watching: Watching | None = None
        self.metrics.leader.set_function(lambda: float(self.leads))
        self.metrics.queue_depth.set_function(lambda: float(self._depth()))
        self.metrics.show(self._overview, clock)

    @property
    def leads(self) -> bool:
        """Whether it may write now."""
        return self._leadership.leads

    def _depth(self) -> int:
        return 0 if self._manager is None else len(self._manager.queue)

    def _overview(self) -> Overview | None:
        return self._manager.overview if self._manager is not None and self.leads else None

    async def run(self) -> None:
        """Wait to lead, and work while it does, again and again, until cancelled."""
        api = ApiServer.connect(self.metrics.called)
        elector = Elector(api, SYSTEM_NAMESPACE, identity(), clock=self._clock)
        try:
            await self._leadership.run(elector, lambda term: self._lead(api, term))
        finally:
            await api.close()

    async def _lead(self, api: ApiServer, term: Term) -> None:
        manager = Manager(self.settings, clock=self._clock, metrics=self.metrics)
        watching = self._make_watches(manager)
        self._manager, self._watching = manager, watching
        work = asyncio.create_task(_work(manager, watching, api.checked(term.check)), name="work")

        async def stop() -> None:
            work.cancel()
            await asyncio.sleep(0)  # it hears of it before what it uses is stopped
            await manager.stop()  # from here on nothing is written

        try:
            await term.serve([work], stop)
        finally:
            await cancelled(work)
            self._manager = self._watching = None
            # Who leads now shows them.
            self.metrics.uncovered_workloads.clear()
            self.metrics.installation_differs.set(0)

    def problems(self) -> list[str]:
        """What is wrong so that only a new process may help. That the API server is away is not."""
        found = self._leadership.problems()
        if self._manager is not None and self.leads:
            found += self._manager.problems()
        if self._watching is not None and self.leads:
            found += self._watching.problems()
        return found

    def pages(self) -> Pages:
        """What /healthz, /readyz and /metrics say."""

        async def unready() -> list[str]:
            return [*self.unready(), *self.problems()]

        return Pages(self.problems, unready, self.metrics.text)

    def unready(self) -> list[str]:
        """Why it could not do its work now, leading or taking over; empty if it could."""
        found = self._leadership.unready()
        if found:
            return found
        if self.leads and (self._manager is None or not self._manager.ready):
            return ["sweep: the first one is not done"]
        return []


async def _work(manager: Manager, watching: Watching, api: ApiServer) -> None:
    await manager.start(api)
    await watching.run_forever()
