# SPDX-License-Identifier: Apache-2.0
"""Finds in a result what its tables, targets and reasons are about."""

from collections.abc import Mapping
from typing import Any

Result = dict[str, Any]


def through(rate: float, result: Result) -> dict[str, Any]:
    """The cell of a rate through the API server."""
    found: dict[str, Any] = next(cell for cell in result["through"] if cell["rate"] == rate)
    return found


def direct(verdict: str, result: Result) -> dict[str, Any]:
    """The cell of many targets in turn, of which no two at a time are the same."""
    cells = (cell for cell in result["direct"] if cell["cell"].endswith("in turn"))
    found: dict[str, Any] = next(c for c in cells if c["cell"].startswith(verdict))
    return found


SIDES = ("bare", "null", "reading", "cabgate")
"""What a rollout goes through: no admission of cabgate's; a webhook that admits unread; one that
makes one consistent read; cabgate whole, with its policies."""


def alone(side: str, arrivals: str, writes: str, result: Result) -> dict[str, Any]:
    """The cell of a side, of how rollouts come, and of what else is written."""
    wanted = {"side": side, "arrivals": arrivals, "writes": writes}
    found: dict[str, Any] = next(c for c in result["bursts"] if wanted.items() <= c.items())
    return found


def highest(result: Result) -> dict[str, float]:
    """The highest rate of each side."""
    return {found["side"]: float(found["highest"]) for found in result["highest"]}


def cpu_seconds(cell: Mapping[str, Any], side: str, process: str) -> list[float]:
    """CPU time of a process in each block of a side."""
    return [block[process]["cpuSeconds"] for block in cell["used"][side] if process in block]


def largest(cell: Mapping[str, Any], process: str) -> float:
    """MB that a process took at most, with the webhook."""
    return max(float(b[process]["rssMB"]) for b in cell["used"]["with"] if process in b)
