# SPDX-License-Identifier: Apache-2.0
"""Runs kopf in a thread of its own, and starts it anew when one of its watches has died.

kopf ends a watch for good on an error that it does not know, such as the one that the API server
gives after etcd was rolled back, and the process lives on without it. In its own event loop its
clean-up, which cancels every task of the loop, cannot touch ours.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import kopf

from cabgate_kube.client import METADATA_LIST, METADATA_WATCH
from cabgate_kube.credentials import Access
from cabgate_kube.process.logs import explained, fields

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""Time between two looks at the watches."""

GRACE_SECONDS = 20.0
"""How long kopf may take until its watches run."""

STOP_SECONDS = 1.5
"""How long kopf may take to stop by itself; then its event loop is stopped under it."""

BREAK_SECONDS = 1.0
"""How long that may take; then its thread is left behind."""

DEAD_SECONDS = 60.0
"""How long a watch may be down, while this replica leads, before the process counts as ill."""

STUCK_SECONDS = 30.0
"""How long kopf's event loop may stand still before it counts as stuck."""

AGAIN_SECONDS = 0.5
"""How long after its end a run is followed by the next; doubled while none comes to life."""

_TASK_PREFIX = "watcher for "


@dataclass(frozen=True)
class Pace:
    """How long the watches are waited for, in seconds."""

    check: float = CHECK_SECONDS
    """Between two looks at them."""
    grace: float = GRACE_SECONDS
    """Until they run."""
    again: float = AGAIN_SECONDS
    """Until they begin anew."""


class Run(Protocol):
    """One run of what watches."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    def watching(self) -> int:
        """How many of its watches run."""

    def silence(self) -> float:
        """For how many seconds it has not answered."""

    async def stop(self) -> None:
        """End it, but do not wait for long."""


class Watches:
    """kopf's watches, kept alive.

    `registry` gives the handlers for a new run, `expected` names the resources that have to be
    watched then, and `restarted` is called in our event loop each time that they begin anew.
    `begin` begins a run, and `monotonic` counts the seconds that a watch is down.
    """

    def __init__(
        self,
        registry: Callable[[], kopf.OperatorRegistry],
        settings: Callable[[], kopf.OperatorSettings],
        expected: Callable[[], Sequence[str]],
        restarted: Callable[[], None],
        *,
        begin: Callable[[kopf.OperatorRegistry, kopf.OperatorSettings], Run] | None = None,
        pace: Pace = Pace(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begin = begin or KopfRun
        self._pace = pace
        self._monotonic = monotonic
        self._registry = registry
        self._settings = settings
        self._expected = expected
        self._restarted = restarted
        self._stale = asyncio.Event()
        self._run: Run | None = None
        self._left: list[tuple[Run, float]] = []
        self._watched: Sequence[str] = ()
        self._down: dict[str, float] = {}

    def _all_down(self) -> None:
        now = self._monotonic()
        self._watched = self._expected()
        self._down = {plural: self._down.get(plural, now) for plural in self._watched}

    def began(self, plural: str) -> None:
        """The API server has accepted the watch of a resource."""
        self._down.pop(plural, None)

    def failed(self, plural: str) -> None:
        """The watch of a resource could not go on, or is asked for and not accepted yet."""
        if plural in self._watched:
            self._down.setdefault(plural, self._monotonic())

    def problems(self) -> list[str]:
        """What is wrong for so long that only a new process may help."""
        now = self._monotonic()
        found = [
            f"watch: {plural} is not watched, for {now - since:.0f} s"
            for plural, since in sorted(self._down.items())
            if now - since > DEAD_SECONDS
        ]
        self._left = [(run, since) for run, since in self._left if run.alive]
        ages = [now - since for _, since in self._left]
        if ages and max(ages) > DEAD_SECONDS:
            found.append(f"watch: a thread of kopf has not ended for {max(ages):.0f} s")
        return found

    def restart(self, why: str) -> None:
        """Begin anew although the watches seem to live."""
        log.warning("watches: %s", why, extra=fields(kind="watch", reason="Stale"))
        self._stale.set()

    async def run_forever(self) -> None:
        """Run kopf, again and again, until cancelled."""
        delay = self._pace.again
        try:
            while True:
                self._stale.clear()
                self._all_down()
                self._run = self._begin(self._registry(), self._settings())
                lived = await self._watch(self._run)
                await self._end(self._run)
                delay = self._pace.again if lived else min(delay * 2, 30.0)
                log.warning("watches: restarting in %.1f s", delay)
                await asyncio.sleep(delay)
                self._restarted()
        finally:
            if self._run is not None:
                await asyncio.shield(self._end(self._run))

    async def _end(self, run: Run) -> None:
        await run.stop()
        if run.alive:
            self._left.append((run, self._monotonic()))

    async def _watch(self, run: Run) -> bool:
        """Return when a run is of no more use: whether all watches had come to life."""
        loop = asyncio.get_running_loop()
        begun, expected = loop.time(), len(self._watched)
        complete = False
        while run.alive and not self._stale.is_set():
            count = run.watching()
            if run.silence() > STUCK_SECONDS:
                log.warning("watches: kopf is stuck")
                return False
            if count >= expected:
                complete = True
            elif complete:
                log.warning("watches: only %d of %d are running", count, expected)
                return True
            elif loop.time() - begun > self._pace.grace:
                log.warning("watches: only %d of %d started", count, expected)
                return False
            try:
                async with asyncio.timeout(self._pace.check):
                    await self._stale.wait()
            except TimeoutError:
                continue
        return complete


class KopfRun:
    """One run of kopf."""

    def __init__(self, registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._stop = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._beat = time.monotonic()
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
            about = fields(kind="watch", reason=type(error).__name__)
            log.warning("watches: kopf ended: %s", explained(error), extra=about)
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:  # kopf shields some of its tasks, so they may well not end
                self._loop.run_until_complete(asyncio.wait(left, timeout=BREAK_SECONDS / 2))
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

    def silence(self) -> float:
        """For how many seconds its event loop has not answered; asks it to answer again."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._answer)
        return time.monotonic() - self._beat

    def _answer(self) -> None:
        self._beat = time.monotonic()

    async def stop(self) -> None:
        """Ask kopf to end and wait for it, but not for long.

        After one of its watches has died it does not end by itself.
        """
        self._stop.set()
        if not await self._ended(STOP_SECONDS):
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._loop.stop)
            await self._ended(BREAK_SECONDS)

    async def _ended(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.alive and time.monotonic() < end:  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.02)
        return not self.alive


class Following:
    """Keeps the credentials of a session of kopf current. `stale` is called when another CA is to
    be trusted, which takes a new session."""

    def __init__(self, access: Access, stale: Callable[[str], None]) -> None:
        self._access = access
        self._stale = stale
        self._trusted = access.trust()

    def refresh(self, headers: MutableMapping[str, str]) -> None:
        """Put the token of now into the headers of a call."""
        headers.update(self._access.headers())
        trusted = self._access.trust()
        if trusted is not self._trusted:
            self._trusted = trusted
            self._stale("the API server has a new CA")


class _Response(aiohttp.ClientResponse):
    """An answer whose list is a list also where it is empty: of metadata alone the API server sends
    null then, of which kopf's watch dies."""

    async def json(self, **options: Any) -> Any:
        found = await super().json(**options)
        if isinstance(found, dict) and found.get("items", ()) is None:
            found["items"] = []
        return found


def traced(
    access: Access,
    began: Callable[[str, int], None],
    failed: Callable[[str], None],
    called: Callable[[str, int], None] = lambda verb, code: None,
    asked: Callable[[str], None] = lambda plural: None,
    follow: Following | None = None,
    metadata_only: Collection[str] = (),
) -> kopf.AiohttpSession:
    """A session for kopf that tells of its watches: `began` with the resource and the version from
    which a watch goes on, when the API server has accepted it; `failed` with the resource when it
    has not. `called` is told of each call, and `asked` of the resource when a watch is asked for:
    until it is accepted it is down, also if there is never an answer. Of the resources in
    `metadata_only` nothing else comes: whole, a few large ones of anybody would take all memory.

    All are called in kopf's thread. Raises `OSError` where there never was a token.
    """

    async def started(_: object, __: object, start: aiohttp.TraceRequestStartParams) -> None:
        if follow is not None:
            follow.refresh(start.headers)
        plural, watch = start.url.path.rpartition("/")[2], "watch" in start.url.query
        if plural in metadata_only:
            start.headers["Accept"] = METADATA_WATCH if watch else METADATA_LIST
        if watch:
            asked(plural)

    async def ended(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        called("watch" if "watch" in end.url.query else "list", end.response.status)
        if "watch" not in end.url.query:
            return
        plural = end.url.path.rpartition("/")[2]
        since = end.url.query.get("resourceVersion", "")
        if end.response.status != 200:
            failed(plural)
        elif since.isdigit():
            began(plural, int(since))

    async def broke(_: object, __: object, broken: aiohttp.TraceRequestExceptionParams) -> None:
        called("watch" if "watch" in broken.url.query else "list", 0)
        if "watch" in broken.url.query:
            failed(broken.url.path.rpartition("/")[2])

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(broke)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=access.trust()),
        headers=access.headers(),
        trace_configs=[trace],
        response_class=_Response,
    )
    return kopf.AiohttpSession(server=access.server, aiohttp_session=session)
