# SPDX-License-Identifier: Apache-2.0
"""How often one token may call, how many calls of it may be under way, and how many may wait."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cabgate_portal.problems import BUSY, Problem
from cabgate_portal.tokens import Token

MAX_TOKENS = 10_000
"""Tokens that are remembered: who makes them up makes others forgotten, and no more."""

MAX_UNDER_WAY = 20
"""Calls of one token at a time, most of which wait."""

BURST_SECONDS = 4.0
"""For how long one may call without having called before: seconds of the calls allowed."""


MAX_WAITING = 200
"""Calls that wait at a time, of all tokens: each looks again every few seconds."""


class Waits:
    """Counts the calls that wait."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._left = most

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One call that waits. Raises `Problem` if too many do."""
        if self._left <= 0:
            detail = "too many calls wait: ask again, or without `wait`"
            raise Problem(503, BUSY, detail, headers={"Retry-After": "5"})
        self._left -= 1
        try:
            yield
        finally:
            self._left += 1


@dataclass
class _Bucket:
    left: float
    at: float
    under_way: int = 0


class CallLimits:
    """A bucket for each token, which fills by so many calls a second."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()

    @contextmanager
    def taken(self, token: Token) -> Iterator[None]:
        """One call of a token. Raises `Problem` if it makes too many."""
        bucket = self._bucket(token.bucket(self._key))
        if bucket.left < 1 or bucket.under_way >= MAX_UNDER_WAY:
            wait = max(1, round((1 - bucket.left) / self._per_second + 0.5))
            raise Problem(
                429,
                "TooManyCalls",
                f"more than {self._per_second:g} calls a second, or {MAX_UNDER_WAY} at a time, "
                "with this token",
                headers={"Retry-After": str(wait)},
            )
        bucket.left -= 1
        bucket.under_way += 1
        try:
            yield
        finally:
            bucket.under_way -= 1

    def _bucket(self, key: bytes) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._most, now)
            if len(self._buckets) > MAX_TOKENS:
                idle = (each for each, known in self._buckets.items() if not known.under_way)
                del self._buckets[next(idle)]  # its own at the least
        self._buckets.move_to_end(key)
        bucket.left = min(self._most, bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        return bucket
