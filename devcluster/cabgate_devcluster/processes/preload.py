# SPDX-License-Identifier: Apache-2.0
"""The starter's side of the process that forks guards with cabgate's modules already loaded."""

import atexit
import functools
import os
import socket
import subprocess
import sys

MODULES = ("cabgate_operator.main", "cabgate_webhook.main", "cabgate_portal.main")
"""What is loaded before a server is forked: importing takes each of them more than a second of
CPU time, and the tests start some three hundred."""


class Preload:
    """A process that has imported `MODULES` and forks guards; one for each process that asks.

    It ends with its starter, however that ends, and its guards with it.
    """

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "cabgate_devcluster.processes.preload_process"),
                    *(str(os.getpid()), *MODULES),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is for us, not for it
            )

    def fork_guard(self, channel: socket.socket, base: str, prefix: str) -> None:
        """Fork a guard that serves the other end of `channel`; its first line tells the rest."""
        socket.send_fds(self._channel, [f"{base}\0{prefix}".encode()], [channel.fileno()])

    def close(self) -> None:
        """End it, and with it every guard that it forked."""
        self._channel.close()
        self._process.wait()


@functools.cache
def preload() -> Preload:
    """The one of this process, started at the first call."""
    made = Preload()
    atexit.register(made.close)
    return made
