# SPDX-License-Identifier: Apache-2.0
"""What was measured, and on what."""

import importlib.metadata
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cabgate_devcluster.programs.pinned import version_of

_PACKAGES = ("fastapi", "uvicorn", "uvloop", "httptools", "msgspec", "pydantic", "kopf")
_ROOT = Path(__file__).resolve().parents[3]


def described() -> dict[str, Any]:
    """Commit, versions and machine."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "kubernetes": version_of("kube-apiserver"),
        "etcd": version_of("etcd"),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memoryGB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
    }


def yardstick() -> float:
    """Milliseconds of one core for a fixed loop, the least of ten: the same machine may be half as
    fast an hour later, where others share it."""
    taken = []
    for _ in range(10):
        begun, total = time.process_time(), 0
        for number in range(1_000_000):
            total += number
        taken.append(time.process_time() - begun)
    return round(min(taken) * 1000, 1)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
