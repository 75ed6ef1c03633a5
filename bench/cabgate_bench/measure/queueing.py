# SPDX-License-Identifier: Apache-2.0
"""What `kubectl cab queue` takes of its own, beside a kubectl that answers at once.

Trees to compare are given as folders; their runs take turns, so that what else the machine does is
the same for all: `python -m cabgate_bench.measure.queueing ../before .`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cabgate_bench.load.objects import MIDDLING, request

KUBECTL = """\
#!/bin/sh
case "$*" in
  *cabrequests*) exec cat "{folder}/requests.json" ;;
  *whoami*) echo '{{"status": {{"userInfo": {{"username": "rita"}}}}}}' ;;
  *) echo '{{"items": []}}' ;;
esac
"""

Run = tuple[float, float]
"""Seconds of wall clock, and of CPU with that of the kubectl that was started."""


def listed(count: int) -> str:
    """The answer to a list: requests that wait for a CAB member."""
    items = []
    for number in range(count):
        made = request(f"team-{number % 9}", f"web-{number}", MIDDLING)
        made["metadata"] |= {"uid": f"u-{number}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        items.append(made)
    return json.dumps({"items": items})


def measured(tree: Path, path: str) -> Run:
    """One run."""
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": ":".join(str(tree / each) for each in ("core", "kube", "collect", "cli")),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "from cabgate_cli.main import plugin; plugin()", "queue", "-A"],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compared(trees: Sequence[Path], count: int, runs: int) -> dict[Path, list[Run]]:
    """The runs of each tree."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "requests.json").write_text(listed(count))
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL.format(folder=folder))
        kubectl.chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        for tree in trees:
            measured(tree, path)  # compiles
        found: dict[Path, list[Run]] = {tree: [] for tree in trees}
        for _ in range(runs):
            for tree in trees:
                found[tree].append(measured(tree, path))
        return found


def main() -> int:
    """Print of each tree the median of wall clock and CPU, and how they relate to the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    found = compared(given.trees, given.requests, given.runs)
    print("| tree | wall, ms | of the first | CPU, ms | of the first |\n|---|---|---|---|---|")
    first: Run | None = None
    for tree, runs in found.items():
        wall, cpu = (statistics.median(run[n] for run in runs) for n in (0, 1))
        first = first or (wall, cpu)
        print(
            f"| {tree} | {wall * 1000:.0f} | {wall / first[0]:.2f} "
            f"| {cpu * 1000:.0f} | {cpu / first[1]:.2f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
