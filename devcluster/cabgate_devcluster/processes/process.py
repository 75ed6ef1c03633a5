# SPDX-License-Identifier: Apache-2.0
"""A process that cannot outlive us, and its log."""

import signal
import time
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.processes.guard import Guard


class Process:
    """A child with its own process group; signals go to the whole group.

    Made by `DevCluster.spawn`. It dies when this Python process does, however that ends.
    """

    def __init__(
        self,
        guard: Guard,
        name: str,
        argv: Sequence[str | PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
    ) -> None:
        self._guard = guard
        self.name = name
        #: standard output and error, appended
        self.log = log
        self._handle, self.pid = guard.spawn(argv, log=log, env=env, cwd=cwd)

    @property
    def returncode(self) -> int | None:
        """None while it runs, then its exit code (negative: the signal that ended it)."""
        return self._guard.returncode(self._handle)

    @property
    def running(self) -> bool:
        """Whether it has not ended; a paused process is running. False once the cluster is gone."""
        try:
            return self.returncode is None
        except DevClusterError:
            return False

    def stop(self, timeout: float = 10.0) -> None:
        """Ask it to end (SIGTERM), after `timeout` seconds kill it; returns when it has ended."""
        self._guard.signal(self._handle, signal.SIGTERM)
        self._guard.signal(self._handle, signal.SIGCONT)  # a paused one must hear it
        if not self.wait(timeout):
            self.kill()

    def kill(self) -> None:
        """Kill it (SIGKILL); returns when it has ended."""
        self._guard.signal(self._handle, signal.SIGKILL)
        if not self.wait(10.0):
            raise DevClusterError(f"{self.name} (process {self.pid}) does not die of SIGKILL")

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for its end; return whether it has ended."""
        deadline = time.monotonic() + timeout
        while self.returncode is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal to its group; return False when it had already ended."""
        return self._guard.signal(self._handle, number)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open, nothing answers."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process run on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def tail(self, lines: int = 10) -> str:
        """Return the last lines of its log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
