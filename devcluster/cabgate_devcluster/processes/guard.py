# SPDX-License-Identifier: Apache-2.0
"""The starter's side of the guard: children and a folder that cannot outlive this process."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.processes.preload import preload

_SCRIPT = Path(__file__).with_name("guard_process.py")


def _start(channel: socket.socket, base: str, prefix: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        # -I -S: no site packages, no user settings; it starts within 0.1 s
        [sys.executable, "-I", "-S", str(_SCRIPT), str(os.getpid()), base, prefix],
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is for us, not for it
    )


class Guard:
    """Starts a guard process, which makes a temp folder (mode 0700) in `base` and owns it.

    Whatever is spawned through it dies, and the folder goes, when `close` is called or when this
    process ends in any way, SIGKILL too. With `forking`, programs in Python are forked out of
    a process that has cabgate's modules loaded (see `preload`). Safe to use from several threads.
    Every method raises `DevClusterError` when the guard process is gone.
    """

    def __init__(self, prefix: str, base: Path | None = None, *, forking: bool = False) -> None:
        self._lock = threading.Lock()
        self._pending = b""
        self._serial = 0
        self._closed = False
        self._channel, theirs = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        with theirs:
            if forking:
                preload().fork_guard(theirs, str(base or ""), prefix)
            else:
                self._process = _start(theirs, str(base or ""), prefix)
        hello = self._read(0)
        #: the folder that vanishes with the guard
        self.directory = Path(hello["folder"])
        #: process id of the guard itself
        self.pid = int(hello["pid"])

    def spawn(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
    ) -> tuple[int, int]:
        """Start a process in its own group, its output appended to `log`; return (handle, pid)."""
        answer = self._ask(
            {
                "op": "spawn",
                "argv": [os.fspath(each) for each in argv],
                "env": dict(env),
                "cwd": str(cwd or Path.cwd()),
                "log": str(log.absolute()),
            }
        )
        return int(answer["handle"]), int(answer["pid"])

    def returncode(self, handle: int) -> int | None:
        """Return None while it runs, then its exit code (negative: the signal that ended it)."""
        answer = self._ask({"op": "poll", "handle": handle})["returncode"]
        return None if answer is None else int(answer)

    def signal(self, handle: int, number: int) -> bool:
        """Send a signal to its whole process group; False when it had already ended."""
        return bool(
            self._ask({"op": "signal", "handle": handle, "signal": int(number)})["delivered"]
        )

    def close(self) -> None:
        """Kill everything, remove the folder, end the guard; harmless when repeated."""
        if self._closed:
            return
        with contextlib.suppress(DevClusterError):
            self._ask({"op": "close"})
        self._closed = True
        while self._read_end():
            pass
        self._channel.close()
        if self._process is not None:
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)  # in case the guard itself was killed

    def _read_end(self) -> bool:
        """Whether there is more to read: a guard that has ended has closed its end."""
        try:
            return bool(self._channel.recv(65536))
        except OSError:
            return False

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._closed:
                raise DevClusterError("the local cluster is closed")
            self._serial += 1
            request["id"] = self._serial
            try:
                self._channel.sendall(json.dumps(request).encode() + b"\n")
            except OSError as exc:
                raise self._lost() from exc
            answer = self._read(self._serial)
        if "error" in answer:
            raise DevClusterError(
                f"cannot {request['op']} {request.get('argv', '')}: {answer['error']}"
            )
        return answer

    def _read(self, serial: int) -> dict[str, Any]:
        """Read up to the answer `serial`; older ones are those of calls that Ctrl-C cut short."""
        while True:
            line, found, rest = self._pending.partition(b"\n")
            if found:
                self._pending = rest
                answer: dict[str, Any] = json.loads(line)
                if answer["id"] == serial:
                    return answer
                continue
            try:
                received = self._channel.recv(65536)
            except OSError as exc:
                raise self._lost() from exc
            if not received:
                raise self._lost()
            self._pending += received

    def _lost(self) -> DevClusterError:
        return DevClusterError(
            "the guard process has ended, and with it every process of the local cluster"
        )
