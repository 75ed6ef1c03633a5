# SPDX-License-Identifier: Apache-2.0
"""The queue takes namespaces in turn: what one team has waiting delays no other's work."""

import asyncio

import pytest

from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.queue import WorkQueue


def key(namespace: str, name: str) -> Key:
    return Key(Subject.INTENT, namespace, name)


async def order_of(*keys: Key) -> list[str]:
    seen: list[str] = []

    async def handle(key: Key) -> None:
        seen.append(f"{key.namespace}/{key.name}")

    queue = WorkQueue(handle)
    for each in keys:
        queue.add(each)
    while len(queue):
        await queue.process_one()
    return seen


async def test_a_thousand_intents_of_one_team_are_not_before_that_of_another() -> None:
    flood = [key("loud", f"i-{number}") for number in range(1000)]
    seen = await order_of(*flood, key("quiet", "web"), key("calm", "web"))
    assert sorted(seen[:3]) == ["calm/web", "loud/i-0", "quiet/web"]
    assert len(seen) == 1002


async def test_within_a_namespace_first_comes_first() -> None:
    seen = await order_of(key("a", "1"), key("a", "2"), key("b", "1"), key("a", "3"), key("b", "2"))
    assert seen == ["a/1", "b/1", "a/2", "b/2", "a/3"]


@pytest.mark.parametrize(("workers", "most"), [(16, 4), (8, 2), (2, 1), (1, 1)])
async def test_one_namespace_has_a_quarter_of_the_workers_and_others_go_on(
    workers: int, most: int
) -> None:
    slow, under_way, seen = asyncio.Event(), 0, []

    async def handle(key: Key) -> None:
        nonlocal under_way
        if key.namespace == "loud":
            under_way += 1
            await slow.wait()
        seen.append(key.namespace)

    queue = WorkQueue(handle)
    for number in range(40):
        queue.add(key("loud", f"i-{number}"))
    queue.start(workers)
    for number in range(3):
        queue.add(key("quiet", f"i-{number}"))
    for _ in range(50):
        await asyncio.sleep(0)
    assert under_way == most
    assert seen == (["quiet"] * 3 if workers > 1 else [])
    slow.set()
    for _ in range(500):
        await asyncio.sleep(0)
    assert len(seen) == 43
    await queue.stop()
