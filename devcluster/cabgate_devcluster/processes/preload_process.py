# SPDX-License-Identifier: Apache-2.0
"""A process with the modules of servers loaded, which forks guards, and they fork the servers.

It runs in its own session. On its standard input is a socket (SOCK_STREAM, one message at a time):
folder and prefix of a guard, and the guard's own socket as a file descriptor. It ends when the
other end closes or when its starter is no longer its parent; its guards see that it is gone.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys

from cabgate.api.base import build_models
from cabgate_devcluster.processes import guard_process

_TICK = 0.25  # seconds; how often it looks whether its parent is still there


def main(parent: int, modules: tuple[str, ...]) -> None:
    """Load the modules, then fork a guard for each message until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a guard ended
    for module in modules:
        importlib.import_module(module)
        # It runs as __main__ in the child, as with `python -m`; what it imports stays.
        del sys.modules[module]
    build_models()  # once, and not in each server: it takes 0.1 s of CPU time
    gc.freeze()  # or the first collection in each child copies every page
    with socket.socket(fileno=0) as channel:
        while os.getppid() == parent:
            if not select.select([channel], [], [], _TICK)[0]:
                continue
            message, descriptors, _, _ = socket.recv_fds(channel, 65536, 1)
            if not message:
                return
            if os.fork() == 0:
                _become_a_guard(message.decode(), descriptors[0])
            os.close(descriptors[0])


def _become_a_guard(message: str, descriptor: int) -> None:
    base, prefix = message.split("\0")
    os.setsid()  # a Ctrl-C, or a signal to the group of the other guards, is not for it
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    code = 1
    try:
        guard_process.main(os.getppid(), base, prefix, forking=True)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]), tuple(sys.argv[2:]))
