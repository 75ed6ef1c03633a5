# SPDX-License-Identifier: Apache-2.0
"""Appends to the store from an event loop, for as long as it takes: a store that is away loses
nothing, since the ledger is read on only after what was read is stored."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from cabgate.ledger.chain import Checkpoint
from cabgate.ledger.kept import Kept
from cabgate_kube.clock import Clock
from cabgate_kube.process.logs import explained, fields
from cabgate_kube.resources import Object
from cabgate_relay.metrics import Metrics
from cabgate_relay.retrying import LONGEST_PAUSE, pause_before
from cabgate_store.errors import StoreError
from cabgate_store.store import Appended, EventStore

log = logging.getLogger(__name__)

T = TypeVar("T")


class Appender:
    """The store of one cluster. `open_store` opens it, and may raise `StoreError` as everything of
    it may; it is opened anew after each failure."""

    def __init__(
        self,
        cluster: str,
        open_store: Callable[[], EventStore],
        metrics: Metrics,
        clock: Clock,
        longest_pause: float = LONGEST_PAUSE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cluster = cluster
        self._open = open_store
        self._metrics = metrics
        self._clock = clock
        self._longest = longest_pause
        self._sleep = sleep
        self._store: EventStore | None = None
        # One thread: a connection is of one.
        self._thread = ThreadPoolExecutor(1, "store")
        self.trouble = ""
        """What is wrong with the store; empty if nothing is known to be."""

    async def append(
        self, raws: Sequence[Object], checkpoints: Mapping[str, Checkpoint] | None
    ) -> Mapping[str, int]:
        """Append records, once the store takes them; the position that has to come first, of each
        chain that cannot go on."""

        def work(store: EventStore) -> Appended:
            now = self._clock()
            found = store.append(self._cluster, raws, checkpoints, now)
            if found.anomalies:
                self._anomaly_at(now)
            return found

        found = await self._done(work)
        self._metrics.records.inc(found.records)
        for each in found.anomalies:
            self._metrics.anomalies.labels(each.code).inc()
            log.error(
                "ledger %s: record %d: %s: %s",
                *(each.chain or "?", each.sequence, each.code, each.message),
                extra=fields(kind="ledger", namespace=each.chain, reason=each.code),
            )
        return found.missing

    async def keep(self, objects: Sequence[Kept]) -> None:
        """Keep what records rest on, once the store takes it."""
        found = await self._done(lambda store: store.keep(self._cluster, objects, self._clock()))
        self._metrics.objects.inc(found)

    async def _done(self, work: Callable[[EventStore], T]) -> T:
        """What comes of some work with the store, which is done again until that takes it."""
        attempt = 0
        loop = asyncio.get_running_loop()
        while True:
            try:
                found = await loop.run_in_executor(self._thread, self._attempt, work)
            except StoreError as error:
                self._failed(str(error))
                attempt += 1
                await self._sleep(pause_before(attempt, self._longest))
                continue
            self._went_well()
            return found

    def _attempt(self, work: Callable[[EventStore], T]) -> T:
        try:
            if self._store is None:
                self._store = self._open()
                self._anomaly_at(self._store.last_anomaly(self._cluster))
            return work(self._store)
        except StoreError:
            self._close()
            raise

    def _anomaly_at(self, moment: datetime | None) -> None:
        # From the store: who restarts the relay does not make anybody forget it.
        if moment is not None:
            self._metrics.last_anomaly.set(moment.timestamp())

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except Exception as error:  # noqa: BLE001 - it is broken already
                log.info("the store cannot be closed: %s", explained(error))

    async def close(self) -> None:
        """Close the store, after what is under way."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _failed(self, why: str) -> None:
        self._metrics.store_failures.inc()
        if why != self.trouble:
            log.warning("store: cannot append, retrying: %s", why, extra=_about("StoreFailed"))
        self.trouble = why

    def _went_well(self) -> None:
        if self.trouble:
            log.info("store: records can be appended again", extra=_about("StoreReached"))
        self.trouble = ""


def _about(reason: str) -> dict[str, object]:
    return fields(kind="store", reason=reason)
