# SPDX-License-Identifier: Apache-2.0
"""Follows a resource of the API server: all of it page by page, then what changes, by watches that
end after a moment, and all of it again after a while."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from cabgate_kube.client import ApiServer
from cabgate_kube.errors import ApiError
from cabgate_kube.process.logs import explained
from cabgate_kube.resources import Object, Resource
from cabgate_relay.retrying import pause_before

LONGEST_PAUSE = 10.0
"""Longest time between two attempts to read, in seconds."""


PAGE_BYTES = 512 * 1024
"""What a page of a list is to take: whoever waits for a store or a receiver has one meanwhile."""


class Reader(Protocol):
    """What takes what is read."""

    async def sweep(self) -> str:
        """Read all of it; the version from which to watch. May raise `ApiError`."""

    async def take(self, events: Sequence[Object]) -> bool:
        """Take what changed; whether all has to be read again to go on."""

    def went_well(self, asked: float) -> None:
        """Everything is known that there was at a moment, in seconds of the clock."""

    def failed(self, why: str) -> None:
        """It cannot be read; what went wrong is tried again."""


async def follow(
    api: ApiServer,
    resource: Resource,
    reader: Reader,
    *,
    sweep_seconds: float,
    watch_seconds: int,
    seconds: Callable[[], float] = time.monotonic,
    longest_pause: float = LONGEST_PAUSE,
) -> NoReturn:
    """Follow a resource, until cancelled. A watch waits `watch_seconds` for changes: what comes
    meanwhile is known at its end. No error ends it, whatever it is: one resource stops no other.
    Two attempts are at most `longest_pause` seconds apart, and never more than LONGEST_PAUSE."""
    attempt = 0
    while True:
        try:
            began = seconds()
            version = await reader.sweep()
            reader.went_well(began)
            while seconds() - began < sweep_seconds:
                asked = seconds()
                events = await api.changes(resource, version, watch_seconds)
                attempt = 0
                if await reader.take(events):
                    break
                for event in events:
                    version = str(event["object"]["metadata"]["resourceVersion"])
                reader.went_well(asked)
            continue
        except ApiError as error:
            # Too old a version is nothing to tell of: it took long to take what was read before.
            if error.code != 410:
                reader.failed(explained(error))
        except Exception as error:  # noqa: BLE001 - what it is stands in the log
            reader.failed(f"unexpected error: {explained(error)}")
        attempt += 1
        await asyncio.sleep(pause_before(attempt, min(longest_pause, LONGEST_PAUSE)))
