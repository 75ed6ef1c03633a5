# SPDX-License-Identifier: Apache-2.0
"""Calls to the API server as whoever calls the portal: with their token, and headers that are built
from nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cabgate.review.identity import User
from cabgate_kube.client import CHUNK, paged
from cabgate_kube.resources import SELF_REVIEWS, Object, Resource
from cabgate_kube.transport import (
    MAX_BODY_BYTES,
    AnswerTooLarge,
    ConnectionFailed,
    Connections,
    HttpAnswer,
)
from cabgate_portal.problems import BUSY, UNKNOWN, Problem, audit_id_of, refused
from cabgate_portal.tokens import Token

AGENT = "cabgate-portal"
"""What the API server's logs call the portal, beside the user."""

MANAGER = "cabgate-api"
"""Field manager of what is written through the portal."""

TIMEOUT_SECONDS = 15.0
"""Longest that one call may take."""

WRITE_SECONDS = 2 * TIMEOUT_SECONDS
"""Longest from the beginning of a call to the end of what it writes: it may read once before."""

MAX_OBJECTS = 5000
"""Objects that are read for one list."""

MAX_LIST_BYTES = 16 * 1024 * 1024
"""What all pages of a list may take together, as JSON: some eight times as much in memory."""

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""What is read of one page: one that would be longer is asked for again in smaller ones."""

MAX_HELD_BYTES = 24 * 1024 * 1024
"""What the lists of all calls may take together, from when they are read until the call is
answered."""

LISTS_AT_A_TIME = 4
"""Pages that are on their way at a time, of all calls: those that have not come yet are not known
to be small."""

TURN_SECONDS = 10.0
"""Longest that a page waits for its turn among them."""

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_JSON = "application/json"


@dataclass(frozen=True)
class Written:
    """What the API server stored."""

    status: int
    """201 where the object is new."""
    object: Object
    audit_id: str


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: list[Object]
    further: str
    """What is to be given as `continue` for the next part; empty in the last."""


class Room:
    """What the lists of all calls may take together."""

    def __init__(self, most: int = MAX_HELD_BYTES, turn_seconds: float = TURN_SECONDS) -> None:
        self.left = most
        self._coming = asyncio.Semaphore(LISTS_AT_A_TIME)
        self._turn_seconds = turn_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """While one page is on its way. Raises `Problem` if others take too long."""
        try:
            async with asyncio.timeout(self._turn_seconds):
                await self._coming.acquire()
        except TimeoutError:
            raise _busy() from None
        try:
            yield
        finally:
            self._coming.release()


class Caller:
    """The API server, as one caller; for one call of the portal. Without a token the connections
    have their own credentials: those of `kubectl proxy`."""

    def __init__(
        self,
        connections: Connections,
        token: Token | None,
        called: Callable[[str, int], None] = lambda method, code: None,
        room: Room | None = None,
    ) -> None:
        self._connections = connections
        self._token = token
        self._called = called
        self._room = room or Room()
        self._held = 0
        self._closed = False

    def close(self) -> None:
        """The call is over: the lists that were read are needed no more, and no other is taken."""
        self._closed = True
        self.let_go()

    def let_go(self) -> None:
        """The lists that were read are needed no more."""
        self._room.left += self._held
        self._held = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """An object. Raises `Problem`, of status 404 where there is none."""
        return _object(await self._call("GET", resource.path(namespace, name)))

    async def page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        fields: str = "",
        labels: str = "",
        limit: int,
        further: str = "",
    ) -> Page:
        """A part of a list. Raises `Problem`, of status 410 where `further` is too old."""
        query = _query(fieldSelector=fields, labelSelector=labels, limit=limit)
        query |= {"continue": further} if further else {}
        path = resource.path(namespace)
        try:
            answer = await self._listed(path, query)
        except AnswerTooLarge:
            raise _too_large("Ask for fewer with `limit`.") from None
        return _page(_object(answer))

    async def _listed(self, path: str, query: Mapping[str, Any]) -> HttpAnswer:
        """A page. Raises `Problem` where there is no room for it, and `AnswerTooLarge`."""
        async with self._room.turn():
            answer = await self._call("GET", path, query=query, most=MAX_PAGE_BYTES)
            size = len(answer.body)
            if self._closed:
                raise RuntimeError("a list came after the call that it was for")
            if size > self._room.left:
                raise _busy()
            self._room.left -= size
            self._held += size
            return answer

    async def all(
        self, resource: Resource, namespace: str = "", *, fields: str = "", labels: str = ""
    ) -> list[Object]:
        """A list, whole. Raises `Problem`, also for more than `MAX_OBJECTS` or `MAX_LIST_BYTES`."""
        path, size = resource.path(namespace), 0

        # The first is as large as any: most lists of a page are one call then, and each call costs
        # the API server a look at all objects of the kind.
        async def fetched(query: Mapping[str, Any]) -> tuple[Object, int]:
            nonlocal size
            answer = await self._listed(path, query)
            size += len(answer.body)
            if size > MAX_LIST_BYTES:
                raise _too_large("Name a namespace.")
            return _object(answer), len(answer.body)

        found: list[Object] = []
        try:
            async for answer in paged(fetched, fields=fields, labels=labels, first=CHUNK):
                found += _page(answer).items
                if len(found) > MAX_OBJECTS:
                    raise _too_large("Name a namespace.")
        except AnswerTooLarge:
            raise _too_large("An object alone is larger.") from None
        return found

    async def apply(
        self, resource: Resource, namespace: str, name: str, body: Object, *, dry_run: bool
    ) -> Written:
        """Server-side apply, never by force. Raises `Problem`."""
        path = resource.path(namespace, name)
        content = json.dumps(body, allow_nan=False).encode()
        return await self._write(path, APPLY, content, dry_run=dry_run)

    async def patch_status(
        self, resource: Resource, namespace: str, name: str, patch: str, *, dry_run: bool
    ) -> Written:
        """A merge patch of a status. Raises `Problem`."""
        path = resource.path(namespace, name, "status")
        return await self._write(path, MERGE, patch.encode(), dry_run=dry_run)

    async def _write(self, path: str, kind: str, content: bytes, *, dry_run: bool) -> Written:
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        try:
            answer = await self._call("PATCH", path, query=query, content=content, kind=kind)
        except AnswerTooLarge:
            raise unknown_outcome() from None
        try:
            found = _object(answer)
        except Problem:
            if dry_run:
                raise
            raise unknown_outcome() from None
        return Written(answer.status, found, audit_id_of(answer))

    async def who_am_i(self) -> User:
        """Who calls, as the API server authenticates them. Raises `Problem`."""
        body = {"apiVersion": SELF_REVIEWS.api_version, "kind": SELF_REVIEWS.kind}
        content = json.dumps(body).encode()
        answer = await self._call("POST", SELF_REVIEWS.path(), content=content, kind=_JSON)
        info = _object(answer)["status"]["userInfo"]
        return User(str(info["username"]), str(info.get("uid") or ""), info.get("groups") or ())

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes = b"",
        kind: str = "",
        most: int = MAX_BODY_BYTES,
    ) -> HttpAnswer:
        """One call, tried once. Raises `Problem`, and `AnswerTooLarge` for more than `most`."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {
            "Accept": _JSON,
            "User-Agent": AGENT,
            **({"Authorization": self._token.authorization()} if self._token else {}),
            **({"Content-Type": kind} if kind else {}),
        }
        code = 0
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._connections.call(
                    method, target, headers=headers, body=content, limit=most
                )
            code = answer.status
        except AnswerTooLarge:
            raise
        except (ConnectionFailed, TimeoutError, OSError):
            if method == "PATCH":
                raise unknown_outcome() from None
            raise Problem(
                503, "ApiServerUnavailable", "the API server did not answer", headers=_LATER
            ) from None
        finally:
            self._called(method, code)
        if 200 <= code <= 299:
            return answer
        problem = refused(answer)
        if method == "PATCH" and "dryRun" not in (query or {}) and _may_be_stored(code, problem):
            raise unknown_outcome() from None
        raise problem


_LATER = {"Retry-After": "2"}


def _may_be_stored(code: int, problem: Problem) -> bool:
    """Whether a write that was answered with this error may have been stored: the API server, or
    what stands before it, failed. Where a webhook or the schema failed it, it was not."""
    if code < 500 or code == 503 or problem.status == 422:
        return False
    return "failed calling webhook" not in problem.detail


def unknown_outcome() -> Problem:
    """The problem of a write of which nobody knows whether it was stored."""
    return Problem(
        502,
        UNKNOWN,
        "the answer to a write did not come or says nothing: it may have been recorded, and was "
        "not sent again",
        next_step="Read it, and send it again only if it was not recorded.",
    )


def _busy() -> Problem:
    return Problem(503, BUSY, "too much is being read: try again", headers=_LATER)


def _too_large(next_step: str) -> Problem:
    return Problem(422, "TooMuch", "there is more than one answer can hold", next_step=next_step)


def _query(**values: str | int) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value}


def _object(answer: HttpAnswer) -> Object:
    try:
        found: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Problem(502, "AnswerUnreadable", "the API server's answer is no JSON object")
    return found


def _page(found: Object) -> Page:
    meta = found.get("metadata") or {}
    return Page(found.get("items") or [], str(meta.get("continue") or ""))
