# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics, for whoever reaches the port: a kubelet gets its answer, whoever
else sits there on connections."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from cabgate_operator.runtime.replica import Replica

CONNECTION_SECONDS = 10.0
"""Time that a client has for all of it, from the opening of the connection to the last byte of the
answer."""

MAX_CONNECTIONS = 100
"""Connections that are open at a time."""


class BoundedServer(web.Server):
    """A server whose connections end after a given time. If there are too many, the oldest goes of
    the address that has most: a kubelet has few."""

    def __init__(
        self, *args: Any, connection_seconds: float = CONNECTION_SECONDS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._connection_seconds = connection_seconds
        self._held: dict[web.RequestHandler, tuple[str, asyncio.TimerHandle]] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection; called by aiohttp."""
        super().connection_made(handler, transport)
        peer = transport.get_extra_info("peername") or ("",)
        timer = asyncio.get_running_loop().call_later(self._connection_seconds, transport.abort)
        self._held[handler] = (peer[0], timer)
        if len(self._held) > MAX_CONNECTIONS:
            held = Counter(address for address, _ in self._held.values())
            # The first of equals is the oldest.
            busiest = max(self._held, key=lambda each: held[self._held[each][0]])
            self._forget(busiest)
            if busiest.transport is not None:
                busiest.transport.abort()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Forget a connection; called by aiohttp."""
        self._forget(handler)
        super().connection_lost(handler, exc)

    def _forget(self, handler: web.RequestHandler) -> None:
        found = self._held.pop(handler, None)
        if found is not None:
            found[1].cancel()


async def serve_health(
    replica: Replica,
    port: int,
    *,
    host: str = "",
    connection_seconds: float = CONNECTION_SECONDS,
) -> web.ServerRunner:
    """Serve what a kubelet and Prometheus ask for, one request a connection, each within
    `connection_seconds`; on every address of the machine if `host` is empty.

    /healthz fails for what a new process may mend, /readyz for whatever keeps this one from its
    work, the API server included. Both say why.
    """

    async def answer(request: web.BaseRequest) -> web.Response:
        response = _page(replica, request)
        response.force_close()  # a kept connection is one to sit on
        return response

    server = BoundedServer(answer, access_log=None, connection_seconds=connection_seconds)
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host or None, port).start()
    return runner


def _page(replica: Replica, request: web.BaseRequest) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405, headers={"Allow": "GET, HEAD"})
    if request.path == "/healthz":
        return _answer(replica.problems())
    if request.path == "/readyz":
        return _answer([*replica.unready(), *replica.problems()])
    if request.path == "/metrics":
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=replica.metrics.text(), headers=headers)
    return web.Response(status=404)


def _answer(wrong: Sequence[str]) -> web.Response:
    lines = [f"not ok: {line}" for line in wrong] or ["ok"]
    return web.Response(text="".join(f"{line}\n" for line in lines), status=503 if wrong else 200)
