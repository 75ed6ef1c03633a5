# SPDX-License-Identifier: Apache-2.0
"""A manager at work, in memory."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from cabgate_kube.client import Page
from cabgate_kube.resources import EXCEPTIONS, INTENTS, Object, Resource
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.settings import Settings
from support.waiting import until
from unit.operator.support import NOW, Clock, MemoryApi, request


def stored_request(content: Object) -> Object:
    return request(content).model_dump(mode="json", by_alias=True)


@contextlib.asynccontextmanager
async def working(
    api: MemoryApi | None = None, settings: Settings | None = None, clock: Clock | None = None
) -> AsyncIterator[tuple[Manager, MemoryApi]]:
    """A manager that has started, and its API server. Its seconds are real, unless a clock of the
    test's is given."""
    memory = api or MemoryApi(Clock())
    monotonic = time.monotonic if clock is None else clock.monotonic
    manager = Manager(settings, clock=lambda: NOW, monotonic=monotonic)
    await manager.start(memory)  # type: ignore[arg-type]
    try:
        yield manager, memory
    finally:
        await manager.stop()


async def ready(manager: Manager) -> None:
    await until(lambda: manager.ready, "the first sweep is done")


async def idle(manager: Manager) -> None:
    await until(lambda: not len(manager.queue), "the queue is empty")


def state_of_web(api: MemoryApi) -> str:
    found = api.objects[(INTENTS.plural, "team", "web")].get("status", {})
    return str(found.get("state", ""))


class Asked(MemoryApi):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.checks = self.sweeps = 0
        self.intents_read = 0

    async def newest_version(self, resource: Resource) -> int:
        self.checks += 1
        return 500

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        self.intents_read += resource is INTENTS
        return await super().get(resource, namespace, name)

    def pages(self, resource: Resource, namespace: str = "", **options: Any) -> AsyncIterator[Page]:
        # The last kind that a sweep lists of cabgate's own.
        self.sweeps += resource is EXCEPTIONS and not namespace
        return super().pages(resource, namespace, **options)
