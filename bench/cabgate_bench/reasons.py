# SPDX-License-Identifier: Apache-2.0
"""Why a number was missed, as far as the same run shows: who took the CPU time."""

from collections.abc import Mapping
from typing import Any

Result = dict[str, Any]


def added(rate: float, result: Result) -> str:
    """Where the CPU time went that the webhook added to a call."""
    cell = _cell(rate, result)
    by_process = {
        name: _milliseconds(cell, "with", name) - _milliseconds(cell, "without", name)
        for name in cell["used"]["with"][0]
    }
    return f"CPU time added to a call: {_shares(by_process)}"


def load(rate: float, result: Result) -> str:
    """How busy the machine was, and with what."""
    cell = _cell(rate, result)
    by_process = {name: _milliseconds(cell, "with", name) for name in cell["used"]["with"][0]}
    there = result["machine"]["cores"] * 1000 / rate
    return (
        f"a call takes {sum(by_process.values()):.1f} ms of the {there:.1f} ms of CPU time that "
        f"there are for it, beside the generator's: {_shares(by_process)}"
    )


def direct(verdict: str, result: Result) -> str:
    """What the other core did while the webhook waited."""
    cell = direct_cell(verdict, result)
    return (
        f"the webhook used {cell['cpuOfServerCore']:.0%} of its core and waited for the other, "
        "where API server, etcd and generator are; a CPU second of its own makes "
        f"{cell['perCpuSecond']:.0f}"
    )


def operator(result: Result) -> str:
    """What an intent costs whom."""
    found = result["operator"]
    by_process = {
        name: use["cpuSeconds"] * 1000 / found["backlog"]
        for name, use in found.get("usedForBacklog", {}).items()
    }
    if not by_process:
        return ""
    cores, total = result["machine"]["cores"], sum(by_process.values())
    return (
        f"an intent takes {total:.0f} ms of CPU time, so that {cores} cores hold "
        f"{cores * 1000 / total:.0f} a second at most: {_shares(by_process)}"
    )


def growth(result: Result) -> str:
    """What the API server held meanwhile."""
    last = result["scale"][-1]
    return f"kube-apiserver: {last['apiserverRssMB']} MB"


def memory(result: Result) -> str:
    """Where the webhook took how much."""
    return ", ".join(f"{where}: {value:g}" for where, value in resident(result).items())


def resident(result: Result) -> dict[str, float]:
    """MB that the webhook took, by what it was asked."""
    cells = result.get("scale", []) + result.get("direct", [])
    found = {
        cell["cell"]: cell.get("webhookRssMB", cell.get("rssMB"))
        for cell in cells
        if not cell["cell"].startswith("null")
    }
    for cell in result.get("through", []):
        blocks = cell["used"]["with"]
        taken = [block["webhook"]["rssMB"] for block in blocks if "webhook" in block]
        if taken:
            failed = cell["failed"]["with"]
            found[f"{cell['rate']:g}/s, {failed} failed"] = max(taken)
    return found


def direct_cell(verdict: str, result: Result) -> dict[str, Any]:
    """The cell of many targets in turn, of which no two reviews at a time are about the same."""
    cells = (cell for cell in result["direct"] if cell["cell"].endswith("in turn"))
    found: dict[str, Any] = next(c for c in cells if c["cell"].startswith(verdict))
    return found


def _cell(rate: float, result: Result) -> dict[str, Any]:
    found: dict[str, Any] = next(cell for cell in result["through"] if cell["rate"] == rate)
    return found


def _milliseconds(cell: Mapping[str, Any], side: str, process: str) -> float:
    """CPU time of a process for one call, in the blocks of a side."""
    seconds = sum(block[process]["cpuSeconds"] for block in cell["used"][side] if process in block)
    return float(seconds * 1000 / cell["requests"][side])


def _shares(by_process: Mapping[str, float]) -> str:
    largest = sorted(by_process.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.1f} ms" for name, value in largest if value >= 0.1)
