# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from cabgate_kube.errors import ApiError, ConflictError
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.queue import (
    LONGEST_RETRY,
    LONGEST_SLEEP,
    USED_UP_RETRY,
    Timing,
    WorkQueue,
)
from support.waiting import until
from unit.operator.support import NOW, Clock
from unit.simulated import simulate, simulated_loop

A = Key(Subject.INTENT, "team", "a")
B = Key(Subject.INTENT, "team", "b")


def queue_of(handle: Callable[[Key], Awaitable[None]], clock: Clock) -> WorkQueue:
    timing = Timing(clock=clock, monotonic=clock.monotonic, jitter=lambda: 1.0)
    return WorkQueue(handle, timing)


async def test_a_key_waits_once() -> None:
    seen: list[Key] = []

    async def handle(key: Key) -> None:
        seen.append(key)

    queue = queue_of(handle, Clock())
    for key in (A, B, A, A):
        queue.add(key)
    assert len(queue) == 2
    await queue.process_one()
    await queue.process_one()
    assert len(queue) == 0
    assert seen == [A, B]


async def test_a_key_that_changes_while_handled_is_handled_again_and_never_by_two() -> None:
    at_once = most = count = 0

    async def handle(key: Key) -> None:
        nonlocal at_once, most, count
        at_once, count = at_once + 1, count + 1
        most = max(most, at_once)
        if count == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0.01)
        at_once -= 1

    queue = WorkQueue(handle)
    queue.start(workers=3)
    assert queue.running
    queue.add(A)
    await until(lambda: count >= 2 and not len(queue), "it was handled again")
    await queue.stop()
    assert not queue.running
    assert (count, most) == (2, 1)


async def test_errors_back_off_to_a_bound_and_success_forgets_them() -> None:
    clock = Clock()
    delays: list[float] = []
    failing = True

    async def handle(_: Key) -> None:
        if failing:
            raise ValueError("no")

    queue = queue_of(handle, clock)
    queue.add(A)
    for _ in range(12):
        await queue.process_one()
        assert len(queue) == 0
        before = clock.seconds
        while not len(queue):
            clock.forward(queue.tick() if not len(queue) else 0)
            queue.tick()
        delays.append(clock.seconds - before)
    failing = False
    await queue.process_one()
    failing = True
    queue.add(A)
    await queue.process_one()
    assert queue.tick() == pytest.approx(0.2)
    assert delays[:3] == pytest.approx([0.2, 0.4, 0.8])
    assert delays[-1] == pytest.approx(LONGEST_RETRY)


async def test_a_conflict_is_tried_again_at_once_but_not_for_ever() -> None:
    count = 0

    async def handle(_: Key) -> None:
        nonlocal count
        count += 1
        raise ConflictError(409, "Conflict", "changed")

    queue = queue_of(handle, Clock())
    queue.add(A)
    while len(queue):
        await queue.process_one()
    assert count == 6


async def test_an_event_comes_before_the_retry_and_the_retry_is_dropped() -> None:
    clock = Clock()
    fail = True
    count = 0

    async def handle(_: Key) -> None:
        nonlocal count
        count += 1
        if fail:
            raise ValueError("no")

    queue = queue_of(handle, clock)
    queue.add(A)
    await queue.process_one()
    fail = False
    queue.add(A)
    await queue.process_one()
    clock.forward(60)
    queue.tick()
    assert len(queue) == 0
    assert count == 2


async def test_a_deadline_fires_at_its_moment_and_once() -> None:
    async def handle(_: Key) -> None:
        return

    clock = Clock()
    queue = queue_of(handle, clock)
    queue.add_at(A, NOW + timedelta(seconds=3))
    queue.add_at(A, NOW + timedelta(seconds=3))
    queue.add_at(B, NOW + timedelta(days=80))
    assert queue.deadlines == 2
    assert queue.tick() == pytest.approx(3)
    clock.forward(2.999)
    queue.tick()
    assert len(queue) == 0
    clock.forward(0.001)
    assert queue.tick() == LONGEST_SLEEP
    assert len(queue) == 1
    await queue.process_one()
    clock.forward(10)
    queue.tick()
    assert len(queue) == 0
    assert queue.deadlines == 1


async def test_a_deadline_moves_and_goes() -> None:
    async def handle(_: Key) -> None:
        return

    clock = Clock()
    queue = queue_of(handle, clock)
    queue.add_at(A, NOW + timedelta(seconds=1))
    queue.add_at(A, NOW + timedelta(seconds=20))
    queue.add_at(B, NOW + timedelta(seconds=1))
    queue.add_at(B, None)
    queue.add_at(B, None)
    clock.forward(10)
    queue.tick()
    assert len(queue) == 0
    clock.forward(10)
    queue.tick()
    assert len(queue) == 1


def test_the_running_clock_wakes_up_for_a_new_deadline() -> None:
    async def scenario() -> tuple[Key, float]:
        loop = simulated_loop()
        handled = loop.create_future()

        async def handle(key: Key) -> None:
            handled.set_result((key, loop.now))

        timing = Timing(lambda: NOW + timedelta(seconds=loop.now), loop.time)
        queue = WorkQueue(handle, timing)
        queue.start(workers=1)
        await asyncio.sleep(1)
        queue.add_at(A, NOW + timedelta(seconds=3))
        found = await handled
        await queue.stop()
        return found

    # It would not have looked again before LONGEST_SLEEP.
    assert simulate(scenario()) == (A, pytest.approx(3))


def test_keys_read_well_in_logs() -> None:
    assert str(A) == "intent team/a"
    assert str(Key(Subject.NAMESPACE, "team", "")) == "namespace team"


async def test_what_a_budget_refused_is_tried_again_late_and_at_once_after_a_change() -> None:
    clock = Clock()
    seen: list[Key] = []

    async def handle(key: Key) -> None:
        seen.append(key)
        raise ApiError(403, "Forbidden", "admission webhook denied it", causes=["BudgetUsedUp"])

    queue = queue_of(handle, clock)
    queue.add(A)
    await queue.process_one()
    clock.forward(LONGEST_RETRY * 2)
    queue.tick()
    assert len(queue) == 0
    queue.add(A)  # a watch saw a change
    await queue.process_one()
    clock.forward(USED_UP_RETRY)
    queue.tick()
    assert len(queue) == 1
    assert seen == [A, A]
