# SPDX-License-Identifier: Apache-2.0
"""The process behind `kubectl cab ui`: the page on loopback, over the socket of `kubectl proxy`,
which signs in as the person who runs it."""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from cabgate.api.base import build_models
from cabgate.review.identity import SERVICE_ACCOUNTS
from cabgate_kube.clock import Clock, utc_now
from cabgate_kube.credentials import Access
from cabgate_kube.process.ending import end
from cabgate_kube.process.http import COMMON, Server
from cabgate_kube.process.logs import PlainError, set_up_logging
from cabgate_kube.process.serving import protocol_of
from cabgate_kube.process.signals import Stopping
from cabgate_kube.transport import Connections
from cabgate_portal.client import Caller, Room
from cabgate_portal.page.guard import guarded
from cabgate_portal.page.pages import Pages
from cabgate_portal.page.rendering import Renderer
from cabgate_portal.page.session import LocalDoor, Session
from cabgate_portal.reading import Reader

PROGRAM = "cabgate ui"

LOOPBACK = "127.0.0.1"
"""The one address that the page listens on."""

PROXY = "http://localhost"
"""What `kubectl proxy` takes as the header Host."""

SOCKETS = 32
"""Calls to the API server at a time."""

MAX_CONNECTIONS = 100
"""Connections that are open at a time: whoever else is on this machine can open some, too."""

STOP_SECONDS = 3
"""Time that a stopping process gives the requests under way."""


def create_page(
    connections: Connections, session: Session, host: str, clock: Clock = utc_now
) -> ASGIApp:
    """The page at an address, for one session; the connections sign in by themselves."""
    room = Room()

    @contextlib.contextmanager
    def reading() -> Iterator[Reader]:
        yield Reader(Caller(connections, None, room=room), clock, SERVICE_ACCOUNTS)

    renderer = Renderer(session.base, session.form_token)
    pages = Pages(reading, renderer)
    return guarded(pages.routes(session.base), LocalDoor(session, host), renderer)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line is told."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="where kubectl proxy listens")
    parser.add_argument("--port", type=int, default=0, help="0: one that is free")
    return parser.parse_args(given)


def bound(port: int) -> socket.socket:
    """A socket on loopback; another process keeps none that was left half closed from it."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((LOOPBACK, port))
        found.listen(SOCKETS)
    except OSError as error:
        found.close()
        why = f"--port: {LOOPBACK}:{port} cannot be listened on: {error.strerror}"
        end(PROGRAM, 4, PlainError(why))
    return found


def config_of(page: ASGIApp) -> uvicorn.Config:
    """How the page is served."""
    return uvicorn.Config(
        page,
        http=protocol_of(MAX_CONNECTIONS, lambda _why: None),
        timeout_graceful_shutdown=STOP_SECONDS,
        **COMMON,
    )


async def serve(listening: socket.socket, path: Path) -> None:
    """Serve until SIGTERM, SIGINT, or the end of standard input, which whoever started this holds
    open: so nothing is left behind where that was killed."""
    stopping, session = Stopping(), Session()
    host = f"{LOOPBACK}:{listening.getsockname()[1]}"
    connections = Connections(Access(PROXY, socket=path), SOCKETS)
    server = Server(config_of(create_page(connections, session, host)))
    task = asyncio.create_task(server.serve([listening]))
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _read_on, stopping)
    print(f"http://{host}{session.entry()}", flush=True)  # noqa: T201
    begun = asyncio.create_task(stopping.begun.wait())
    await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(sys.stdin.fileno())
    server.should_exit = True
    begun.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    connections.close()


def _read_on(stopping: Stopping) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        stopping.begun.set()
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


def main(given: Sequence[str] | None = None) -> None:
    """Serve the page. Exits with 4 and a message where the port cannot be had."""
    found = arguments(given)
    set_up_logging("text")
    build_models()
    with bound(found.port) as listening:
        asyncio.run(serve(listening, found.socket))


if __name__ == "__main__":
    main()
