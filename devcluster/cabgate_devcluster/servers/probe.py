# SPDX-License-Identifier: Apache-2.0
"""One HTTPS question to one of our servers."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Probe:
    """Asks a server on 127.0.0.1 with a client certificate; no proxy, no keep-alive."""

    def __init__(self, port: int, ca: Path, cert: Path, key: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(ca))
        self._context.load_cert_chain(cert, key)

    def ask(self, path: str, timeout: float = 2.0) -> tuple[bool, str]:
        """Return whether `path` answers 200, and the answer or what went wrong; never raises."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=timeout, context=self._context
        )
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode(errors="replace").strip()
            return response.status == http.client.OK, f"{response.status} {body[:400]}"
        except (OSError, http.client.HTTPException) as exc:
            return False, f"{type(exc).__name__}: {exc}"
        finally:
            connection.close()

    def greet(self, protocol: str, timeout: float = 2.0) -> tuple[bool, str]:
        """Return whether the server takes a connection for a protocol, such as `h2`, with our
        certificate, and what it took or what went wrong; never raises."""
        self._context.set_alpn_protocols([protocol])
        try:
            with (
                socket.create_connection(("127.0.0.1", self._port), timeout) as connection,
                self._context.wrap_socket(connection, server_hostname="127.0.0.1") as secure,
            ):
                taken = secure.selected_alpn_protocol()
                return taken == protocol, f"it takes {taken or 'no protocol of these'}"
        except OSError as exc:
            return False, f"{type(exc).__name__}: {exc}"

    def call(self, path: str, body: Mapping[str, Any], timeout: float = 30.0) -> dict[str, Any]:
        """POST JSON to `path` and return what is answered; raises `OSError` if that is no 200."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=timeout, context=self._context
        )
        try:
            connection.request("POST", path, json.dumps(body))
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except http.client.HTTPException as exc:
            raise OSError(f"{path}: {type(exc).__name__}: {exc}") from exc
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise OSError(f"{path}: {response.status} {text[:400]}")
        answer: dict[str, Any] = json.loads(text)
        return answer
