# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 as processes of cabgate serve it: httptools parses, and sets no limit to the head of a
request: that is done here."""

import contextlib
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Longest head of a request: request line and headers."""


class TooLongHeadError(Exception):
    """Raised into the parser, which takes it for a request that cannot be read."""


class PipelinedError(Exception):
    """Raised into the parser where a request begins before the one before it is answered."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection that answers 400 and closes where the head of a request has no end, and closes
    where a client sends a request without waiting for the answer to the one before: uvicorn would
    queue any number of them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = False
        self._head = 0
        """Size of the head so far, at the least; at the most twice as much."""

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            # A header that goes on and on is told of only at its end.
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too long.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. uvicorn goes on timing one that was reset, which is kept in memory
        for as long: whoever asks and resets, again and again, would fill that."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        """Begin to count."""
        if self._in_request():
            raise PipelinedError
        super().on_message_begin()
        self._in_head, self._head = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count one header."""
        self._head += len(name) + len(value)
        if self._head > MAX_HEAD_BYTES:
            raise TooLongHeadError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read, and close; without an answer where it would be taken for that
        of the request under way."""
        if self._in_request():
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def _in_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class Server(uvicorn.Server):
    """A server that leaves signals to its process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing."""
        yield


COMMON: dict[str, Any] = {
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
    "lifespan": "off",
    "ws": "none",
    "log_config": None,
}
"""Settings of every server: nothing that clients make it log, believe or tell."""
