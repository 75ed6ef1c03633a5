# SPDX-License-Identifier: Apache-2.0
"""Events on standard output, which is a pipe here."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from cabgate_relay.sinks.receiver import Outcome
from cabgate_relay.sinks.stdout import StdoutReceiver


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError:
            continue


async def test_one_event_a_line_behind_the_end_of_a_torn_one(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b'{"torn":')
    made = StdoutReceiver(writing)
    for _ in range(2):
        assert (await made.send([b'{"a":1}', b'{"b":2}'])).outcome is Outcome.ACCEPTED
    assert os.read(reading, 1000) == b'{"torn":\n' + b'{"a":1}\n{"b":2}\n' * 2


async def test_who_reads_slowly_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sending = asyncio.create_task(StdoutReceiver(writing).send([b"x" * 1_000_000]))
    await asyncio.sleep(0.05)
    assert not sending.done()
    got = 0
    while got < 1_000_002:
        got += len(await asyncio.to_thread(os.read, reading, 65536))
    assert (await sending).outcome is Outcome.ACCEPTED


async def test_where_nobody_reads_any_more_it_is_no_success(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    answer = await StdoutReceiver(writing).send([b"x"])
    assert answer.outcome is Outcome.WAIT
    assert answer.reason == "standard output: Broken pipe"
