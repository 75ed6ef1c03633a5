# SPDX-License-Identifier: Apache-2.0
"""The server of admission: how slow clients are dropped, and how it ends with no review lost."""

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cabgate_kube.process.http import COMMON, BoundedProtocol
from cabgate_webhook.metrics import Metrics

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 120
"""Longer than the API server keeps an idle connection (90 s), so that it is the API server that
closes, and never finds a connection closed under it."""

STOP_SECONDS = 10
"""Time that a stopping process gives the reviews under way, once it takes no more."""

HANDSHAKE_SECONDS = 5.0
"""Time that a client has for the TLS handshake."""

HEAD_SECONDS = 5.0
"""Time that a client has for the head of a request, from the opening of the connection or from the
first byte of a later request on. The API server gives the whole review 5 s."""

_CLOSE = (b"connection", b"close")


class Loop(uvloop.Loop):
    """The event loop, whose TLS servers give clients less time than uvloop's do (60 and 30 s)."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """A server; see asyncio."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_handshake_timeout", HANDSHAKE_SECONDS)
            options.setdefault("ssl_shutdown_timeout", 1.0)
        return cast("asyncio.Server", await super().create_server(*args, **options))


class Protocol(BoundedProtocol):
    """A connection to admission. It is closed if the head of a request does not come in time; and
    if there are too many, the one goes that has waited longest without ever sending a request."""

    limit: int
    metrics: Metrics

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begun = 0.0
        self._proven = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection whose handshake is done."""
        super().connection_made(transport)
        self._begun = self.loop.time()
        self._await_head()
        if len(self.connections) > self.limit:
            found = [each for each in self.connections if isinstance(each, Protocol)]
            idle = [each for each in found if not each._proven]  # this one at the least
            min(idle, key=lambda each: each._begun).drop("limit")

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        if self._in_request():
            self._proven = True
            self._end_wait()
        elif self._head_timer is None and not self.transport.is_closing():
            self._await_head()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._end_wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_wait()
        super().connection_lost(exc)

    def drop(self, why: str) -> None:
        """Close the connection at once."""
        self.metrics.connections_dropped.labels(why).inc()
        self.connections.discard(self)
        self.transport.abort()

    def _in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.drop, "slow")

    def _end_wait(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class Draining:
    """An application that asks its clients to close their connections, once it is told so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_closing(event: Message) -> None:
            if self.begun and event["type"] == "http.response.start":
                event["headers"] = [*event.get("headers", ()), _CLOSE]
            await send(event)

        await self._app(scope, receive, send_closing)


def admission_config(
    app: Draining,
    context: ssl.SSLContext,
    metrics: Metrics,
    *,
    host: str,
    port: int,
    max_connections: int,
) -> uvicorn.Config:
    """The server of admission."""
    protocol = type(
        "AdmissionProtocol", (Protocol,), {"limit": max_connections, "metrics": metrics}
    )
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ssl_context_factory=lambda _config, _default: context,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=min(max_connections, socket.SOMAXCONN),
        **COMMON,
    )


@dataclass(frozen=True)
class Sockets:
    """Sockets that are bound already, instead of those of the settings' addresses."""

    admission: socket.socket
    probes: socket.socket
