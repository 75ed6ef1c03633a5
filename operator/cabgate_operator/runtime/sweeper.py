# SPDX-License-Identifier: Apache-2.0
"""When to sweep: at the start, in turn, at once where something may have been missed, and again
where it failed."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from cabgate_kube.process.logs import explained, fields, reason_of

log = logging.getLogger(__name__)

LATE_SECONDS = 120.0
"""How much longer than two of its periods a sweep may take to come, in seconds."""

FIRST_RETRY = 0.5
"""Seconds before a failed sweep is tried again; doubled at each further one."""

LONGEST_RETRY = 30.0
"""Longest of these waits, in seconds."""


class Sweeper:
    """Calls `sweep` each so many seconds. It is passed whether to look at what is as it was seen,
    too; `swept` is called after each that did not fail."""

    def __init__(
        self,
        sweep: Callable[[bool], Awaitable[None]],
        seconds: float,
        swept: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sweep = sweep
        self._seconds = seconds
        self._swept = swept
        self._monotonic = monotonic
        self._now = asyncio.Event()
        self._everything = True
        self._task: asyncio.Task[None] | None = None
        self._begun = monotonic()
        self._swept_at: float | None = None

    @property
    def started(self) -> bool:
        """Whether it has been told to begin."""
        return self._task is not None

    @property
    def ready(self) -> bool:
        """Whether the first sweep is done."""
        return self._swept_at is not None

    def start(self) -> None:
        """Sweep now, and from now on."""
        self._task = asyncio.create_task(self._run(), name="sweep")

    def soon(self) -> None:
        """Sweep now, out of turn, and look at everything: something may have been missed."""
        self._everything = True
        self._now.set()

    async def stop(self) -> None:
        """Sweep no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def problems(self) -> list[str]:
        """What is wrong so that only a new process may help."""
        found = []
        if self._task is not None and self._task.done():
            found.append("sweep: has ended")
        last = self._begun if self._swept_at is None else self._swept_at
        late = self._monotonic() - last
        if late > 2 * self._seconds + LATE_SECONDS:
            found.append(f"sweep: the last one was {late:.0f} s ago")
        return found

    async def _run(self) -> None:
        delay = FIRST_RETRY
        while True:
            self._now.clear()
            everything, self._everything = self._everything, False
            try:
                await self._sweep(everything)
            except Exception as error:  # noqa: BLE001 - a sweep that fails is tried again
                self._everything = self._everything or everything
                about = fields(kind="sweep", reason=reason_of(error))
                log.warning("sweep: %s, retrying in %.1f s", explained(error), delay, extra=about)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_RETRY)
                continue
            delay = FIRST_RETRY
            self._swept_at = self._monotonic()
            self._swept()
            try:
                async with asyncio.timeout(self._seconds):
                    await self._now.wait()
            except TimeoutError:
                continue
