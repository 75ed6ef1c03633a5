# SPDX-License-Identifier: Apache-2.0
"""The calls of the API server that a relay makes, in memory and strict: versions, pages and watches
as the real one has them, and any other call is refused and remembered. tests/cluster has the real
one; this is for faults that that cannot be made to have."""

import asyncio
import json
from typing import Any

from aiohttp import web

from cabgate.ledger.kept import KINDS

GROUP = "/apis/cabgate.dev/v1alpha1/"
LEDGER = "cabdecisions"
KEPT = tuple(KINDS.values())
LEASE = "/apis/coordination.k8s.io/v1/namespaces/cabgate-system/leases/cabgate-relay"
CHECKPOINTS = "/api/v1/namespaces/cabgate-system/configmaps/cabgate-ledger-checkpoints"
CURSORS = "/api/v1/namespaces/cabgate-system/configmaps/cabgate-relay-cursors"
PAGE = 3
"""Most records of a page, whatever is asked for."""


class FakeApi:
    """One API server. `faults` are answered first: each a status, or None for a connection that is
    closed without a word."""

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 0
        """A watch from before this version gets 410."""
        self.stored: dict[str, dict[str, dict[str, Any]]] = {each: {} for each in (LEDGER, *KEPT)}
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.not_there: set[str] = set()
        """Resources that nobody defined."""
        self.checkpoints: dict[str, str] = {}
        meta = {"name": "cabgate-relay", "namespace": "cabgate-system", "resourceVersion": "1"}
        self.lease: dict[str, Any] = {"metadata": meta, "spec": {}}
        meta = {**meta, "name": "cabgate-relay-cursors"}
        self.cursors: dict[str, Any] | None = {"metadata": meta}
        self.unexpected: list[str] = []
        self.faults: list[int | None] = []
        self._changed = asyncio.Event()

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """The ledger by name."""
        return self.stored[LEDGER]

    def put(self, record: dict[str, Any], kind: str = "ADDED", resource: str = LEDGER) -> None:
        """Store a record or another object, or replace it, as only etcd itself can."""
        self.version += 1
        stored = json.loads(json.dumps(record))
        stored["metadata"]["resourceVersion"] = str(self.version)
        stored["metadata"].setdefault("uid", f"uid-{stored['metadata']['name']}")
        self.stored[resource][stored["metadata"]["name"]] = stored
        self._event(kind, stored, resource)

    def delete(self, name: str) -> None:
        """Delete a record, as a prune does."""
        self.version += 1
        self._event("DELETED", self.records.pop(name), LEDGER)

    def _event(self, kind: str, stored: dict[str, Any], resource: str) -> None:
        self.events.append((self.version, resource, {"type": kind, "object": stored}))
        self._changed.set()
        self._changed = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a call."""
        about = f"{request.method} {request.path}"
        if about == f"GET {LEASE}":
            return _found(self.lease)
        if about == f"PUT {LEASE}":
            self.lease, answer = await self._replaced(self.lease, request)
            return answer
        if about == f"GET {CURSORS}":
            return _refused(404, "NotFound") if self.cursors is None else _found(self.cursors)
        if about == f"PUT {CURSORS}" and self.cursors is not None:
            self.cursors, answer = await self._replaced(self.cursors, request)
            return answer
        resource = request.path.removeprefix(GROUP)
        if request.method != "GET" or resource not in (*self.stored, CHECKPOINTS):
            self.unexpected.append(about)
            return _refused(403, "Forbidden")
        if resource in self.not_there:
            return _refused(404, "NotFound")
        if resource in KEPT:
            return await self._read(request, resource)
        if self.faults:
            fault = self.faults.pop(0)
            if fault is None:
                assert request.transport is not None
                request.transport.close()
                return web.Response()
            return _refused(fault, "Fault")
        if request.path == CHECKPOINTS:
            return web.json_response({"metadata": {}, "data": self.checkpoints})
        return await self._read(request, LEDGER)

    async def _read(self, request: web.Request, resource: str) -> web.Response:
        answer = self._watch if "watch" in request.query else self._list
        return await answer(request, resource)

    async def _replaced(
        self, there: dict[str, Any], request: web.Request
    ) -> tuple[dict[str, Any], web.Response]:
        body: dict[str, Any] = await request.json()
        held = there["metadata"]["resourceVersion"]
        if body["metadata"].get("resourceVersion") != held:
            return there, _refused(409, "Conflict")
        body["metadata"]["resourceVersion"] = str(int(held) + 1)
        return body, _found(body)

    async def _list(self, request: web.Request, resource: str) -> web.Response:
        assert set(request.query) <= {"limit", "continue"}, request.query
        version, after = self.version, ""
        if "continue" in request.query:
            version, after = json.loads(request.query["continue"])
        names = [name for name in sorted(self.stored[resource]) if name > after]
        most = min(PAGE, int(request.query["limit"]))
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        if len(names) > most:
            meta["continue"] = json.dumps([version, names[most - 1]])
        items = [self.stored[resource][name] for name in names[:most]]
        return web.json_response({"metadata": meta, "items": items})

    async def _watch(self, request: web.Request, resource: str) -> web.Response:
        query = dict(request.query)
        since, seconds = int(query.pop("resourceVersion")), int(query.pop("timeoutSeconds"))
        assert query == {"watch": "true", "allowWatchBookmarks": "true"}
        if since < self.oldest:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            return web.Response(text=json.dumps({"type": "ERROR", "object": status}) + "\n")

        def happened() -> list[dict[str, Any]]:
            return [each for at, of, each in self.events if at > since and of == resource]

        try:
            async with asyncio.timeout(seconds):
                while not happened():
                    await self._changed.wait()
        except TimeoutError:
            pass
        found = happened()
        mark = {"metadata": {"resourceVersion": str(self.version)}}
        found.append({"type": "BOOKMARK", "object": mark})
        return web.Response(text="".join(json.dumps(event) + "\n" for event in found))


def _found(body: dict[str, Any]) -> web.Response:
    return web.json_response(body)


def _refused(code: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason}, status=code)
