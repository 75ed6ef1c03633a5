# SPDX-License-Identifier: Apache-2.0
"""A queue of keys: each once, one worker a key at a time, namespaces in turn, retries with backoff,
deadlines."""

import asyncio
import heapq
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cabgate_kube.clock import utc_now
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.process.logs import explained, reason_of
from cabgate_operator.work.keys import Key
from cabgate_operator.work.reports import Report, begin

log = logging.getLogger(__name__)

FIRST_RETRY = 0.2
"""Seconds before the first retry; doubled at each further one."""

LONGEST_RETRY = 30.0
"""Longest wait before a retry, in seconds."""

USED_UP_RETRY = 300.0
"""Wait before a retry of what a budget refused, in seconds: whoever makes room for it by a change
of the same object is heard at once."""

LONGEST_SLEEP = 5.0
"""Longest sleep between two looks at the deadlines, in seconds: a clock that was set, or a machine
that slept, delays a deadline by no more."""

IMMEDIATE_RETRIES = 5
"""Conflicts in a row that are retried at once; then they back off like any error."""


SHARE = 4
"""A namespace has one of so many workers at a time: however much waits there, and however slow it
is, there are workers for others, and what it makes the API server do at once is bounded."""


@dataclass(frozen=True)
class Timing:
    """Where a queue has its time from; tests pass their own."""

    clock: Callable[[], datetime] = utc_now
    """Wall clock, for deadlines."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds since some moment, for retries."""
    jitter: Callable[[], float] = random.random
    """From 0 to 1, to spread retries."""


class WorkQueue:
    """Keys to reconcile. Not thread-safe: everything runs in one event loop.

    `handled` is told of each key that was handled: its kind, the result, and how many seconds it
    took.
    """

    def __init__(
        self,
        handle: Callable[[Key], Awaitable[None]],
        timing: Timing | None = None,
        handled: Callable[[str, str, float], None] = lambda kind, result, seconds: None,
    ) -> None:
        self._handle = handle
        self._handled = handled
        self._timing = timing or Timing()
        self._ready: dict[str, deque[Key]] = {}
        self._waiting: set[Key] = set()
        self._active: dict[Key, float] = {}
        self._taken: Counter[str] = Counter()
        self._most: int | None = None
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._retries: list[tuple[float, Key]] = []
        self._retry_at: dict[Key, float] = {}
        self._deadlines: list[tuple[datetime, Key]] = []
        self._deadline_of: dict[Key, datetime] = {}
        self._work = asyncio.Event()
        self._rescheduled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        """Keys that wait for a worker or are with one."""
        return len(self._waiting) + len(self._active)

    @property
    def deadlines(self) -> int:
        """Keys that have a deadline."""
        return len(self._deadline_of)

    @property
    def running(self) -> bool:
        """Whether every worker and the clock run."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def is_active(self, key: Key) -> bool:
        """Whether a worker is at a key."""
        return key in self._active

    def slowest(self) -> tuple[Key, float] | None:
        """The key that has been with a worker for longest, and for how many seconds."""
        if not self._active:
            return None
        key, begun = min(self._active.items(), key=lambda item: item[1])
        return key, self._timing.monotonic() - begun

    def add(self, key: Key) -> None:
        """Reconcile a key soon; if it is being reconciled now, once more after that."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.setdefault(key.namespace, deque()).append(key)
            self._work.set()

    def add_at(self, key: Key, moment: datetime | None) -> None:
        """Set the deadline of a key: reconcile it at a moment. None takes the deadline away."""
        if moment is None:
            self._deadline_of.pop(key, None)
            return
        if self._deadline_of.get(key) == moment:
            return
        self._deadline_of[key] = moment
        heapq.heappush(self._deadlines, (moment, key))
        self._rescheduled.set()

    def tick(self) -> float:
        """Queue what is due; return in how many seconds to look again."""
        now, seconds = self._timing.clock(), self._timing.monotonic()
        sleep = LONGEST_SLEEP
        while self._deadlines:
            moment, key = self._deadlines[0]
            if self._deadline_of.get(key) == moment:
                if moment > now:
                    sleep = min(sleep, (moment - now) / timedelta(seconds=1))
                    break
                del self._deadline_of[key]
                self.add(key)
            heapq.heappop(self._deadlines)
        while self._retries:
            due, key = self._retries[0]
            if self._retry_at.get(key) == due:
                if due > seconds:
                    sleep = min(sleep, due - seconds)
                    break
                del self._retry_at[key]
                self.add(key)
            heapq.heappop(self._retries)
        return sleep

    def _next(self) -> Key | None:
        """The key that has waited longest in the namespace whose turn it is: they take turns, so
        that however much waits in one, another's work is the next but a few. None if nothing waits
        but in namespaces that have all workers that they may have."""
        for namespace in self._ready:
            if self._most is None or self._taken[namespace] < self._most:
                break
        else:
            return None
        keys = self._ready.pop(namespace)
        key = keys.popleft()
        if keys:
            self._ready[namespace] = keys  # at the end
        return key

    async def process_one(self) -> None:
        """Wait for a key and handle it."""
        while (key := self._next()) is None:
            self._work.clear()
            await self._work.wait()
        self._waiting.discard(key)
        self._retry_at.pop(key, None)
        self._taken[key.namespace] += 1
        begun = self._active[key] = self._timing.monotonic()
        report, result = begin(), "error"
        try:
            await self._handle(key)
            self._failures.pop(key, None)
            report.tell(key, self._timing.monotonic() - begun)
            result = "ok"
        except ConflictError as error:
            self._failed(key, error, report)
            result = "conflict"
        except Exception as error:  # noqa: BLE001 - whatever it is, the key is tried again
            self._failed(key, error, report)
        finally:
            self._leave(key)
            self._handled(key.subject.value, result, self._timing.monotonic() - begun)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _leave(self, key: Key) -> None:
        """A worker is done with a key."""
        del self._active[key]
        self._taken[key.namespace] -= 1
        if not self._taken[key.namespace]:
            del self._taken[key.namespace]
        if self._ready:
            self._work.set()  # it may have waited for this namespace to leave a worker

    def _failed(self, key: Key, error: Exception, report: Report) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        conflict = isinstance(error, ConflictError)
        why = "write conflict" if conflict else explained(error)
        about = report.about(key, reason_of(error), self._timing.monotonic() - self._active[key])
        if conflict and count <= IMMEDIATE_RETRIES:
            log.info("%s: %s, retrying", key, why, extra=about)
            self._again.add(key)
            return
        delay = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(count - 1, 16))
        if isinstance(error, ApiError) and error.used_up:
            delay = USED_UP_RETRY
        delay *= 0.5 + self._timing.jitter() / 2
        log.warning("%s: %s, retrying in %.1f s", key, why, delay, extra=about)
        due = self._timing.monotonic() + delay
        self._retry_at[key] = due
        heapq.heappush(self._retries, (due, key))
        self._rescheduled.set()

    def start(self, workers: int) -> None:
        """Start the workers and the clock."""
        self._most = max(1, workers // SHARE)
        self._tasks = [
            asyncio.create_task(self._work_forever(), name=f"worker {number}")
            for number in range(workers)
        ]
        self._tasks.append(asyncio.create_task(self._tick_forever(), name="deadlines"))

    async def stop(self) -> None:
        """End the workers; what they were at is taken up again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _work_forever(self) -> None:
        while True:
            await self.process_one()

    async def _tick_forever(self) -> None:
        while True:
            self._rescheduled.clear()
            seconds = self.tick()
            try:
                # Not wait_for: on Python 3.11 it swallows a cancellation that comes with the event.
                async with asyncio.timeout(max(seconds, 0.001)):
                    await self._rescheduled.wait()
            except TimeoutError:
                continue
