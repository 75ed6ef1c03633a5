# SPDX-License-Identifier: Apache-2.0
"""What each channel was sent, in a ConfigMap that the relay alone writes: no database, and no more
than is still true."""

import asyncio
import logging
from collections.abc import Mapping

from cabgate.notifications.planning import Memory
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import Clock
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.installation import NOTIFICATIONS_SENT
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import CONFIG_MAPS, Object

log = logging.getLogger(__name__)


class Memories:
    """The memories of the channels of a file; those of others are forgotten with the next write."""

    def __init__(self, api: ApiServer, channels: frozenset[str], clock: Clock) -> None:
        self._api, self._channels, self._clock = api, channels, clock
        self._stored: Object | None = None
        self._writing = asyncio.Lock()

    async def load(self, channel: str) -> Memory:
        """What a channel was sent, as it is stored; of a new channel, that it is there from now on,
        which is stored before anything is sent. Raises `ApiError`."""
        async with self._writing:
            found = _data(await self._read()).get(channel)
        try:
            if found is not None:
                return Memory.load(found)
        except ValueError as error:
            log.error(
                "ConfigMap %s: what channel %s was sent cannot be read, so it begins anew: %s",
                *(NOTIFICATIONS_SENT, channel, error),
                extra=fields(kind="channel", name=channel, reason="Unreadable"),
            )
        memory = Memory(self._clock())
        return await self.save(channel, memory)

    async def save(self, channel: str, memory: Memory) -> Memory:
        """Store what a channel was sent, and give what is stored: where somebody else wrote, such
        as a leader of before or after, with what they remember. Raises `ApiError`."""
        async with self._writing:
            try:
                await self._write(self._stored or await self._read(), channel, memory)
            except ConflictError:
                onto = await self._read()
                memory = _together(memory, _data(onto).get(channel))
                await self._write(onto, channel, memory)
            return memory

    async def _read(self) -> Object:
        found = await self._api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, NOTIFICATIONS_SENT)
        if found is None:
            about = f"ConfigMap {NOTIFICATIONS_SENT} in {SYSTEM_NAMESPACE}; the chart makes it"
            raise ApiError(404, "NotFound", "", about)
        self._stored = found
        return found

    async def _write(self, onto: Object, channel: str, memory: Memory) -> None:
        kept = {key: text for key, text in _data(onto).items() if key in self._channels}
        body = {**onto, "data": {**kept, channel: memory.dump()}}
        self._stored = None  # until it is known what came of it
        self._stored = await self._api.replace(CONFIG_MAPS, body)


def _together(memory: Memory, stored: str | None) -> Memory:
    try:
        return memory if stored is None else memory.with_other(Memory.load(stored))
    except ValueError:
        return memory


def _data(config_map: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = config_map.get("data") or {}
    return found
