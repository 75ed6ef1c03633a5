# SPDX-License-Identifier: Apache-2.0
"""Time that passes as soon as everybody waits for it: what takes minutes takes none, and comes in
the same order each time. For code that waits for nothing but its event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Simulated(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to when the next thing happens."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._selector_select = self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self._jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now

    def _jump(self, timeout: float | None) -> Any:
        if timeout:
            self.now += timeout
        return self._selector_select(0)


def simulate(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that ran in simulated time."""
    with asyncio.Runner(loop_factory=Simulated) as runner:
        return runner.run(coroutine)


def simulated_loop() -> Simulated:
    """The event loop, for who runs in simulated time."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Simulated)
    return loop
