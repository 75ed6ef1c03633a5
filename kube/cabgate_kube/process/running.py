# SPDX-License-Identifier: Apache-2.0
"""A process that works and shows its health until it is told to end."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine, Sequence
from typing import Any

from cabgate_kube.process.health import Pages, health_config
from cabgate_kube.process.http import Server
from cabgate_kube.process.signals import Stopping

log = logging.getLogger(__name__)


async def run_until_stopped(
    work: Coroutine[Any, Any, None],
    pages: Pages,
    *,
    host: str,
    port: int,
    sockets: Sequence[socket.socket] | None = None,
) -> None:
    """Work until SIGTERM or SIGINT, with the pages on `sockets` or at a port; 0 for none."""
    stopping = Stopping()
    server = Server(health_config(pages, host=host, port=port))
    listening = None if sockets is None else list(sockets)
    serving = [asyncio.create_task(server.serve(listening))] if port or sockets else []
    working = asyncio.create_task(work)
    stopped = asyncio.create_task(stopping.begun.wait())
    try:
        await asyncio.wait({working, stopped, *serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = working.done()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        stopped.cancel()
        server.should_exit = True
        await asyncio.gather(*serving)
        log.info("stopped%s", " by itself" if ended else "")
