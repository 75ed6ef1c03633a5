# SPDX-License-Identifier: Apache-2.0
"""Reads that a verdict may turn out to need, sent while the one before still waits.

A list waits until the API server's cache has caught up with its store: up to 100 ms where others
write, and 3 s where the store tells of its progress late. Two such waits, one after the other, are
more than an admission request has. Where the first list is there at once, as on a quiet cluster,
nothing goes out beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from cabgate_webhook.client.lookups import LookupFailed

T = TypeVar("T")

AHEAD_SECONDS = 0.02
"""How long a list is waited for until the next one goes out beside it: several times what it takes
where it need not wait."""


class Ahead(Generic[T]):
    """A read that begins by itself after a while. A context manager: at its end nobody needs it.

    It begins after the admission request that may need it, as every read for it does, and so is as
    fresh.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], *, seconds: float = AHEAD_SECONDS) -> None:
        self._read = read
        self._seconds = seconds
        self._begun = False

    async def found(self) -> T | None:
        """What it gave, once it is there; None where it had not begun yet, or failed: whoever needs
        it reads by himself then."""
        if not self._begun:
            self._task.cancel()
            return None
        try:
            return await self._task
        except LookupFailed:
            return None

    async def _run(self) -> T:
        await asyncio.sleep(self._seconds)
        self._begun = True
        return await self._read()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._task.cancel()
        self._task.add_done_callback(_retrieve)


def _retrieve(task: "asyncio.Task[T]") -> None:
    """Take the error of a read that nobody waits for, or asyncio complains."""
    if not task.cancelled():
        task.exception()
