# SPDX-License-Identifier: Apache-2.0
"""How a server that clients speak to drops slow ones, and ends with no request lost."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cabgate_kube.process.http import BoundedProtocol

STOP_SECONDS = 10
"""Time that a stopping process gives the requests under way, once it takes no more."""

HANDSHAKE_SECONDS = 5.0
"""Time that a client has for the TLS handshake."""

HEAD_SECONDS = 5.0
"""Time that a client has for the head of a request, from its first byte on. The API server gives a
whole admission request 5 s."""

_CLOSE = (b"connection", b"close")


class Loop(uvloop.Loop):
    """The event loop, whose TLS servers give clients less time than uvloop's do (60 and 30 s)."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """A server; see asyncio."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_handshake_timeout", HANDSHAKE_SECONDS)
            options.setdefault("ssl_shutdown_timeout", 1.0)
        return cast("asyncio.Server", await super().create_server(*args, **options))


class ServingProtocol(BoundedProtocol):
    """A connection. It is closed if the head of a request does not come in time; and
    if there are too many, the one goes that has waited longest without ever sending a request, or,
    where each has sent one, the one that has waited longest since its last answer.

    One that has sent nothing yet is kept as long as one between two requests. Go's client, which is
    the API server's, opens more of them in a burst than it comes to need, and keeps those for
    later: a request on one that is being closed fails, and is not sent again on another.
    """

    limit: int
    """Connections that are open at a time."""
    dropped: Callable[[str], None]
    """Called with the reason, `slow` or `limit`, for each that is closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._idle_since = 0.0
        self._proven = False
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        """Whether a part of a head has come, and the rest is waited for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection whose handshake is done."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._wait(self.timeout_keep_alive)
        if len(self.connections) > self.limit:
            found = [each for each in self.connections if isinstance(each, ServingProtocol)]
            idle = [each for each in found if each is not self and not each._in_request()]
            # Nobody else waits: the newcomer goes, and no request under way is lost.
            min(idle or [self], key=lambda each: (each._proven, each._idle_since)).drop("limit")

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        if self._in_request():
            self._proven = True
            self._end_wait()
        elif not self._begun and not self.transport.is_closing():
            self._end_wait()
            self._begun = True
            self._wait(HEAD_SECONDS)

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._end_wait()
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_wait()
        super().connection_lost(exc)

    def drop(self, why: str) -> None:
        """Close the connection at once."""
        self.dropped(why)
        self.connections.discard(self)
        self.transport.abort()

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self.drop, "slow")

    def _end_wait(self) -> None:
        self._begun = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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


def protocol_of(limit: int, dropped: Callable[[str], None]) -> type[ServingProtocol]:
    """The class of the connections of one server, at most so many at a time."""
    return type(
        "BoundProtocol", (ServingProtocol,), {"limit": limit, "dropped": staticmethod(dropped)}
    )
