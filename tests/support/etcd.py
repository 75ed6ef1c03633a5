# SPDX-License-Identifier: Apache-2.0
"""A way to etcd on which requests for progress get lost, so that etcd tells its watchers of nothing
that they did not ask for: a store that is late with progress, as some are."""

import asyncio
import contextlib
import ssl

from support.loops import LoopInThread

PREFACE = 24
HEAD = 9
DATA = 0
PROGRESS_REQUEST = b"\x00\x00\x00\x00\x02\x1a\x00"
"""A message of gRPC on a stream of watches: the WatchRequest that holds a WatchProgressRequest."""


class SilentEtcd(LoopInThread):
    """One way to the etcd of a cluster; a context manager. While `held`, requests for progress are
    dropped, and `dropped` counts them."""

    def __init__(self, cluster):
        pki = cluster.directory / "pki"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki / "etcd.crt", pki / "etcd.key")
        self._context.set_alpn_protocols(["h2"])
        self._trust = ssl.create_default_context(cafile=str(pki / "etcd-ca.crt"))
        self._trust.load_cert_chain(pki / "etcd-client.crt", pki / "etcd-client.key")
        self._trust.set_alpn_protocols(["h2"])
        self._etcd = cluster.etcd_port
        self.held = False
        self.dropped = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self):
        server = await asyncio.start_server(self._passed, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        yield
        server.close()

    async def _passed(self, reader, writer):
        try:
            from_etcd, to_etcd = await asyncio.open_connection(
                "127.0.0.1", self._etcd, ssl=self._trust, server_hostname="localhost"
            )
        except OSError:  # it has ended
            writer.transport.abort()
            return
        ways = (self._asked(reader, to_etcd), _copied(from_etcd, writer))
        await asyncio.wait(map(asyncio.create_task, ways), return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, to_etcd):
            end.transport.abort()

    async def _asked(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            writer.write(await reader.readexactly(PREFACE))
            while True:
                head = await reader.readexactly(HEAD)
                content = await reader.readexactly(int.from_bytes(head[:3]))
                if self.held and head[3] == DATA and content == PROGRESS_REQUEST:
                    self.dropped += 1  # its bytes of the window are few enough to be lost
                    continue
                writer.write(head + content)
                await writer.drain()


async def _copied(reader, writer):
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
