# SPDX-License-Identifier: Apache-2.0
"""Tasks of a process that ends in order."""

import asyncio
from collections.abc import Coroutine, Mapping
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


async def together(parts: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run parts of one work side by side, each under its name, until one of them raises or this is
    cancelled: then the others end, and what the first of them raised is raised."""
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            await cancelled(task)
