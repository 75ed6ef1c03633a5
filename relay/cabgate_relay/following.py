# SPDX-License-Identifier: Apache-2.0
"""Follows the ledger of a cluster, for a store or a sink: all of it page by page, then what comes,
by watches that end after a moment, and all of it again after a while."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from cabgate.ledger.chain import Checkpoint
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import PAGE_BYTES, ApiServer
from cabgate_kube.errors import ApiError
from cabgate_kube.installation import LEDGER_CHECKPOINTS
from cabgate_kube.process.logs import explained, fields
from cabgate_kube.resources import CONFIG_MAPS, DECISIONS, Object
from cabgate_relay.retrying import pause_before

log = logging.getLogger(__name__)

WATCH_SECONDS = 1
"""How long a watch waits for records: what comes meanwhile is appended at its end."""

LONGEST_PAUSE = 10.0
"""Longest time between two attempts to read."""


Take = Callable[[Sequence[Object], Mapping[str, Checkpoint] | None], Awaitable[Mapping[str, int]]]
"""Takes records, and returns when they are where they are to be: the position that has to come
next, of each chain that cannot go on. With the checkpoints, unless they were not read."""


class Sweeper(Protocol):
    """Sees what only a whole reading of the ledger shows."""

    def begin_sweep(self) -> None:
        """All records are read from now on."""

    def end_sweep(self, checkpoints: Mapping[str, Checkpoint]) -> Mapping[str, int]:
        """All of them were taken: the position that has to come next, of each chain that cannot go
        on."""


class Follower:
    """Reads the ledger of one cluster, and hands on what it reads before it reads on.

    `to` is where that goes, in words; `sweeper` is asked about each sweep. `page_bytes`
    is what a page is to take, which is kept until all of it is handed on.
    """

    def __init__(
        self,
        api: ApiServer,
        take: Take,
        sweep_seconds: float,
        to: str,
        seconds: Callable[[], float] = time.monotonic,
        sweeper: Sweeper | None = None,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self._api = api
        self._take = take
        self._to = to
        self._sweep_seconds = sweep_seconds
        self._seconds = seconds
        self._sweeper = sweeper
        self._page_bytes = page_bytes
        self._complete_at = self._alive_at = seconds()
        self.stuck: dict[str, int] = {}
        """The position that has to come next, of each chain that cannot go on."""
        self.trouble = "the ledger has not been read yet"
        """Why it cannot be read; empty if it can."""

    @property
    def lag(self) -> float:
        """Seconds since everything had arrived that the cluster had, as far as is known."""
        return self._seconds() - self._complete_at

    async def run(self) -> None:
        """Follow the ledger, until cancelled."""
        attempt = 0
        while True:
            try:
                await self._sweep_and_watch()
                attempt = 0
            except ApiError as error:
                # Too old a version is nothing to tell of: the store was away, or nothing happened.
                if error.code != 410:
                    self._failed(explained(error))
                attempt = 1 if not self.trouble else attempt + 1
                await asyncio.sleep(pause_before(attempt, LONGEST_PAUSE))

    async def _sweep_and_watch(self) -> None:
        began = self._seconds()
        version = await self._sweep()
        self._went_well(began)
        while self._seconds() - began < self._sweep_seconds:
            asked = self._seconds()
            events = await self._api.changes(DECISIONS, version, WATCH_SECONDS)
            raws = [each["object"] for each in events if each["type"] in ("ADDED", "MODIFIED")]
            if raws and await self._stops(raws):
                return  # a record that was missed, which a sweep finds
            for event in events:
                version = str(event["object"]["metadata"]["resourceVersion"])
            self._went_well(asked)

    async def _sweep(self) -> str:
        """Hand on all records, of which most may be there; the version from which to watch."""
        version = ""
        stuck: dict[str, int] = {}
        if self._sweeper is not None:
            self._sweeper.begin_sweep()
        async for page in self._api.pages(DECISIONS, page_bytes=self._page_bytes):
            version = version or page.resource_version
            # After the page: what a prune deleted before lies behind a checkpoint by now.
            if page.items:
                stuck |= await self._take(page.items, await self._checkpoints())
        if self._sweeper is not None:
            stuck |= self._sweeper.end_sweep(await self._checkpoints())
        for chain in stuck.keys() - self.stuck.keys():
            log.error(
                "ledger %s: cannot go on to the %s: record %d is missing, or was not taken",
                *(chain, self._to, stuck[chain]),
                extra=fields(kind="ledger", namespace=chain, reason="Stuck"),
            )
        self.stuck = stuck
        return version

    async def _stops(self, raws: Sequence[Object]) -> bool:
        """Whether a chain stops that did not before."""
        return bool((await self._take(raws, None)).keys() - self.stuck.keys())

    async def _checkpoints(self) -> dict[str, Checkpoint]:
        raw = await self._api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, LEDGER_CHECKPOINTS)
        found = {}
        for chain, text in ((raw or {}).get("data") or {}).items():
            try:
                found[chain] = Checkpoint.parse(str(text))
            except ValueError:
                log.error(
                    "ConfigMap %s: the checkpoint of %s cannot be read",
                    *(LEDGER_CHECKPOINTS, chain),
                    extra=fields(kind="ledger", namespace=chain, reason="Unreadable"),
                )
        return found

    def _went_well(self, asked: float) -> None:
        # A chain that cannot go on has records that have not arrived.
        if not self.stuck:
            self._complete_at = asked
        if self.trouble:
            log.info("the ledger can be read", extra=fields(kind="ledger", reason="Reached"))
        self.trouble = ""

    def _failed(self, why: str) -> None:
        if why != self.trouble:
            log.warning(
                "the ledger cannot be read, retrying: %s", why, extra=fields(reason="NotReached")
            )
        self.trouble = why
