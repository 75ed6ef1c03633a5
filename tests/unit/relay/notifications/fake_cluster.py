# SPDX-License-Identifier: Apache-2.0
"""The calls of the API server's client that notifications make, in memory and strict, for faults
that a real one cannot be made to have: any other call fails. tests/cluster has the real one."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.client import Page
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.installation import NOTIFICATIONS_SENT
from cabgate_kube.resources import CONFIG_MAPS, EXCEPTIONS, INTENTS, REQUESTS, Object, Resource


class FakeCluster:
    """Requests, exceptions and the ConfigMap of one cluster."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[str, dict[str, Object]] = {
            each.plural: {} for each in (REQUESTS, EXCEPTIONS, INTENTS)
        }
        self.events: list[tuple[int, str, Object]] = []
        meta = {"name": NOTIFICATIONS_SENT, "namespace": SYSTEM_NAMESPACE, "resourceVersion": "1"}
        self.config_map: Object | None = {"metadata": meta}
        self.away = False
        self.refuse_writes = False
        self.writes = self.refused = 0
        self._changed = asyncio.Event()

    def put(self, subject: Any, resource: Resource = REQUESTS) -> None:
        """Store an object."""
        raw = subject if isinstance(subject, dict) else subject.model_dump(
            mode="json", by_alias=True, exclude_none=True
        )  # fmt: skip
        self._store(resource, raw, "MODIFIED")

    def delete(self, name: str, resource: Resource = REQUESTS) -> None:
        """Delete an object."""
        self._store(resource, self.objects[resource.plural][name], "DELETED")
        del self.objects[resource.plural][name]

    def edit(self, data: dict[str, str]) -> None:
        """Write the ConfigMap by hand."""
        assert self.config_map is not None
        self.version += 1
        meta = {**self.config_map["metadata"], "resourceVersion": str(self.version)}
        self.config_map = {"metadata": meta, "data": data}

    def _store(self, resource: Resource, raw: Object, kind: str) -> None:
        self.version += 1
        stored = copy.deepcopy(raw)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.objects[resource.plural][stored["metadata"]["name"]] = stored
        self.events.append((self.version, resource.plural, {"type": kind, "object": stored}))
        self._changed.set()
        self._changed = asyncio.Event()

    def _reached(self) -> None:
        if self.away:
            raise ApiError(0, "Unreachable", "")

    async def pages(self, resource: Resource) -> AsyncIterator[Page]:
        """As of the client."""
        self._reached()
        yield Page(list(self.objects[resource.plural].values()), str(self.version))

    async def changes(self, resource: Resource, version: str, seconds: int) -> list[Object]:
        """As of the client; it waits no longer than 50 ms."""
        self._reached()

        def found() -> list[Object]:
            return [
                event
                for at, plural, event in self.events
                if at > int(version) and plural == resource.plural
            ]

        if not found():
            try:
                await asyncio.wait_for(self._changed.wait(), 0.05)
            except TimeoutError:
                await asyncio.sleep(0)
        return found()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """As of the client."""
        assert (resource, namespace, name) == (CONFIG_MAPS, SYSTEM_NAMESPACE, NOTIFICATIONS_SENT)
        self._reached()
        return copy.deepcopy(self.config_map)

    async def replace(self, resource: Resource, body: Object) -> Object:
        """As of the client."""
        assert resource == CONFIG_MAPS
        self._reached()
        if self.refuse_writes:
            self.refused += 1
            raise ApiError(500, "InternalError", "")
        assert self.config_map is not None
        if body["metadata"]["resourceVersion"] != self.config_map["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "")
        self.version += 1
        self.writes += 1
        self.config_map = copy.deepcopy(body)
        self.config_map["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.config_map)
