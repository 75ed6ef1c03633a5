# SPDX-License-Identifier: Apache-2.0
"""Reads that are shared: nobody is told what was true before they asked."""

import asyncio
import random
from collections import Counter

import pytest

from cabgate_webhook.client.sharing import SharedReads
from unit.simulated import simulate


def run(test):
    return simulate(asyncio.wait_for(test, 30))


async def passes(*tasks, turns=20):
    """Let tasks go on until they wait for something else."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


class Gates:
    """A function that reads, whose reads end when they are let."""

    def __init__(self):
        self.begun = []
        self.shared = SharedReads(self._read)
        self._changed = asyncio.Condition()

    async def _read(self, target):
        ends = asyncio.get_running_loop().create_future()
        self.begun.append((target, ends))
        async with self._changed:
            self._changed.notify_all()
        return await ends

    async def until_begun(self, number):
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= number)

    def ask(self, target="a"):
        return asyncio.create_task(self.shared.get(target))

    def end(self, number, result):
        self.begun[number][1].set_result(result)


def test_who_asks_together_shares_one_read():
    async def test():
        gates = Gates()
        tasks = [gates.ask() for _ in range(5)]
        await passes()
        gates.end(0, b"one")
        assert await asyncio.gather(*tasks) == [b"one"] * 5
        assert len(gates.begun) == 1

    run(test())


def test_who_asks_while_a_read_is_under_way_gets_the_next_one():
    async def test():
        gates = Gates()
        first = gates.ask()
        await passes()
        later = [gates.ask(), gates.ask()]
        await passes()
        assert len(gates.begun) == 1
        gates.end(0, b"old")
        assert await first == b"old"
        await passes()
        gates.end(1, b"new")
        assert await asyncio.gather(*later) == [b"new", b"new"]
        assert len(gates.begun) == 2

    run(test())


def test_other_things_are_read_apart():
    async def test():
        gates = Gates()
        tasks = [gates.ask("a"), gates.ask("b")]
        await passes()
        assert [target for target, _ in gates.begun] == ["a", "b"]
        gates.end(1, b"b")
        gates.end(0, b"a")
        assert await asyncio.gather(*tasks) == [b"a", b"b"]

    run(test())


def test_a_read_that_hangs_holds_nobody_else_up():
    async def test():
        gates = Gates()
        hung = gates.ask()
        await passes()
        other = gates.ask()
        await gates.until_begun(2)
        gates.end(1, b"answer")
        assert await other == b"answer"
        assert not hung.done()
        hung.cancel()

    run(test())


def test_who_gives_up_takes_the_answer_from_nobody():
    async def test():
        gates = Gates()
        impatient, patient = gates.ask(), gates.ask()
        await passes()
        impatient.cancel()
        await passes()
        gates.end(0, b"answer")
        assert await patient == b"answer"
        assert impatient.cancelled()

    run(test())


def test_an_error_is_everybodys_and_is_not_kept():
    async def test():
        gates = Gates()
        tasks = [gates.ask(), gates.ask()]
        await passes()
        gates.begun[0][1].set_exception(OSError("away"))
        assert all(
            isinstance(each, OSError)
            for each in await asyncio.gather(*tasks, return_exceptions=True)
        )
        again = gates.ask()
        await passes()
        gates.end(1, b"back")
        assert await again == b"back"

    run(test())


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_is_older_than_its_question(seed):
    """A world that changes all the time, reads that take long and short, and many who ask."""
    rng = random.Random(seed)  # noqa: S311
    world = Counter()
    reads = 0

    async def read(target):
        nonlocal reads
        reads += 1
        await asyncio.sleep(rng.choice([0, 0.0005, 0.003]))
        seen = world[target]  # what the server sees is of some moment between call and answer
        await asyncio.sleep(rng.choice([0, 0.0005, 0.03]))
        return str(seen).encode()

    async def somebody(shared):
        for _ in range(10):
            await asyncio.sleep(rng.choice([0, 0, 0.001, 0.004]))
            target = rng.choice("ab")
            world[target] += 1
            before = world[target]
            assert int(await shared.get(target)) >= before

    async def test():
        shared = SharedReads(read)
        await asyncio.gather(*(somebody(shared) for _ in range(20)))
        # Nothing is kept of what is over.
        await passes()
        assert not shared._next
        assert not shared._under_way

    run(test())
    assert reads < 200
