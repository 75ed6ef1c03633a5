# SPDX-License-Identifier: Apache-2.0
"""Servers of the tests that run in an event loop in a thread of their own."""

import asyncio
import threading


class LoopInThread:
    """A context manager: while it is entered, `serving` is, in the event loop of a thread.

    `serving` is an async context manager of the subclass: what it has entered listens. Tasks that
    still wait when it is left, such as a call that was never answered, are cancelled.
    """

    def serving(self):
        raise NotImplementedError

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(30), f"{type(self).__name__} does not listen"
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)

    def in_loop(self, function, *args):
        """Have the loop call a function soon."""
        self._loop.call_soon_threadsafe(function, *args)

    def _run(self, started):
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(started))

    async def _serve(self, started):
        self._ended = asyncio.Event()
        async with self.serving():
            started.set()
            await self._ended.wait()
