# SPDX-License-Identifier: Apache-2.0
"""Gets, lists, short watches and writes of any resource (the operator's watches are kopf's, and
what the webhook reads it decodes itself)."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cabgate_kube.credentials import access_of
from cabgate_kube.errors import AlreadyExistsError, ApiError, refusal_of
from cabgate_kube.resources import SELF_REVIEWS, Object, Resource
from cabgate_kube.transport import (
    MAX_BODY_BYTES,
    AnswerTooLarge,
    ConnectionFailed,
    Connections,
)

_METHODS = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "update": "PUT",
    "delete": "DELETE",
    "watch": "GET",
}

OPERATOR_AGENT = "cabgate-operator"
"""What the API server's logs call the operator."""

CHUNK = 250
"""Most objects in one page of a list."""

FIRST_CHUNK = 50
"""Objects in the first page."""

PAGE_BYTES = 4 * 1024 * 1024
"""What a page is to take, by the size of the objects of the one before: whoever stores large ones
makes more calls of it, and not more memory."""

MAX_PAGE_BYTES = 4 * PAGE_BYTES
"""What is read of a page of more than one object: one that would be longer is asked for again in
smaller ones, since what comes after small objects may be the largest there are."""

TIMEOUT_SECONDS = 20.0
"""Longest that one call may take."""

CONNECTIONS = 100
"""Connections at a time: more than there are workers, so that a renewal of the Lease waits for
none."""

IDLE_SECONDS = 15.0
"""How long a connection is kept that nobody uses: where an API server vanishes without a word, each
one that is left costs a renewal of the Lease its time."""

_JSON = "application/json"

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""How a list and a watch are asked for of which only the metadata is to come."""


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: list[Object]
    resource_version: str


class ApiServer:
    """Client of one API server.

    `called` is told of each call: its verb and the HTTP status, 0 where there was no answer.
    `check_writes` is asked before each write, and raises if there must be none.
    """

    def __init__(
        self,
        connections: Connections,
        called: Callable[[str, int], None] = lambda verb, code: None,
        check_writes: Callable[[], None] = lambda: None,
        agent: str = OPERATOR_AGENT,
    ) -> None:
        self._agent = agent
        self._connections = connections
        self._called = called
        self._check_writes = check_writes

    @classmethod
    def connect(
        cls,
        called: Callable[[str, int], None] = lambda verb, code: None,
        agent: str = OPERATOR_AGENT,
    ) -> "ApiServer":
        """Client by the service account in a cluster, else by KUBECONFIG; `agent` is what the API
        server's logs call it.

        Raises `AccessError` where there is neither.
        """
        return cls(
            Connections(access_of(), CONNECTIONS, idle_seconds=IDLE_SECONDS), called, agent=agent
        )

    def checked(self, check_writes: Callable[[], None]) -> "ApiServer":
        """The same client for one who may write only while `check_writes` raises nothing."""
        return ApiServer(self._connections, self._called, check_writes, self._agent)

    async def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    async def who_am_i(self) -> str:
        """The operator's own user name, as the API server authenticates it."""
        body = {"apiVersion": SELF_REVIEWS.api_version, "kind": SELF_REVIEWS.kind}
        review = await self._call("create", SELF_REVIEWS.path(), body=body)
        username: str = review["status"]["userInfo"]["username"]
        return username

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """An object as it is now, or None."""
        try:
            return await self._call("get", resource.path(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def serves(self, resource: Resource) -> bool:
        """Whether the API server knows a resource: it may be one of somebody else's."""
        try:
            await self._call("list", resource.path(), query={"limit": 1})
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    async def pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        fields: str = "",
        labels: str = "",
        metadata: bool = False,
        page_bytes: int = PAGE_BYTES,
    ) -> AsyncIterator[Page]:
        """A list as it is now, in chunks; of each object the metadata alone, if asked for.

        `page_bytes` is what a page is to take; one of several objects takes four times as much at
        most.
        """
        path = resource.path(namespace)
        accept = METADATA_LIST if metadata else _JSON

        async def fetched(query: Mapping[str, Any]) -> tuple[Object, int]:
            most = MAX_PAGE_BYTES if query["limit"] == 1 else 4 * page_bytes
            return await self._sized("list", path, query=query, accept=accept, most=most)

        try:
            async for answer in paged(fetched, fields=fields, labels=labels, page_bytes=page_bytes):
                meta = answer.get("metadata") or {}
                yield Page(answer.get("items") or [], str(meta.get("resourceVersion") or ""))
        except AnswerTooLarge:
            raise _too_large(path) from None

    async def changes(self, resource: Resource, version: str, seconds: int) -> list[Object]:
        """What happens to a resource from a version on, within so many seconds: the events of a
        watch that ends then, each with `type` and `object`, in their order.

        Raises `ApiError`, with code 410 where the API server has no events from that version on.
        """
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": seconds}
        query["allowWatchBookmarks"] = "true"
        path = resource.path()
        try:
            data = await self._bytes("watch", path, query=query)
        except AnswerTooLarge as error:
            raise _too_large(path) from error
        try:
            # JSON has line breaks in no text, but some that Python knows: not by splitlines.
            events: list[Object] = [json.loads(line) for line in data.split(b"\n") if line]
        except ValueError as error:
            raise ApiError(0, "Unreadable", "", f"GET {path}: an event is no JSON") from error
        for event in events:
            if event["type"] == "ERROR":
                status = event["object"]
                code = int(status.get("code") or 0)
                raise refusal_of(f"GET {path}", code, json.dumps(status).encode())
        return events

    async def newest_version(self, resource: Resource) -> int:
        """The version that a list would have now."""
        answer = await self._call("list", resource.path(), query={"limit": 1})
        return int(answer["metadata"]["resourceVersion"])

    async def list(
        self, resource: Resource, namespace: str, *, fields: str = "", labels: str = ""
    ) -> list[Object]:
        """A list as it is now, whole."""
        pages = self.pages(resource, namespace, fields=fields, labels=labels)
        return [item async for page in pages for item in page.items]

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create an object; `AlreadyExistsError` if there is one of that name."""
        return await self._write("create", resource.path(namespace), body)

    async def is_free(self, resource: Resource, namespace: str, body: Object) -> bool:
        """Whether an object could be created: asked by a dry run, which needs no right to read."""
        try:
            path = resource.path(namespace)
            await self._call("create", path, query={"dryRun": "All"}, body=body)
        except AlreadyExistsError:
            return False
        return True

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Replace an object; `ConflictError` if it changed since it was read."""
        meta = body["metadata"]
        if not meta.get("resourceVersion"):
            raise ValueError("an object is only written over the version that was read")
        path = resource.path(meta.get("namespace", ""), meta["name"])
        return await self._write("update", path, body)

    async def replace_status(self, resource: Resource, body: Object) -> Object:
        """Replace the status of an object; `ConflictError` if it changed since it was read."""
        meta = body["metadata"]
        if not meta.get("resourceVersion"):
            raise ValueError("a status is only written to the version that was read")
        path = resource.path(meta["namespace"], meta["name"], "status")
        return await self._write("update", path, body)

    async def delete(self, resource: Resource, body: Object) -> None:
        """Delete an object as it was read; `ConflictError` if it changed since, nothing if it is
        gone."""
        meta = body["metadata"]
        conditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        path = resource.path(meta.get("namespace", ""), meta["name"])
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        try:
            await self._write("delete", path, options)
        except ApiError as error:
            if error.code != 404:
                raise

    async def _write(self, verb: str, path: str, body: Object) -> Object:
        self._check_writes()
        return await self._call(verb, path, body=body, check=self._check_writes)

    async def _call(self, verb: str, path: str, **how: Any) -> Object:
        try:
            return (await self._sized(verb, path, **how))[0]
        except AnswerTooLarge as error:
            raise _too_large(path) from error

    async def _sized(self, verb: str, path: str, **how: Any) -> tuple[Object, int]:
        """The answer of a call, and its bytes."""
        data = await self._bytes(verb, path, **how)
        found: Object = json.loads(data)
        return found, len(data)

    async def _bytes(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Object | None = None,
        accept: str = _JSON,
        check: Callable[[], None] = lambda: None,
        most: int = MAX_BODY_BYTES,
    ) -> bytes:
        """What a call answers. Raises `AnswerTooLarge` for more than `most`."""
        method, code = _METHODS[verb], 0
        target = path if not query else f"{path}?{urlencode(query)}"
        headers = {"Accept": accept, "User-Agent": self._agent}
        content = b""
        if body is not None:
            headers["Content-Type"], content = _JSON, json.dumps(body).encode()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._connections.call(
                    method, target, headers=headers, body=content, limit=most, check=check
                )
            code, data = answer.status, answer.body
        except (ConnectionFailed, TimeoutError, OSError) as error:
            if isinstance(error, AnswerTooLarge):
                raise
            why = f"{type(error).__name__} {error}".strip()
            raise ApiError(0, "Unreachable", why, f"{method} {path}: {why}") from error
        finally:
            self._called(verb, code)
        if 200 <= code <= 299:
            return data
        raise refusal_of(f"{method} {path}", code, data)


def _too_large(path: str) -> ApiError:
    return ApiError(0, "AnswerTooLarge", "", f"GET {path}: over {MAX_BODY_BYTES >> 20} MiB")


async def paged(
    fetch: Callable[[Mapping[str, Any]], Awaitable[tuple[Object, int]]],
    *,
    fields: str = "",
    labels: str = "",
    page_bytes: int = PAGE_BYTES,
    first: int = FIRST_CHUNK,
) -> AsyncIterator[Object]:
    """A list in chunks, each as the API server answers it: whoever reads one by its query gives its
    bytes as well, by which the next has more or fewer objects than the `first`.

    What `fetch` raises `AnswerTooLarge` for is asked for again in smaller chunks; for an object
    alone it is raised here.
    """
    query: dict[str, Any] = {"limit": first}
    query |= {"fieldSelector": fields} if fields else {}
    query |= {"labelSelector": labels} if labels else {}
    while True:
        try:
            answer, size = await fetch(query)
        except AnswerTooLarge:
            if query["limit"] == 1:
                raise
            query["limit"] = max(1, query["limit"] // 8)
            continue
        query["limit"] = next_limit(query["limit"], size, page_bytes)
        yield answer
        further = (answer.get("metadata") or {}).get("continue")
        if not further:
            return
        query["continue"] = further


def next_limit(limit: int, size: int, page_bytes: int = PAGE_BYTES) -> int:
    """How many objects the next page may hold, after one of at most `limit` that took `size`
    bytes: at most twice as many, since those may be larger."""
    fitting = limit * page_bytes // max(size, 1)
    return max(1, min(fitting, 2 * limit, CHUNK))
