# SPDX-License-Identifier: Apache-2.0
"""A process leads, works and stops: nothing is written once another may lead, and the Lease goes
back as soon as nothing is written any more."""

import asyncio

import pytest

from cabgate_kube.leadership import STUCK_SECONDS, UNREACHED_SECONDS, Leadership
from support.waiting import until


class Lease:
    """What an elector knows, as a test says it."""

    def __init__(self) -> None:
        self.leads = True
        self.silence = self.idle = 0.0
        self.trouble = ""
        self.done: list[str] = []
        self.ends: Exception | None = None

    async def run(self) -> None:
        await until(lambda: self.ends is not None, "the election fails")
        raise self.ends

    async def until(self, leads: bool) -> None:
        await until(lambda: self.leads is leads, "leadership changes")

    def check(self) -> None:
        assert self.leads

    async def release(self) -> None:
        self.done.append("released")


class Process:
    """Leads by such a Lease; `done` says what it did, in order."""

    def __init__(self, work=None) -> None:
        self.lease, self.leadership = Lease(), Leadership()
        self.done = self.lease.done
        self._work = work or asyncio.Event().wait
        self.task = asyncio.create_task(self.leadership.run(self.lease, self._lead))

    async def _lead(self, term) -> None:
        self.done.append("works")
        work = asyncio.create_task(self._work(), name="work")

        async def stop() -> None:
            work.cancel()
            self.done.append("stopped")

        await term.serve([work], stop)


async def test_lost_leadership_stops_the_work_and_gives_nothing_back():
    process = Process()
    await until(lambda: process.done == ["works"], "it works")
    process.lease.leads = False
    await until(lambda: len(process.done) == 2, "it stops")
    process.lease.leads = True
    await until(lambda: len(process.done) == 3, "it leads again")
    assert process.done == ["works", "stopped", "works"]
    process.task.cancel()


async def test_who_is_told_to_end_stops_first_and_gives_the_lease_back_then():
    process = Process()
    await until(lambda: process.done == ["works"], "it works")
    process.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await process.task
    assert process.done == ["works", "stopped", "released"]
    assert process.leadership.problems() == ["election: has ended"]


async def test_work_that_fails_ends_the_process_and_another_leads_at_once():
    async def fails() -> None:
        raise ValueError("no")

    process = Process(fails)
    with pytest.raises(ValueError, match="no"):
        await process.task
    assert process.done == ["works", "stopped", "released"]


async def test_an_election_that_fails_ends_the_process_that_waits():
    process = Process()
    process.lease.leads, process.lease.ends = False, ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await process.task
    assert process.done == []


async def test_how_the_election_is():
    assert Leadership().unready() == ["it has not begun"]
    assert not Leadership().leads
    process = Process()
    await until(lambda: process.done == ["works"], "it works")
    leadership, lease = process.leadership, process.lease
    assert leadership.leads
    assert leadership.unready() == leadership.problems() == []
    lease.silence = UNREACHED_SECONDS + 1
    assert leadership.unready() == ["election: no word about the Lease"]
    lease.trouble = "503 Unavailable"
    assert leadership.unready() == ["election: 503 Unavailable"]
    lease.idle = STUCK_SECONDS + 1
    assert leadership.problems() == [f"election: stands still, for {lease.idle:.0f} s"]
    process.task.cancel()
