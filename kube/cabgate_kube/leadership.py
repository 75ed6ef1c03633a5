# SPDX-License-Identifier: Apache-2.0
"""The election as a process lives with it: it waits to lead, works while it does, and says how the
election is."""

import asyncio
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterable

from cabgate_kube.election import CALL_SECONDS, RENEW_DEADLINE, Elector
from cabgate_kube.process.tasks import cancelled, until

UNREACHED_SECONDS = RENEW_DEADLINE + CALL_SECONDS
"""After how long without a word about the Lease a replica is not ready."""

STUCK_SECONDS = 60.0
"""How long the election may stand still."""


def identity() -> str:
    """A name that no other process has: a Pod's host name is its own, but not its restarts'."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


class Leadership:
    """Leads again and again, for as long as each time lasts. One for a process."""

    def __init__(self) -> None:
        self._elector: Elector | None = None
        self._election: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether this process leads now."""
        return self._elector is not None and self._elector.leads

    async def run(self, elector: Elector, lead: Callable[["Term"], Awaitable[None]]) -> None:
        """Wait to lead, and have `lead` work while it does, until cancelled. Raises what ended the
        election or the work."""
        self._elector = elector
        self._election = asyncio.create_task(elector.run(), name="election")
        try:
            while True:
                await until(elector.until(True), self._election)
                await lead(Term(elector, self._election))
        finally:
            await cancelled(self._election)

    def problems(self) -> list[str]:
        """What is wrong with the election so that only a new process may help. That the API server
        is away is not."""
        found = []
        if self._election is not None and self._election.done():
            found.append("election: has ended")
        if self._elector is not None and self._elector.idle > STUCK_SECONDS:
            found.append(f"election: stands still, for {self._elector.idle:.0f} s")
        return found

    def unready(self) -> list[str]:
        """Why this process could neither lead nor take over now; empty if it could."""
        elector = self._elector
        if elector is None:
            return ["it has not begun"]
        if elector.silence > UNREACHED_SECONDS:
            return [f"election: {elector.trouble or 'no word about the Lease'}"]
        return []


class Term:
    """One time of leading."""

    def __init__(self, elector: Elector, election: asyncio.Task[None]) -> None:
        self.check = elector.check
        self._elector = elector
        self._election = election

    async def serve(
        self, work: Iterable[asyncio.Task[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        """Return once leadership is lost; raise what ended a part of the work, if one ended. Either
        way `stop` is awaited, after which nothing may be written: then the Lease is given back, if
        it is still held, so that another need not wait."""
        lost = False
        try:
            await until(self._elector.until(False), *work, self._election)
            lost = True
        finally:
            await stop()
            if not lost:
                await cancelled(self._election)
                await self._elector.release()
