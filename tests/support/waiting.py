# SPDX-License-Identifier: Apache-2.0
"""Waiting in an event loop; what waits outside of one takes `cabgate_devcluster.wait_until`."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL = 0.005
"""Seconds between two looks."""


async def until(
    condition: Callable[[], T],
    what: str,
    timeout: float = 60.0,  # noqa: ASYNC109 - it says what was waited for
) -> T:
    """The value of a condition, once it is true. Fails, and says what was waited for, when it does
    not come true within the time, in seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not (found := condition()):  # noqa: ASYNC110 - it looks at whatever there is
                await asyncio.sleep(INTERVAL)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {timeout:g} s: {what}") from None
