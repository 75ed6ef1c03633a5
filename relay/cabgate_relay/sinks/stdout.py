# SPDX-License-Identifier: Apache-2.0
"""Writes events to standard output, one a line. Logs go to standard error."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Sequence

from cabgate_relay.sinks.receiver import ACCEPTED, Answer, Outcome

_writing = threading.Lock()
"""One write at a time, also where one is left that nobody waits for any more."""


class StdoutReceiver:
    """Standard output, or another file descriptor."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._torn = True
        """Whether the end of a line may be missing: that of who was killed before, say."""

    async def send(self, lines: Sequence[bytes]) -> Answer:
        """Write a batch; returns when all of it is written. Who reads slowly makes it wait."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[str] = loop.create_future()
        content = b"".join(line + b"\n" for line in lines)

        def answer(why: str) -> None:
            if not written.done():
                written.set_result(why)

        def write() -> None:
            why = self._write(content)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(answer, why)

        # A daemon: a reader that has stalled keeps no process from ending.
        threading.Thread(target=write, name="stdout", daemon=True).start()
        why = await written
        return Answer(Outcome.WAIT, 0, why) if why else ACCEPTED

    def _write(self, content: bytes) -> str:
        """What went wrong; empty if nothing did."""
        with _writing:
            rest = memoryview(b"\n" + content if self._torn else content)
            self._torn = True
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                return f"standard output: {error.strerror or type(error).__name__}"
            self._torn = False
        return ""

    async def close(self) -> None:
        """Nothing: it is the process's own."""
