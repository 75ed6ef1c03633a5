# SPDX-License-Identifier: Apache-2.0
"""What processes use, by /proc."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cabgate_devcluster import Process

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU time so far in seconds, and resident memory in MB."""

    cpu: float
    rss: float


def usage_of(process: Process) -> Usage:
    """What a process has used so far."""
    folder = Path("/proc") / str(process.pid)
    fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    status = (folder / "status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, int(kilobytes) / 1000)


def spent(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, dict[str, float]]:
    """CPU seconds between two moments and memory at the second, by process."""
    return {
        name: {"cpuSeconds": round(now.cpu - before[name].cpu, 2), "rssMB": round(now.rss, 1)}
        for name, now in after.items()
        if name in before
    }


def pin(processes: Iterable[Process], cores: Iterable[int]) -> None:
    """Keep processes, all their threads, on some cores."""
    chosen = set(cores)
    for process in processes:
        for task in (Path("/proc") / str(process.pid) / "task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), chosen)
