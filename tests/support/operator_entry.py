# SPDX-License-Identifier: Apache-2.0
"""The operator with a clock that is shifted, that dies after some writes, that is impatient with
itself, or that leads beside another one: for tests only."""

import argparse
import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta
from functools import partial

from cabgate_kube.client import ApiServer
from cabgate_kube.election import Elector
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.resources import Object, Resource
from cabgate_operator import main
from cabgate_operator.runtime import manager, replica, sweeper, watches
from cabgate_operator.runtime.replica import Replica
from cabgate_operator.settings import Settings


def die_after(writes: int) -> None:
    """SIGKILL as soon as so many writes have been answered with success."""
    left = writes
    create, replace_status = ApiServer.create, ApiServer.replace_status

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def counted_create(
        self: ApiServer, resource: Resource, namespace: str, body: Object
    ) -> Object:
        answer = await create(self, resource, namespace, body)
        count()
        return answer

    async def counted_replace(self: ApiServer, resource: Resource, body: Object) -> Object:
        answer = await replace_status(self, resource, body)
        count()
        return answer

    ApiServer.create = counted_create  # type: ignore[method-assign]
    ApiServer.replace_status = counted_replace  # type: ignore[method-assign]


def be_impatient(seconds: float) -> None:
    """What counts as ill after minutes does so after seconds."""
    watches.DEAD_SECONDS = manager.STUCK_SECONDS = sweeper.LATE_SECONDS = seconds
    main.SILENT_SECONDS = seconds


async def start() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clock-shift", type=float, default=0.0)
    parser.add_argument("--die-after", type=int, default=0)
    parser.add_argument("--health-port", type=int, default=0)
    parser.add_argument("--sweep-seconds", type=float, default=600.0)
    parser.add_argument("--impatient", type=float)
    parser.add_argument("--lease", help="another one than the chart's, so that it leads at once")
    options = parser.parse_args()
    if options.impatient:
        be_impatient(options.impatient)
    if options.die_after:
        die_after(options.die_after)
    if options.lease:
        replica.Elector = partial(Elector, lease=options.lease)  # type: ignore[assignment,misc]
    set_up_logging("json")
    shift = timedelta(seconds=options.clock_shift)
    settings = Settings(health_port=options.health_port, sweep_seconds=options.sweep_seconds)
    await main.run(Replica(settings, main.make_watches, clock=lambda: datetime.now(UTC) + shift))


if __name__ == "__main__":
    asyncio.run(start())
