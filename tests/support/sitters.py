# SPDX-License-Identifier: Apache-2.0
"""Clients that sit on connections to a port of plain HTTP."""

import contextlib
import socket
import urllib.request

HEADS = (
    b"",
    b"GET /hea",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
)
"""What such a client says before it says no more, and reads nothing."""


def sit(stack, port, count):
    """Connections that sit on a port, until the stack is left."""
    made = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        stack.enter_context(contextlib.closing(connection))
        with contextlib.suppress(OSError):  # sent to the door already
            connection.sendall(HEADS[number % len(HEADS)])
        made.append(connection)
    return made


def asked(port, path="/healthz"):
    """Status of a page, over a new connection, as a kubelet does it."""
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
        return answer.status


def is_closed(connection):
    """Whether the server has ended a connection, once what it said is read."""
    connection.settimeout(0.01)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
