# SPDX-License-Identifier: Apache-2.0
"""What is done for one namespace at a time: however much is asked there, the admission requests
of others find the event loop, the API server and memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Turns:
    """Places of each namespace, as many of one as of another; who comes first goes first. Whoever
    has one for longer than `seconds` lets the next one in beside it."""

    def __init__(self, most: int, seconds: float | None = None) -> None:
        self._most = most
        self._seconds = seconds
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def __len__(self) -> int:
        """Namespaces in which something is done or waits."""
        return len(self._places)

    def of(self, namespace: str) -> asyncio.Semaphore:
        """The places of a namespace; to be entered."""
        return self._places.setdefault(namespace, asyncio.Semaphore(self._most))

    async def within(self, namespace: str, call: Callable[[], Awaitable[T]]) -> T:
        """What a call gives, made when the namespace has a place."""
        places = self.of(namespace)
        await places.acquire()
        left = asyncio.Event()
        letting_in = None
        if self._seconds is not None:
            loop = asyncio.get_running_loop()
            letting_in = loop.call_later(self._seconds, _leave, places, left)
        try:
            return await call()
        finally:
            if letting_in is not None:
                letting_in.cancel()
            _leave(places, left)

    async def all_within(
        self, namespace: str, calls: Iterable[Callable[[], Awaitable[T]]]
    ) -> list[T]:
        """What some calls give, in their order, each made when the namespace has a place."""
        return await asyncio.gather(*(self.within(namespace, call) for call in calls))


def _leave(places: asyncio.Semaphore, left: asyncio.Event) -> None:
    """Give a place back, once."""
    if not left.is_set():
        left.set()
        places.release()


class TooManyWaitError(Exception):
    """There are too many of one namespace before this one."""


class BoundedTurns:
    """Turns for which no more than so many of one namespace wait: what waits takes memory."""

    def __init__(self, most: int, waiting: int, seconds: float | None = None) -> None:
        self._turns = Turns(most)
        self._most_waiting = waiting
        self._seconds = seconds
        self._waiting: Counter[str] = Counter()

    def __len__(self) -> int:
        """Namespaces of which something is under way or waits."""
        return len(self._turns)

    @asynccontextmanager
    async def taken(self, namespace: str, *, anyhow: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, for so many seconds at most, and have it until the end of the context;
        `anyhow`: however many wait. Raises `TooManyWaitError`."""
        if self._waiting[namespace] >= self._most_waiting and not anyhow:
            raise TooManyWaitError
        places = self._turns.of(namespace)
        self._waiting[namespace] += 1
        try:
            async with asyncio.timeout(self._seconds):
                await places.acquire()
        except TimeoutError:
            raise TooManyWaitError from None
        finally:
            self._waiting[namespace] -= 1
            self._waiting += Counter()  # without those of which nothing waits
        try:
            yield
        finally:
            places.release()
