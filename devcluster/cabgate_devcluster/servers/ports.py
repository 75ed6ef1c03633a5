# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports on 127.0.0.1."""

import contextlib
import random
import socket
import sys

from cabgate_devcluster.errors import DevClusterError

# Below what Linux (32768) and macOS (49152) give to outgoing connections. A port of theirs can be
# taken by any client while our server is stopped, even by a client of that very server: a connect
# to a closed port on loopback may pick the same port as its source and connect to itself.
_FIRST, _LAST = 20000, 29999


class Ports:
    """Hands out ports of 127.0.0.1 and keeps them for whoever asked, never the same one twice.

    On Linux a port is held by a bound socket that does not listen: no other process finds it free,
    and a server that sets SO_REUSEADDR, as all of ours do, can listen there, end and listen again.
    Elsewhere the kernel refuses that, and somebody else may take the port before it is used.
    """

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._held: list[socket.socket] = []
        self._random = random.SystemRandom()

    def free(self) -> int:
        """Return a port of 127.0.0.1 on which nobody else listens, until `release`."""
        for _ in range(1000):
            port = self._random.randint(_FIRST, _LAST)
            if port not in self._given and self._take(port):
                self._given.add(port)
                return port
        raise DevClusterError(f"found no free port on 127.0.0.1 between {_FIRST} and {_LAST}")

    def release(self) -> None:
        """Leave all ports to others."""
        while self._held:
            self._held.pop().close()

    def _take(self, port: int) -> bool:
        with contextlib.ExitStack() as closing:
            held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            closing.callback(held.close)
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                return False
            if sys.platform == "linux":
                # After the bind: with it, the bind would share the port of another that holds it.
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._held.append(held)
                closing.pop_all()
        return True
