# SPDX-License-Identifier: Apache-2.0
"""The numbers to hold, and whether a result holds them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from cabgate_bench.results import cells, reasons
from cabgate_bench.results.cells import Result


@dataclass(frozen=True)
class Target:
    """One number to hold."""

    what: str
    limit: float
    unit: str
    measured: Callable[[Result], float]
    why: Callable[[Result], str]
    """The reason of a miss."""
    at_least: bool = False

    def row(self, result: Result) -> dict[str, Any]:
        """What was measured and whether it holds; None where it was not measured."""
        try:
            value = self.measured(result)
        except (LookupError, StopIteration, TypeError):
            value = math.nan
        holds = None
        if not math.isnan(value):
            holds = value >= self.limit if self.at_least else value <= self.limit
        return {
            "target": self.what,
            "wanted": f"{'>=' if self.at_least else '<='} {self.limit:g} {self.unit}".strip(),
            "measured": None if holds is None else round(value, 2),
            "verdict": {True: "held", False: "missed", None: "not measured"}[holds],
            "reason": self.why(result) if holds is False else "",
        }


def _through(rate: float, *path: str) -> Callable[[Result], float]:
    def find(result: Result) -> float:
        found: Any = cells.through(rate, result)
        for key in path:
            found = found[key]
        return float(found)

    return find


def _direct(verdict: str) -> Callable[[Result], float]:
    return lambda result: float(cells.direct(verdict, result)["perSecond"])


def _growth(result: Result) -> float:
    cells = {cell["cell"]: cell["p50"] for cell in result["scale"]}
    return float(cells["100000 requests"] / cells["10 requests"])


def _largest_webhook(result: Result) -> float:
    return max(reasons.resident(result).values(), default=math.nan)


def _operator(key: str) -> Callable[[Result], float]:
    def find(result: Result) -> float:
        return float(result["operator"][key])

    return find


def _of_tenants(result: Result) -> float:
    return float(result["tenants"]["added"]["p99"]["pooled"])


def _of_policies(result: Result) -> float:
    return float(result["heaviest"]["added"])


def _against_reading(figure: str) -> Callable[[Result], float]:
    """What cabgate takes at 50/s, quiet, in times of the webhook that only reads: of a median what
    either adds to the bare call."""

    def find(result: Result) -> float:
        of = {side: cells.alone(side, "50/s", "quiet", result) for side in cells.SIDES}
        bare = of["bare"][figure] if figure == "p50" else 0.0
        return float((of["cabgate"][figure] - bare) / (of["reading"][figure] - bare))

    return find


def _beside_writes(result: Result) -> float:
    quiet, beside = (
        cells.alone("cabgate", "1/s", writes, result)["p50"]
        - cells.alone("bare", "1/s", writes, result)["p50"]
        for writes in ("quiet", "elsewhere")
    )
    return float(beside / quiet)


def _highest_against_null(result: Result) -> float:
    highest = cells.highest(result)
    return highest["cabgate"] / highest["null"]


TARGETS = (
    Target(
        *("added p50 at 50/s, against one read", 1.3, "times", _against_reading("p50")),
        partial(reasons.alone, "50/s", "quiet"),
    ),
    Target(
        *("p99 at 50/s, against one read", 1.5, "times", _against_reading("p99")),
        partial(reasons.alone, "50/s", "quiet"),
    ),
    Target(
        *("added p50 at 1/s beside writes, against quiet", 1.2, "times", _beside_writes),
        partial(reasons.alone, "1/s", "elsewhere"),
    ),
    Target(
        *("highest rate, against a webhook that admits unread", 0.7, "times"),
        _highest_against_null,
        reasons.highest,
        at_least=True,
    ),
    Target(
        *("added p50 at 50/s", 5, "ms", _through(50, "added", "p50", "pooled")),
        partial(reasons.added, 50),
    ),
    Target(
        *("added p99 at 50/s", 15, "ms", _through(50, "added", "p99", "pooled")),
        partial(reasons.added, 50),
    ),
    Target(
        *("errors at 200/s", 0, "", _through(200, "failed", "with")), partial(reasons.load, 200)
    ),
    Target(
        *("allows a second, one core", 900, "/s", _direct("allow")),
        partial(reasons.direct, "allow"),
        at_least=True,
    ),
    Target(
        *("denials a second, one core", 550, "/s", _direct("deny")),
        partial(reasons.direct, "deny"),
        at_least=True,
    ),
    Target("webhook, resident", 80, "MB", _largest_webhook, reasons.memory),
    Target("another tenant's rollout, added p99", 200, "ms", _of_tenants, reasons.tenants),
    Target("heaviest object, added by our policies", 100, "ms", _of_policies, reasons.heaviest),
    Target("verdict p50, 100,000 requests against 10", 1.2, "times", _growth, reasons.growth),
    Target(
        *("intents a second to a recorded request", 50, "/s", _operator("recordedPerSecond")),
        reasons.operator,
        at_least=True,
    ),
)


def rows(result: Result) -> list[dict[str, Any]]:
    """The table of targets."""
    return [target.row(result) for target in TARGETS]
