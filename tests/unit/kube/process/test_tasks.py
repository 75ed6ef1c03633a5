# SPDX-License-Identifier: Apache-2.0
"""Parts of one work that run side by side."""

import asyncio

import pytest

from cabgate_kube.process.tasks import cancelled, gathered, together


class Part:
    """Runs until it is cancelled, or told to fail."""

    def __init__(self) -> None:
        self.running = False
        self.fails = asyncio.Event()

    async def run(self) -> None:
        self.running = True
        try:
            await self.fails.wait()
            raise ValueError("broken")
        finally:
            self.running = False


async def test_if_one_fails_the_others_end_and_it_is_raised() -> None:
    first, second = Part(), Part()
    work = asyncio.create_task(together({"one": first.run(), "two": second.run()}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert first.running
    assert second.running
    first.fails.set()
    with pytest.raises(ValueError, match="broken"):
        await work
    assert not second.running


async def test_if_it_is_cancelled_all_of_them_end() -> None:
    first, second = Part(), Part()
    work = asyncio.create_task(together({"one": first.run(), "two": second.run()}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(work)
    assert not first.running
    assert not second.running


async def value(of: str) -> str:
    return of


async def test_what_is_gathered_comes_in_its_order() -> None:
    assert await gathered(value("a"), value("b")) == ("a", "b")
    assert await gathered(*(value(each) for each in "abcde")) == tuple("abcde")
    assert await gathered() == ()


async def test_nothing_that_is_gathered_goes_on_after_one_fails() -> None:
    first, second = Part(), Part()
    work = asyncio.create_task(gathered(first.run(), second.run()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert second.running
    first.fails.set()
    with pytest.raises(ValueError, match="broken"):
        await work
    assert not second.running


async def test_nothing_that_is_gathered_goes_on_after_it_is_cancelled() -> None:
    first, second = Part(), Part()
    work = asyncio.create_task(gathered(first.run(), second.run()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(work)
    assert not first.running
    assert not second.running
