# SPDX-License-Identifier: Apache-2.0
"""What is done for one namespace at a time: however much is asked there, others' reviews find the
event loop, the API server and memory."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Turns:
    """Places of each namespace, as many of one as of another; who comes first goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def __len__(self) -> int:
        """Namespaces in which something is done or waits."""
        return len(self._places)

    def of(self, namespace: str) -> asyncio.Semaphore:
        """The places of a namespace; to be entered."""
        return self._places.setdefault(namespace, asyncio.Semaphore(self._most))

    async def within(self, namespace: str, call: Callable[[], Awaitable[T]]) -> T:
        """What a call gives, made when the namespace has a place."""
        async with self.of(namespace):
            return await call()

    async def all_within(
        self, namespace: str, calls: Iterable[Callable[[], Awaitable[T]]]
    ) -> list[T]:
        """What some calls give, in their order, each made when the namespace has a place."""
        return await asyncio.gather(*(self.within(namespace, call) for call in calls))
