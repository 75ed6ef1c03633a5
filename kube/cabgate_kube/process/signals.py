# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGINT, by which a process is told to end."""

import asyncio
import contextlib
import signal


class Stopping:
    """SIGTERM and SIGINT: the first asks to stop, the second not to wait any more. To be made in
    the event loop that is to hear of them."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.hurried = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        (self.hurried if self.begun.is_set() else self.begun).set()

    async def linger(self, seconds: float) -> None:
        """Wait so many seconds, or until somebody is in a hurry."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hurried.wait()
