# SPDX-License-Identifier: Apache-2.0
"""Up to where each sink has acknowledged each chain, kept in the cluster beside the ledger itself:
who brings etcd back to an earlier state brings both back."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from cabgate.ledger.cursors import parsed_cursors, written_cursors
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import ApiServer
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.installation import RELAY_CURSORS
from cabgate_kube.process.logs import explained, fields
from cabgate_kube.resources import CONFIG_MAPS, Object
from cabgate_relay.retrying import pause_before

log = logging.getLogger(__name__)

LONGEST_PAUSE = 10.0
"""Longest time between two attempts to read or write, in seconds."""


class Cursors:
    """The positions of some sinks, in ConfigMap `cabgate-relay-cursors`. A position never goes
    back: whatever another process wrote, the greater one holds."""

    def __init__(self, api: ApiServer, sinks: Iterable[str]) -> None:
        self._api = api
        self._known: dict[str, dict[str, int]] = {sink: {} for sink in sinks}
        self._object: Object | None = None
        self._writing = asyncio.Lock()
        self._unwritten = True
        self.trouble = ""
        """Why they cannot be read or written; empty if they can."""

    def of(self, sink: str) -> Mapping[str, int]:
        """The position of the last record that a sink acknowledged, by chain."""
        return self._known[sink]

    async def advance(self, sink: str, positions: Mapping[str, int]) -> None:
        """Note what a sink acknowledged; returns when it is written."""
        own = self._known[sink]
        for chain, sequence in positions.items():
            own[chain] = max(sequence, own.get(chain, 0))
        self._unwritten = True
        await self.settle()

    async def settle(self) -> None:
        """Read the positions, once that can be done, and write what is not written: at the start
        the sinks themselves, since `cabgate ledger prune` asks for each sink that stands there."""
        async with self._writing:  # what came meanwhile is in one write with what waits here
            attempt = 0
            while self._unwritten:
                try:
                    await self._attempt()
                except ApiError as error:
                    self._object = None
                    attempt += 1
                    if not isinstance(error, ConflictError):
                        self._failed(explained(error))
                    await asyncio.sleep(pause_before(attempt, LONGEST_PAUSE))
            self._went_well()

    async def _attempt(self) -> None:
        if self._object is None:
            self._object = await self._read()
        data = self._object.get("data") or {}
        ours = {sink: written_cursors(known) for sink, known in self._known.items()}
        self._unwritten = False
        if all(data.get(sink) == text for sink, text in ours.items()):
            return
        try:
            wanted = {**self._object, "data": {**data, **ours}}
            self._object = await self._api.replace(CONFIG_MAPS, wanted)
        except BaseException:
            self._unwritten = True
            raise

    async def _read(self) -> Object:
        found = await self._api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, RELAY_CURSORS)
        if found is None:
            about = (
                f"ConfigMap {RELAY_CURSORS} of namespace {SYSTEM_NAMESPACE} is absent: the chart"
            )
            raise ApiError(404, "NotFound", "", f"{about} makes it, or examples/relay/roles.yaml")
        for sink, own in self._known.items():
            text = str((found.get("data") or {}).get(sink) or "")
            for chain, sequence in parsed_cursors(text).items():
                own[chain] = max(sequence, own.get(chain, 0))
        return found

    def _failed(self, why: str) -> None:
        if why != self.trouble:
            log.warning(
                "sinks: their positions cannot be kept, retrying: %s",
                why,
                extra=fields(kind="sink", reason="CursorsFailed"),
            )
        self.trouble = why

    def _went_well(self) -> None:
        if self.trouble:
            log.info(
                "sinks: their positions can be kept again",
                extra=fields(kind="sink", reason="CursorsKept"),
            )
        self.trouble = ""
