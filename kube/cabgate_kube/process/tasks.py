# SPDX-License-Identifier: Apache-2.0
"""Tasks of a process that ends in order."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task, and return when it has ended, however it did."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Coroutine[Any, Any, None], *tasks: asyncio.Task[None]) -> None:
    """Return when the condition holds; if one of the tasks ends before, raise what it raised."""
    waiting = asyncio.create_task(condition)
    try:
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(waiting)
    for task in tasks:
        if task.done():
            task.result()
            raise RuntimeError(f"{task.get_name()} has ended")
