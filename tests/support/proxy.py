# SPDX-License-Identifier: Apache-2.0
"""A proxy before the real API server that notes what passes, and fails when told."""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from dataclasses import dataclass

import aiohttp
import yaml
from aiohttp import web

WRITES = ("POST", "PUT", "PATCH", "DELETE")
_NOT_PASSED_ON = {"host", "transfer-encoding", "content-length", "connection"}


@dataclass(frozen=True)
class Call:
    """A call that came by."""

    at: float
    """By the monotonic clock."""
    method: str
    path: str
    watch: bool


def status_object(code, reason, message="from the proxy"):
    """What the API server says when it refuses."""
    head = {"apiVersion": "v1", "kind": "Status", "status": "Failure"}
    return {**head, "code": code, "reason": reason, "message": message}


class ApiProxy:
    """One way to the API server of a cluster; a context manager.

    `refuse` may be set to a function of a Call that returns (status, reason) or None; `delay` to
    seconds before each answer; `hang` to a function of a Call: whether it is never answered, or, if
    it is a watch that runs, brings nothing any more; `cut` to a function of a Call: whether the
    connection is closed in place of the answer, once the API server gave it.
    """

    def __init__(self, cluster):
        pair = cluster.serving_certificate("proxy")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.cert, pair.key)
        self._trust = ssl.create_default_context(cadata=cluster.ca_pem.decode())
        self._cluster = cluster
        self._loop = asyncio.new_event_loop()
        self._watches = set()
        self.port = cluster.free_port()
        self.calls = []
        self._stored = []
        self.heal()

    def heal(self):
        """Pass everything on again."""
        self.refuse = lambda call: None
        self.hang = lambda call: False
        self.cut = lambda call: False
        self.delay = 0.0
        self.gone = False
        """Whether each watch is told 410 Gone."""

    def kubeconfig(self, original, name="proxied"):
        """A kubeconfig like another, by way of this proxy."""
        config = yaml.safe_load(original.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        path = self._cluster.directory / f"{name}-{self.port}.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def serve(self, pair):
        """Use another certificate from now on, on new connections."""
        cert, key = (self._cluster.directory / f"proxy-{self.port}.{end}" for end in ("crt", "key"))
        pair.write(cert, key)
        self._context.load_cert_chain(cert, key)

    def writes(self, since=0.0):
        """The writes that came by since a moment, but those of the Lease."""
        return [
            call
            for call in self.calls
            if call.at >= since and call.method in WRITES and "/leases" not in call.path
        ]

    def stored(self, since=0.0):
        """Those of `writes` that the API server took."""
        return [call for call in self.writes(since) if call in self._stored]

    def all_watched(self):
        """Whether every resource that was ever watched is being watched now."""
        asked = {call.path for call in self.calls if call.watch}
        return bool(asked) and len(self._watches) >= len(asked)

    def cut_watches(self):
        """Break every watch off in the middle; how many."""
        watches = list(self._watches)
        for transport in watches:
            self._loop.call_soon_threadsafe(transport.abort)
        return len(watches)

    def __enter__(self):
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    def _run(self, started):
        # The runner cancels what still waits at the end: a call that was never answered.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(started))

    async def _serve(self, started):
        self._stopped = asyncio.Event()
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        # An outage of the API server is to be seen as one, so there is no time limit of our own.
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        ) as self._session:
            app = web.Application(client_max_size=16 * 1024 * 1024)
            app.router.add_route("*", "/{path:.*}", self._answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self._context)
            await site.start()
            started.set()
            await self._stopped.wait()
            await runner.cleanup()

    async def _answer(self, request):
        call = Call(time.monotonic(), request.method, request.path, "watch" in request.query)
        self.calls.append(call)
        refused = self.refuse(call)
        if refused is not None:
            return web.json_response(
                status_object(*refused), status=refused[0], headers={"Retry-After": "1"}
            )
        if call.watch and self.gone:
            event = {"type": "ERROR", "object": status_object(410, "Expired")}
            return web.json_response(event)
        while self.hang(call):  # noqa: ASYNC110 - changed from another thread
            await asyncio.sleep(0.1)
        if self.delay:
            await asyncio.sleep(self.delay)
        try:
            return await self._pass_on(request, call)
        except (aiohttp.ClientError, OSError):
            request.transport and request.transport.abort()
            return web.Response(status=502)

    async def _pass_on(self, request, call):
        url = f"{self._cluster.server}{request.rel_url}"
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON}
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            data=await request.read() or None,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _NOT_PASSED_ON}
            if not call.watch:
                body = await answer.read()
                if answer.ok and call.method in WRITES:
                    self._stored.append(call)
                if self.cut(call):
                    request.transport.abort()
                return web.Response(status=answer.status, headers=kept, body=body)
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            transport = request.transport
            self._watches.add(transport)
            try:
                async for chunk in answer.content.iter_any():
                    while self.hang(call):  # noqa: ASYNC110 - changed from another thread
                        await asyncio.sleep(0.1)
                    await response.write(chunk)
            finally:
                self._watches.discard(transport)
            with contextlib.suppress(OSError):
                await response.write_eof()
            return response
