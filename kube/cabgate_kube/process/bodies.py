# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests, of which no client can make a process hold more than it has room for."""

from starlette.requests import Request


class TooLargeError(Exception):
    """A body over the limit."""


class BusyError(Exception):
    """More is being read than the process may hold at a time."""


class Bodies:
    """Reads bodies, each of at most `each` bytes, and of at most `together` at a time."""

    def __init__(self, each: int, together: int) -> None:
        self._each = each
        self._together = together
        self._held = 0

    async def read(self, request: Request) -> bytes:
        """The body. Raises `TooLargeError`, `BusyError` and `ClientDisconnect`."""
        chunks = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._held += len(chunk)
                if size > self._each:
                    raise TooLargeError
                if self._held > self._together:
                    raise BusyError
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            self._held -= size
