# SPDX-License-Identifier: Apache-2.0
"""A server that stands where the API server should be and fails in one way or another."""

import contextlib
import socket
import ssl
import threading


def _answer(status, body=b"", content_type="application/json", length=None):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
    head += f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body


ANSWERS = {
    "error": _answer("500 Internal Server Error", b"sorry\nreally"),
    "forbidden": _answer("403 Forbidden", b"no"),
    "no JSON": _answer("200 OK", b"{"),
    "other JSON": _answer("200 OK", b"[]"),
    "text": _answer("200 OK", b"ok", "text/plain"),
    "cut short": _answer("200 OK", b"{", length=99),
    "a login page": _answer("302 Found\r\nLocation: /login"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
}
"""What the server says to any request, before it closes the connection."""

SILENT = "silent"
"""It accepts connections and never says a word, not even TLS."""

MUTE = "mute"
"""It reads the request and never answers."""


class FaultyServer:
    """A TLS server on loopback whose fault can be changed while it runs; a context manager."""

    def __init__(self, certificate, key):
        self.fault = MUTE
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._held = []
        self.reached = 0
        """Requests that it was sent."""

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        for connection in self._held:
            connection.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self.fault == SILENT:
                    self._held.append(connection)
                else:
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            secure = self._context.wrap_socket(connection, server_side=True)
            secure.recv(65536)
            self.reached += 1
            if self.fault == MUTE:
                self._held.append(secure)
                return
            secure.sendall(ANSWERS[self.fault])
            secure.close()
