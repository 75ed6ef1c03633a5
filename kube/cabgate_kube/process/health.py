# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics by plain HTTP, for whoever reaches the port: a kubelet gets its
answer, whoever else sits there on connections."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cabgate_kube.process.http import COMMON, BoundedProtocol

CONNECTION_SECONDS = 10.0
"""Time that a client has for all of it, from the opening of the connection to the last byte of the
answer."""

MAX_CONNECTIONS = 100
"""Connections that are open at a time."""


@dataclass(frozen=True)
class Pages:
    """What the pages of a process say. No problem is a 200, any is a 503 that names each."""

    problems: Callable[[], Sequence[str]]
    """What is wrong so that only a new process may help: /healthz."""
    unready: Callable[[], Awaitable[Sequence[str]]]
    """What keeps the process from its work, the API server included: /readyz."""
    metrics: Callable[[], bytes]
    """The text of /metrics."""


def pages_app(pages: Pages) -> ASGIApp:
    """The application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _page(pages, Request(scope))
        await response(scope, receive, send)

    return answer


async def _page(pages: Pages, request: Request) -> Response:
    if request.method not in ("GET", "HEAD"):
        return Response(status_code=405, headers={"Allow": "GET, HEAD"})
    if request.url.path == "/healthz":
        return _answer("not ok", pages.problems())
    if request.url.path == "/readyz":
        return _answer("not ready", await pages.unready())
    if request.url.path == "/metrics":
        return Response(pages.metrics(), media_type=CONTENT_TYPE_LATEST)
    return Response(status_code=404)


def _answer(what: str, wrong: Sequence[str]) -> Response:
    lines = [f"{what}: {line}" for line in wrong] or ["ok"]
    text = "".join(f"{line}\n" for line in lines)
    return Response(text, 503 if wrong else 200, media_type="text/plain")


class HealthProtocol(BoundedProtocol):
    """A connection, which anybody may open: one request within a given time. If there are too many,
    the oldest goes of the address that has most: a kubelet has few."""

    dropped: Callable[[str], None]
    seconds: float

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begun = self.loop.time()
        self._ending = self.loop.call_later(self.seconds, self.drop, "probe-slow")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            found = [each for each in self.connections if isinstance(each, HealthProtocol)]
            held = Counter(each.address for each in found)
            min(found, key=lambda each: (-held[each.address], each._begun)).drop("probe-limit")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._ending.cancel()
        super().connection_lost(exc)

    @property
    def address(self) -> str:
        """Where the client is, as far as it is known."""
        return self.client[0] if self.client else ""

    def drop(self, why: str) -> None:
        """Close the connection at once."""
        self.dropped(why)
        self.connections.discard(self)
        self.transport.abort()


def health_config(
    pages: Pages,
    *,
    host: str,
    port: int,
    dropped: Callable[[str], None] = lambda why: None,
    connection_seconds: float = CONNECTION_SECONDS,
) -> uvicorn.Config:
    """The server of the pages, on every address of the machine if `host` is empty. It keeps no
    connection: a kept one is one to sit on. `dropped` is told of each that it closed by itself:
    `probe-slow` or `probe-limit`."""
    of_process = {"dropped": staticmethod(dropped), "seconds": connection_seconds}
    return uvicorn.Config(
        pages_app(pages),
        host=host,
        port=port,
        http=type("HealthProtocol", (HealthProtocol,), of_process),
        headers=[("Connection", "close")],
        timeout_graceful_shutdown=1,
        **COMMON,
    )
