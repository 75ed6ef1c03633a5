# SPDX-License-Identifier: Apache-2.0
"""What need not be read, and until when."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from cabgate_kube.resources import NAMESPACES, RISK_MODELS, Object
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.remembered import FRESH_SECONDS, MAX_BODIES, Remembered
from unit.operator.support import Clock

WEB = Key(Subject.INTENT, "team", "web")


class Reads:
    """Reads that are counted."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.remembered = Remembered(self.clock.monotonic)
        self.count = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def read(self) -> list[int]:
        self.count += 1
        await asyncio.sleep(0)
        self.meanwhile()
        return [self.count]

    async def models(self) -> list[int]:
        return await self.remembered.still(RISK_MODELS, "", self.read)


def intent(version: int) -> Object:
    return {"metadata": {"name": "web", "resourceVersion": str(version)}}


async def test_what_is_not_watched_is_read_each_time() -> None:
    reads = Reads()
    assert [await reads.models(), await reads.models()] == [[1], [2]]


async def test_what_is_watched_is_read_once_until_it_changes() -> None:
    reads = Reads()
    reads.remembered.began(RISK_MODELS.plural)
    assert [await reads.models(), await reads.models()] == [[1], [1]]
    reads.remembered.brought(NAMESPACES, "team")
    assert await reads.models() == [1]
    reads.remembered.brought(RISK_MODELS, "default")
    assert [await reads.models(), await reads.models()] == [[2], [2]]


DOUBTS: dict[str, Callable[[Remembered], None]] = {
    "a change": lambda known: known.brought(RISK_MODELS, "default"),
    "a lost watch": lambda known: known.lost(RISK_MODELS.plural),
    "a watch that begins": lambda known: known.began(RISK_MODELS.plural),
    "a look that failed": lambda known: known.doubt(WEB),
}


@pytest.mark.parametrize("what", DOUBTS)
async def test_an_answer_that_may_be_older_than_a_change_is_not_kept(what: str) -> None:
    reads = Reads()
    reads.remembered.began(RISK_MODELS.plural)
    reads.meanwhile = lambda: DOUBTS[what](reads.remembered)
    await reads.models()
    reads.meanwhile = lambda: None
    assert await reads.models() == [2]


@pytest.mark.parametrize("what", DOUBTS)
async def test_what_was_read_before_is_read_anew(what: str) -> None:
    reads = Reads()
    reads.remembered.began(RISK_MODELS.plural)
    await reads.models()
    DOUBTS[what](reads.remembered)
    assert await reads.models() == [2]


async def test_one_object_changes_and_the_others_stay() -> None:
    reads = Reads()
    known = reads.remembered
    known.began(NAMESPACES.plural)

    def namespace(name: str) -> Awaitable[list[int]]:
        return known.still(NAMESPACES, name, reads.read)

    assert [await namespace("a"), await namespace("b")] == [[1], [2]]
    known.brought(NAMESPACES, "b")
    assert [await namespace("a"), await namespace("b")] == [[1], [3]]


async def test_that_an_object_is_not_there_is_not_kept() -> None:
    known = Remembered()
    known.began(NAMESPACES.plural)
    found: list[Object | None] = [None, intent(1)]

    async def read() -> Object | None:
        return found.pop(0)

    assert await known.still(NAMESPACES, "a", read) is None
    assert await known.still(NAMESPACES, "a", read) == intent(1)


def test_an_intent_that_a_watch_brought_is_taken_once_and_soon() -> None:
    reads = Reads()
    known = reads.remembered
    known.keep(WEB, intent(7))
    known.keep(WEB, intent(8))
    assert known.take(WEB) == intent(8)
    assert known.take(WEB) is None
    known.keep(WEB, intent(9))
    reads.clock.forward(FRESH_SECONDS + 0.1)
    assert known.take(WEB) is None


def test_an_intent_from_before_a_write_a_loss_or_a_failure_is_not_taken() -> None:
    known = Reads().remembered
    known.keep(WEB, intent(7))
    known.wrote(WEB, intent(8))
    assert known.take(WEB) is None
    known.keep(WEB, intent(8))  # a watch is later than the answer to the write
    assert known.take(WEB) is None
    known.keep(WEB, intent(9))
    known.lost()
    assert known.take(WEB) is None
    known.keep(WEB, intent(10))
    known.doubt(WEB)
    assert known.take(WEB) is None
    known.keep(WEB, intent(11))
    known.trust(WEB)
    assert known.take(WEB) == intent(11)


def test_an_intent_that_is_gone_is_not_taken() -> None:
    known = Reads().remembered
    known.keep(WEB, intent(7))
    known.keep(WEB, None)
    assert known.take(WEB) is None


def test_only_so_many_intents_are_kept() -> None:
    known = Reads().remembered
    keys = [Key(Subject.INTENT, "team", f"web-{n}") for n in range(MAX_BODIES + 1)]
    for key in keys:
        known.keep(key, intent(1))
    assert known.take(keys[0]) is None
    assert known.take(keys[1]) is not None
