# SPDX-License-Identifier: Apache-2.0
"""What a Service does, on loopback: passes connections on to replicas that are ready. Connections
that are open stay where they are, whatever becomes of the replica."""

import asyncio
import contextlib
import itertools
import urllib.error
import urllib.request

from support.loops import LoopInThread

POLL_SECONDS = 0.2


class Balancer(LoopInThread):
    """Listens on a port and passes each new connection on, in turn, to a backend (port of the
    service, port of /readyz) that was ready at the last look. A context manager."""

    def __init__(self, port, backends):
        self.port = port
        self._backends = list(backends)
        self._ready = set()
        self._turns = itertools.count()
        self.opened = {port: 0 for port, _ in self._backends}
        """Connections that each backend was passed so far."""

    @property
    def ready(self):
        """Ports of the backends that new connections go to."""
        return frozenset(self._ready)

    @contextlib.asynccontextmanager
    async def serving(self):
        polls = [asyncio.create_task(self._poll(*backend)) for backend in self._backends]
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port, backlog=256)
        yield
        server.close()
        for poll in polls:
            poll.cancel()

    async def _poll(self, port, health_port):
        url = f"http://127.0.0.1:{health_port}/readyz"
        while True:
            if await asyncio.to_thread(_is_ready, url):
                self._ready.add(port)
            else:
                self._ready.discard(port)
            await asyncio.sleep(POLL_SECONDS)

    async def _pass_on(self, reader, writer):
        ready = sorted(self._ready)
        if ready:
            port = ready[next(self._turns) % len(ready)]
            # Like a Service, it does not try another one: who is sent to nobody is refused.
            with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled at the end
                there, back = await asyncio.open_connection("127.0.0.1", port)
                self.opened[port] += 1
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
        writer.close()


async def _pump(reader, writer):
    """Pass on until the end, and then the end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _is_ready(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a loopback URL
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False
