# SPDX-License-Identifier: Apache-2.0
"""Reads of the same thing that are wanted at the same time, done once.

An answer is shared only by those who asked before its read began, so each gets what was true after
it asked. A storm of rollouts of one target thus costs the API server one read at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable

WAIT_SECONDS = 0.02
"""How long a read waits for the one of the same thing that is under way, for others to join it. A
read that hangs holds nobody up for longer."""

READ_SECONDS = 5.0
"""Time for a read, which goes on when those who asked have given up: longer than they wait."""

Read = Callable[[str], Awaitable[bytes | None]]


class SharedReads:
    """Reads by a function, at most two of one thing at a time unless one takes long; each has
    `read_seconds`."""

    def __init__(self, read: Read, read_seconds: float = READ_SECONDS) -> None:
        self._read = read
        self._read_seconds = read_seconds
        self._next: dict[str, asyncio.Task[bytes | None]] = {}
        self._under_way: dict[str, asyncio.Task[bytes | None]] = {}

    async def get(self, target: str) -> bytes | None:
        """What a read of `target` gives that begins after this call. Raises what the function
        raises, and `TimeoutError`."""
        task = self._next.get(target)
        if task is None:
            task = asyncio.create_task(self._run(target))
            task.add_done_callback(_retrieve)
            self._next[target] = task
        return await asyncio.shield(task)

    async def _run(self, target: str) -> bytes | None:
        before = self._under_way.get(target)
        if before is not None:
            await asyncio.wait((before,), timeout=WAIT_SECONDS)
        # The read begins: who comes from here on waits for the next one.
        this = self._next.pop(target)
        self._under_way[target] = this
        try:
            async with asyncio.timeout(self._read_seconds):
                return await self._read(target)
        finally:
            if self._under_way.get(target) is this:
                del self._under_way[target]


def _retrieve(task: asyncio.Task[bytes | None]) -> None:
    """Take the error of a read that nobody waits for any more, or asyncio complains."""
    if not task.cancelled():
        task.exception()
