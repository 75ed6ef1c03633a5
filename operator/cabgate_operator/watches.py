# SPDX-License-Identifier: Apache-2.0
"""Runs kopf in a thread of its own, and starts it anew when one of its watches has died.

kopf ends a watch for good on an error that it does not know, such as the one that the API server
gives after etcd was rolled back, and the process lives on without it. In its own event loop its
clean-up, which cancels every task of the loop, cannot touch ours.
"""

import asyncio
import logging
import threading
from collections.abc import Callable

import aiohttp
import kopf

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Time between two looks at the watches."""

GRACE_SECONDS = 20.0
"""How long kopf may take until its watches run."""

STOP_SECONDS = 1.5
"""How long kopf may take to stop; then its thread is left behind."""

_TASK_PREFIX = "watcher for "


class Watches:
    """kopf's watches, kept alive.

    `registry` gives the handlers for a new run, `expected` how many watches there have to be then,
    and `restarted` is called in our event loop each time that they begin anew.
    """

    def __init__(
        self,
        registry: Callable[[], kopf.OperatorRegistry],
        settings: Callable[[], kopf.OperatorSettings],
        expected: Callable[[], int],
        restarted: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._expected = expected
        self._restarted = restarted
        self._stale = asyncio.Event()
        self._run: _Run | None = None

    def restart(self, why: str) -> None:
        """Begin anew although the watches seem to live."""
        log.warning("watches: %s", why)
        self._stale.set()

    async def run_forever(self) -> None:
        """Run kopf, again and again, until cancelled."""
        delay = 0.5
        try:
            while True:
                self._stale.clear()
                self._run = _Run(self._registry(), self._settings())
                lived = await self._watch(self._run)
                await self._run.stop()
                delay = 0.5 if lived else min(delay * 2, 30.0)
                log.warning("watches: starting again in %.1f s", delay)
                await asyncio.sleep(delay)
                self._restarted()
        finally:
            if self._run is not None:
                await asyncio.shield(self._run.stop())

    async def _watch(self, run: "_Run") -> bool:
        """Return when a run is of no more use: whether all watches had come to life."""
        loop = asyncio.get_running_loop()
        begun, expected = loop.time(), self._expected()
        complete = False
        while run.alive and not self._stale.is_set():
            count = run.watching()
            if count >= expected:
                complete = True
            elif complete:
                log.warning("watches: %d of %d are left", count, expected)
                return True
            elif loop.time() - begun > GRACE_SECONDS:
                log.warning("watches: only %d of %d came to life", count, expected)
                return False
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._stale.wait()
            except TimeoutError:
                continue
        return complete


class _Run:
    """One run of kopf."""

    def __init__(self, registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._stop = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="kopf", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(
                kopf.operator(
                    registry=self._registry,
                    settings=self._settings,
                    standalone=True,
                    clusterwide=True,
                    stop_flag=self._stop,
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, kopf is started again
            log.warning("watches: kopf ended: %s: %s", type(error).__name__, error)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    @property
    def alive(self) -> bool:
        """Whether kopf runs."""
        return self._thread.is_alive()

    def watching(self) -> int:
        """How many of its watches run."""
        if self._loop.is_closed():
            return 0
        tasks = asyncio.all_tasks(self._loop)
        return sum(task.get_name().startswith(_TASK_PREFIX) for task in tasks)

    async def stop(self) -> None:
        """Ask kopf to end and wait for it, but not for long."""
        self._stop.set()
        waited = 0.0
        while self.alive and waited < STOP_SECONDS:
            await asyncio.sleep(0.02)
            waited += 0.02


def traced(
    info: kopf.ConnectionInfo,
    began: Callable[[str, int], None],
    failed: Callable[[], None],
) -> kopf.AiohttpSession:
    """A session for kopf that tells of its watches: `began` with the resource and the version from
    which a watch goes on, when the API server has accepted it; `failed` when it has not.

    Both are called in kopf's thread.
    """

    async def ended(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        if "watch" not in end.url.query:
            return
        since = end.url.query.get("resourceVersion", "")
        if end.response.status != 200:
            failed()
        elif since.isdigit():
            began(end.url.path.rpartition("/")[2], int(since))

    async def broke(_: object, __: object, broken: aiohttp.TraceRequestExceptionParams) -> None:
        if "watch" in broken.url.query:
            failed()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(broke)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(server=info.server, aiohttp_session=session)
