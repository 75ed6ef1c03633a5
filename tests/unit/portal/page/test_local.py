# SPDX-License-Identifier: Apache-2.0
"""The page as its process serves it, on a real socket."""

import asyncio
import contextlib
import socket

import httpx

from cabgate_kube.process.http import Server
from cabgate_portal.page.local import MAX_CONNECTIONS, config_of, create_page
from cabgate_portal.page.session import Session
from unit.portal.fake_api import FakeApi


async def test_connections_that_others_leave_open_do_not_stop_the_page():
    session = Session()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        port = listening.getsockname()[1]
        host = f"127.0.0.1:{port}"
        config = config_of(create_page(FakeApi(), session, host))
        config.timeout_keep_alive = 600  # it is their number that ends them, and not time
        server = Server(config)
        task = asyncio.create_task(server.serve([listening]))
        idle = [
            await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS + 20)
        ]
        async with httpx.AsyncClient(base_url=f"http://{host}", timeout=60) as browser:
            assert (await browser.get(session.entry())).status_code == 303
            assert (await browser.get(f"{session.base}/queue")).status_code == 200
            async with asyncio.timeout(60):
                for reader, _ in idle[:21]:  # the oldest went, for the others and for the browser
                    with contextlib.suppress(ConnectionError):
                        assert await reader.read(1) == b""
        for _, writer in idle:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        server.should_exit = True
        await task
