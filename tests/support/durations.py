# SPDX-License-Identifier: Apache-2.0
"""How long each file of cluster tests takes: recorded once, used to spread the files evenly over
the workers, and held against the budget of `make test` (CONTRIBUTING)."""

import json
import random
from collections import defaultdict
from pathlib import Path

RECORDED = Path(__file__).resolve().parents[1] / "cluster" / "durations.json"
"""Seconds by file, as `make durations` wrote them."""


def recorded() -> dict[str, int]:
    """Seconds of each file, on two cores; many were measured with two workers."""
    found: dict[str, int] = json.loads(RECORDED.read_text())
    return found


def in_order(names, seconds, seed=None, sharing=()):
    """File names in the order in which workers take them: those that share the cluster of the run
    last, so that it does not idle beside the clusters of the others; among them the longest first,
    so that no worker is left with a long one when the other is done; a file that nobody measured
    counts as long. With a seed, any order at all: no file may need another to be first."""
    names = sorted(set(names))
    if seed is not None:
        random.Random(seed).shuffle(names)  # noqa: S311 - a failure must come again
        return names
    return sorted(names, key=lambda name: (name in sharing, -seconds.get(name, float("inf"))))


class Stopwatch:
    """A pytest plugin of the process that reports: adds up what the tests of each file took,
    fixtures included."""

    def __init__(self, write_to=None):
        self._seconds = defaultdict(float)
        self._write_to = write_to

    def pytest_runtest_logreport(self, report):
        self._seconds[Path(report.location[0]).name] += report.duration

    def pytest_terminal_summary(self, terminalreporter):
        rows = sorted(self._seconds.items(), key=lambda row: -row[1])
        terminalreporter.section("seconds by file")
        for name, seconds in rows[:20]:
            terminalreporter.write_line(f"{seconds:6.0f}  {name}")
        terminalreporter.write_line(f"{sum(self._seconds.values()):6.0f}  all {len(rows)} files")
        if self._write_to is not None:
            found = {name: round(seconds) for name, seconds in sorted(rows)}
            self._write_to.write_text(json.dumps(found, indent=1) + "\n")
