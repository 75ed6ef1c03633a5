# SPDX-License-Identifier: Apache-2.0
"""Follows the ledger of a cluster, for a store or a sink."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from cabgate.ledger.chain import Checkpoint
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import ApiServer
from cabgate_kube.installation import LEDGER_CHECKPOINTS
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import CONFIG_MAPS, DECISIONS, Object
from cabgate_relay.sweeping import LONGEST_PAUSE, PAGE_BYTES, follow

log = logging.getLogger(__name__)

WATCH_SECONDS = 1
"""How long a watch waits for records: what comes meanwhile is appended at its end."""

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

    `to` is where that goes, in words; `sweeper` is asked about each sweep.
    """

    def __init__(
        self,
        api: ApiServer,
        take: Take,
        sweep_seconds: float,
        to: str,
        seconds: Callable[[], float] = time.monotonic,
        sweeper: Sweeper | None = None,
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._api = api
        self._take = take
        self._to = to
        self._sweep_seconds = sweep_seconds
        self._seconds = seconds
        self._sweeper = sweeper
        self._longest_pause = longest_pause
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
        await follow(
            self._api,
            DECISIONS,
            self,
            sweep_seconds=self._sweep_seconds,
            watch_seconds=WATCH_SECONDS,
            seconds=self._seconds,
            longest_pause=self._longest_pause,
        )

    async def take(self, events: Sequence[Object]) -> bool:
        """Hand on what came; whether a record was missed, which a sweep finds."""
        raws = [each["object"] for each in events if each["type"] in ("ADDED", "MODIFIED")]
        return bool(raws) and await self._stops(raws)

    async def sweep(self) -> str:
        """Hand on all records, of which most may be there; the version from which to watch."""
        version = ""
        stuck: dict[str, int] = {}
        if self._sweeper is not None:
            self._sweeper.begin_sweep()
        async for page in self._api.pages(DECISIONS, page_bytes=PAGE_BYTES):
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

    def went_well(self, asked: float) -> None:
        """All was handed on that there was at a moment."""
        # A chain that cannot go on has records that have not arrived.
        if not self.stuck:
            self._complete_at = asked
        if self.trouble:
            log.info(
                "the ledger can be read for the %s",
                self._to,
                extra=fields(kind="ledger", reason="Reached"),
            )
        self.trouble = ""

    def failed(self, why: str) -> None:
        """It cannot be read, or not be handed on."""
        if why != self.trouble:
            log.warning(
                "the ledger cannot be read for the %s, retrying: %s",
                *(self._to, why),
                extra=fields(reason="NotReached"),
            )
        self.trouble = why
