# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 to the API server, over connections that are pooled and kept alive, under the
credentials as they are now.

A general client spends several times as much CPU on a read: see
docs/decisions/0052-one-client.md.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import SplitResult, urlsplit

import httptools

from cabgate_kube.credentials import Access

MAX_CONNECTIONS = 64
"""Connections that are open at a time; who needs another one waits."""

IDLE_SECONDS = 60.0
"""How long a connection is kept that nobody uses, unless its owner says otherwise."""

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Longest body of an answer, unless a call says otherwise."""

MAX_HEAD_BYTES = 64 * 1024
"""Longest head of an answer."""

_RETRY_AFTER = b"retry-after"
_RETRY_AFTER_LENGTH = len(_RETRY_AFTER)

_AUDIT_ID = b"audit-id"
_AUDIT_ID_LENGTH = len(_AUDIT_ID)

_ENCODING = b"content-encoding"
_ENCODING_LENGTH = len(_ENCODING)
_NO_ENCODING = (b"", b"identity")


class ConnectionFailed(Exception):  # noqa: N818 - said to users as it is
    """No answer: the message says why."""


class ClosedBeforeAnswer(ConnectionFailed):
    """The server closed a connection that was in use before, without a byte of the answer."""


class AnswerTooLarge(ConnectionFailed):
    """The body of an answer is longer than was asked for; the rest of it was not read."""


@dataclass(frozen=True)
class HttpAnswer:
    """What a server answered."""

    status: int
    body: bytes
    retry_after: bytes = b""
    """The header Retry-After, if there was one."""
    audit_id: bytes = b""
    """The header Audit-Id, if there was one: the API server's audit log has the call under it."""


class Connections:
    """Connections to an API server, at most so many at a time."""

    def __init__(
        self, access: Access, most: int = MAX_CONNECTIONS, *, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._access = access
        self._idle_seconds = idle_seconds
        self._url = urlsplit(access.server)
        self._idle: deque[_Connection] = deque()
        self._room = asyncio.Semaphore(most)

    def close(self) -> None:
        """Close what nobody uses."""
        while self._idle:
            self._idle.pop().abort()

    async def call(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        limit: int = MAX_BODY_BYTES,
        check: Callable[[], None] = lambda: None,
    ) -> HttpAnswer:
        """One call; `target` is path and query, encoded, below the path of the API server if that
        has one, and `limit` the longest body that is read of its answer. Raises `ConnectionFailed`,
        `OSError`, `ValueError` and what `check` raises.

        Connections that were made under another CA than the present one are used no more. A GET is
        tried once more where the server closed a kept connection under it. `check` is asked when
        the call is about to be sent, and raises if it must not be: a connection may have to be made
        first, and the process may stand still meanwhile.
        """
        trust = self._access.trust()
        given = {**headers, **self._access.headers()}
        path = self._url.path.rstrip("/")
        request = _request(method, f"{path}{target}", self._url, given, body)
        async with self._room:
            try:
                return await self._exchange(request, trust, limit, check, fresh=False)
            except ClosedBeforeAnswer:
                if method != "GET":
                    raise
                return await self._exchange(request, trust, limit, check, fresh=True)

    async def _exchange(
        self,
        request: bytes,
        trust: ssl.SSLContext,
        limit: int,
        check: Callable[[], None],
        *,
        fresh: bool,
    ) -> HttpAnswer:
        connection = None if fresh else self._kept(trust)
        if connection is None:
            connection = await _connect(self._url, trust, self._access.socket)
        try:
            answer = await connection.exchange(request, limit, check)
        except BaseException:  # cancelled, too: what comes later is not the next one's answer
            connection.abort()
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.abort()
        return answer

    def _kept(self, trust: ssl.SSLContext) -> "_Connection | None":
        """The connection that was used last: it is the likeliest to be open."""
        oldest = time.monotonic() - self._idle_seconds
        while self._idle and (self._idle[0].used < oldest or not self._idle[0].reusable):
            self._idle.popleft().abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.trust is trust:
                return connection
            connection.abort()
        return None


def _request(
    method: str, target: str, url: SplitResult, headers: Mapping[str, str], body: bytes
) -> bytes:
    # Said rather than left out: a proxy may ask for what its clients do not speak of.
    lines = [f"{method} {target} HTTP/1.1", f"Host: {url.netloc}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in the head of a request")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def _connect(url: SplitResult, trust: ssl.SSLContext, socket: Path | None) -> "_Connection":
    if socket is not None:
        _, local = await asyncio.get_running_loop().create_unix_connection(
            lambda: _Connection(trust), str(socket)
        )
        return local
    secure = url.scheme == "https"
    _, protocol = await asyncio.get_running_loop().create_connection(
        lambda: _Connection(trust),
        url.hostname or "",
        url.port or (443 if secure else 80),
        ssl=trust if secure else None,
        server_hostname=url.hostname if secure else None,
    )
    return protocol


class _Connection(asyncio.Protocol):
    """One connection, with at most one call under way."""

    def __init__(self, trust: ssl.SSLContext) -> None:
        self.trust = trust
        self.used = time.monotonic()
        self.reusable = True
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._parts: list[bytes] = []
        self._retry_after = b""
        self._audit_id = b""
        self._encoding = b""
        self._room = 0
        self._head_bytes = 0
        self._in_head = False
        self._calls = 0

    @property
    def usable(self) -> bool:
        """Whether another call may go over it; not so if its end was seen and is told soon."""
        ends = self._transport is None or self._transport.is_closing()
        return self.reusable and not ends

    async def exchange(self, request: bytes, limit: int, check: Callable[[], None]) -> HttpAnswer:
        """Send a request, unless `check` raises, and take its answer, of so many bytes at most."""
        if self._transport is None or self._transport.is_closing():
            raise self._closed(None)
        check()  # nothing waits between this and the bytes
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._parts = []
        self._retry_after = self._audit_id = self._encoding = b""
        self._room = limit
        self._head_bytes = 0
        self._in_head = True
        self._calls += 1
        self._transport.write(request)
        return await self._answer

    def abort(self) -> None:
        """Close at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer; called by the event loop."""
        if self._parser is None or self._answer is None or self._answer.done():
            self.abort()  # nobody asked
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionFailed(f"the answer is not HTTP: {error}"))
        else:
            if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
                self._fail(ConnectionFailed(f"the head of the answer is over {MAX_HEAD_BYTES} B"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what is wanted of the head; called by the parser."""
        if len(name) == _RETRY_AFTER_LENGTH and name.lower() == _RETRY_AFTER:
            self._retry_after = value
        elif len(name) == _ENCODING_LENGTH and name.lower() == _ENCODING:
            self._encoding = value.strip().lower()
        elif len(name) == _AUDIT_ID_LENGTH and name.lower() == _AUDIT_ID:
            self._audit_id = value

    def on_headers_complete(self) -> None:
        """Go on to the body; called by the parser."""
        self._in_head = False
        if self._encoding not in _NO_ENCODING:
            said = self._encoding.decode("latin-1")
            self._fail(ConnectionFailed(f"the answer is encoded as {said}; none was asked for"))

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body; called by the parser."""
        self._room -= len(body)
        if self._room < 0:
            self._parts.clear()
            self._fail(AnswerTooLarge("the answer is longer than was asked for"))
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Give the answer to who waits for it; called by the parser."""
        if self._parser is None or self._answer is None or self._answer.done():
            self.abort()  # a second answer to one request
            return
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self.used = time.monotonic()
        status, body = self._parser.get_status_code(), b"".join(self._parts)
        self._answer.set_result(HttpAnswer(status, body, self._retry_after, self._audit_id))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits; called by the event loop."""
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(self._closed(error))

    def _fail(self, error: ConnectionFailed) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()

    def _closed(self, error: Exception | None) -> ConnectionFailed:
        because = f": {error}" if error else ""
        if self._head_bytes or self._parts:
            return ConnectionFailed(f"the connection was closed within the answer{because}")
        if self._calls > 1 or self._answer is None:
            return ClosedBeforeAnswer(f"the connection was closed before the answer{because}")
        return ConnectionFailed(f"the connection was closed before the answer{because}")
