# SPDX-License-Identifier: Apache-2.0
"""Tasks of a process that ends in order."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


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
    await _results([asyncio.create_task(part, name=name) for name, part in parts.items()])


@overload
async def gathered(
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], /
) -> tuple[A, B]: ...
@overload
async def gathered(
    first: Coroutine[Any, Any, A],
    second: Coroutine[Any, Any, B],
    third: Coroutine[Any, Any, C],
    /,
) -> tuple[A, B, C]: ...
@overload
async def gathered(
    first: Coroutine[Any, Any, A],
    second: Coroutine[Any, Any, B],
    third: Coroutine[Any, Any, C],
    fourth: Coroutine[Any, Any, D],
    /,
) -> tuple[A, B, C, D]: ...
@overload
async def gathered(*parts: Coroutine[Any, Any, A]) -> tuple[A, ...]: ...
async def gathered(*parts: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """What parts of one work come to that run side by side. Where one of them raises, or this is
    cancelled, the others have ended before that is raised: none goes on behind an answer, as with
    `asyncio.gather`."""
    return tuple(await _results([asyncio.create_task(part) for part in parts]))


async def _results(tasks: Sequence[asyncio.Task[A]]) -> list[A]:
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
