# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports on 127.0.0.1."""

import random
import socket

from cabgate_devcluster.errors import DevClusterError

# Below what Linux (32768) and macOS (49152) give to outgoing connections. A port of theirs can be
# taken by any client while our server is stopped, even by a client of that very server: a connect
# to a closed port on loopback may pick the same port as its source and connect to itself.
_FIRST, _LAST = 20000, 29999


class Ports:
    """Hands out ports that were free a moment ago, never the same one twice."""

    def __init__(self) -> None:
        self._given: set[int] = set()
        self._random = random.SystemRandom()

    def free(self) -> int:
        """Return a port of 127.0.0.1 on which nothing listens.

        Somebody else may still take it before it is used: the caller must cope with that.
        """
        for _ in range(1000):
            port = self._random.randint(_FIRST, _LAST)
            if port not in self._given and _is_free(port):
                self._given.add(port)
                return port
        raise DevClusterError(f"found no free port on 127.0.0.1 between {_FIRST} and {_LAST}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
