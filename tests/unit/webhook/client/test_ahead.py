# SPDX-License-Identifier: Apache-2.0
"""Reads that go out while another waits: as fresh as any, and no one's where nobody needs them."""

import asyncio

import pytest

from cabgate_webhook.client.ahead import Ahead
from cabgate_webhook.client.lookups import LookupFailed
from support.waiting import until


class Reads:
    """A read that takes until it is let go."""

    def __init__(self, gives="found"):
        self.begun = 0
        self.let_go = asyncio.Event()
        self._gives = gives

    async def __call__(self):
        self.begun += 1
        await self.let_go.wait()
        if isinstance(self._gives, Exception):
            raise self._gives
        return self._gives


async def test_nothing_goes_out_where_the_read_before_is_there_at_once():
    read = Reads()
    async with Ahead(read, seconds=60.0) as ahead:
        assert await ahead.found() is None
    assert read.begun == 0


async def test_what_went_out_meanwhile_is_waited_for_and_read_once():
    read = Reads()
    async with Ahead(read, seconds=0.0) as ahead:
        await until(lambda: read.begun, "it went out")
        found = asyncio.create_task(ahead.found())
        read.let_go.set()
        assert await found == "found"
    assert read.begun == 1


async def test_what_failed_is_nothing_that_was_found():
    """Whoever needs it reads by himself, and is told what is wrong."""
    read = Reads(LookupFailed("GET /somewhere: gone"))
    async with Ahead(read, seconds=0.0) as ahead:
        await until(lambda: read.begun, "it went out")
        read.let_go.set()
        assert await ahead.found() is None


async def test_other_errors_are_no_answer():
    read = Reads(RuntimeError("a fault of ours"))
    async with Ahead(read, seconds=0.0) as ahead:
        await until(lambda: read.begun, "it went out")
        read.let_go.set()
        with pytest.raises(RuntimeError, match="a fault of ours"):
            await ahead.found()


async def test_nobody_goes_on_reading_what_nobody_needs():
    ended = asyncio.Event()

    async def read():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Ahead(read, seconds=0.0) as ahead:
        await until(lambda: ahead._begun, "it went out")
    await until(ended.is_set, "it is given up")
