# SPDX-License-Identifier: Apache-2.0
"""Hands what records rest on to the store: requests as they were opened, and risk models, change
policies and evidence signers in each content that they have."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from cabgate import API_VERSION
from cabgate.ledger.kept import KINDS, Kept, kept
from cabgate_kube.client import ApiServer
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import Object, Resource
from cabgate_relay.sweeping import PAGE_BYTES, follow

log = logging.getLogger(__name__)

RESOURCES = tuple(Resource(API_VERSION, kind, plural) for kind, plural in KINDS.items())
"""Those of the kinds that are kept."""

WATCH_SECONDS = 2
"""How long a watch waits for changes: what comes meanwhile is kept at its end."""


class Keeper:
    """Follows one resource. `keep` returns when the store has what it was given."""

    def __init__(
        self,
        api: ApiServer,
        resource: Resource,
        keep: Callable[[Sequence[Kept]], Awaitable[None]],
        sweep_seconds: float,
        longest_pause: float,
    ) -> None:
        self._api, self._resource, self._keep = api, resource, keep
        self._sweep_seconds, self._longest_pause = sweep_seconds, longest_pause
        self._complete_at = time.monotonic()
        self.trouble = f"{resource.plural} have not been read yet"
        """Why it cannot be read; empty if it can."""

    @property
    def lag(self) -> float:
        """Seconds since everything was kept that the cluster had, as far as is known."""
        return time.monotonic() - self._complete_at

    async def run(self) -> None:
        """Follow it, until cancelled."""
        await follow(
            *(self._api, self._resource, self),
            sweep_seconds=self._sweep_seconds,
            watch_seconds=WATCH_SECONDS,
            longest_pause=self._longest_pause,
        )

    async def sweep(self) -> str:
        """As `Reader`."""
        version = ""
        async for page in self._api.pages(self._resource, page_bytes=PAGE_BYTES):
            version = version or page.resource_version
            await self._keep_all(page.items)
        return version

    async def take(self, events: Sequence[Object]) -> bool:
        """As `Reader`."""
        changed = ("ADDED", "MODIFIED", "DELETED")
        await self._keep_all([each["object"] for each in events if each["type"] in changed])
        return False

    async def _keep_all(self, raws: Sequence[Object]) -> None:
        if raws:
            await self._keep([kept(self._resource.kind, raw) for raw in raws])

    def went_well(self, asked: float) -> None:
        """As `Reader`."""
        self._complete_at = asked
        if self.trouble:
            log.info("%s can be read", self._resource.plural, extra=self._about("Reached"))
        self.trouble = ""

    def failed(self, why: str) -> None:
        """As `Reader`."""
        if why != self.trouble:
            log.warning(
                "%s cannot be read for the store, retrying: %s",
                *(self._resource.plural, why),
                extra=self._about("NotReached"),
            )
        self.trouble = why

    def _about(self, reason: str) -> dict[str, object]:
        return fields(kind=self._resource.kind, reason=reason)
