# SPDX-License-Identifier: Apache-2.0
"""Why a number was missed, as far as the same run shows: who took the CPU time."""

from collections.abc import Mapping
from typing import Any

from cabgate_bench.results import cells
from cabgate_bench.results.cells import Result


def added(rate: float, result: Result) -> str:
    """Where the CPU time went that the webhook added to a call."""
    cell = cells.through(rate, result)
    by_process = {
        name: _milliseconds(cell, "with", name) - _milliseconds(cell, "without", name)
        for name in cell["used"]["with"][0]
    }
    return f"CPU time added to a call: {_shares(by_process)}"


def load(rate: float, result: Result) -> str:
    """How busy the machine was, and with what."""
    cell = cells.through(rate, result)
    by_process = {name: _milliseconds(cell, "with", name) for name in cell["used"]["with"][0]}
    there = result["machine"]["cores"] * 1000 / rate
    return (
        f"a call takes {sum(by_process.values()):.1f} ms of the {there:.1f} ms of CPU time that "
        f"there are for it, beside the generator's: {_shares(by_process)}"
    )


def direct(verdict: str, result: Result) -> str:
    """What the other core did while the webhook waited."""
    cell = cells.direct(verdict, result)
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
        for name, use in found["usedForBacklog"].items()
    }
    cores, total = result["machine"]["cores"], sum(by_process.values())
    return (
        f"an intent takes {total:.0f} ms of CPU time, so that {cores} cores hold "
        f"{cores * 1000 / total:.0f} a second at most: {_shares(by_process)}"
    )


def growth(result: Result) -> str:
    """What the API server held meanwhile."""
    last = result["scale"][-1]
    return f"kube-apiserver: {last['apiserverRssMB']} MB"


def tenants(result: Result) -> str:
    """What went on meanwhile, and how far apart single blocks were."""
    found = result["tenants"]
    added = found["added"]["p99"]
    return (
        f"{found['asked']} calls of the other tenant meanwhile; by pairs of blocks "
        f"{added['min']} .. {added['max']} ms"
    )


def heaviest(result: Result) -> str:
    """What the object costs the API server without any policy of ours."""
    found = result["heaviest"]["sides"]
    return f"without any policy {found['none']['median']} ms, with one {found['one']['median']} ms"


def memory(result: Result) -> str:
    """Where the webhook took how much."""
    return ", ".join(f"{where}: {value:g}" for where, value in resident(result).items())


def resident(result: Result) -> dict[str, float]:
    """MB that the webhook took, by what it was asked."""
    found = {
        cell["cell"]: cell.get("webhookRssMB", cell.get("rssMB"))
        for cell in result.get("scale", []) + result.get("direct", [])
        if not cell["cell"].startswith("null")
    }
    for cell in result.get("through", []):
        where = f"{cell['rate']:g}/s, {cell['failed']['with']} failed"
        found[where] = cells.largest(cell, "webhook")
    return found


def _milliseconds(cell: Mapping[str, Any], side: str, process: str) -> float:
    """CPU time of a process for one call, in the blocks of a side."""
    return sum(cells.cpu_seconds(cell, side, process)) * 1000 / float(cell["requests"][side])


def _shares(by_process: Mapping[str, float]) -> str:
    largest = sorted(by_process.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.1f} ms" for name, value in largest if value >= 0.1)


def alone(arrivals: str, writes: str, result: Result) -> str:
    """Where the time of a rollout goes that comes so: waiting for the API server's cache, and the
    API server's own work."""
    said = []
    for side in ("bare", "reading", "cabgate"):
        cell = cells.alone(side, arrivals, writes, result)
        wait = cell["cacheWaitMilliseconds"]
        said.append(
            f"{side}: p50 {cell['p50']} ms, {cell['apiServerCpuMilliseconds']} ms of the API "
            f"server's CPU a call{'' if wait is None else f', a list waits {wait} ms'}"
        )
    return "; ".join(said)


def highest(result: Result) -> str:
    """What each side holds, and what the next step was."""
    said = []
    for found in result["highest"]:
        last = found["steps"][-1]
        said.append(
            f"{found['side']}: {found['highest']:g} a second; at {last['rate']:g} {last['failed']} "
            f"failed and p99 was {last['p99']} ms"
        )
    return "; ".join(said)
