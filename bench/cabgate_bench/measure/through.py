# SPDX-License-Identifier: Apache-2.0
"""What the gate adds to a rollout: server-side dry-runs through the API server at a fixed rate, in
blocks with and without the webhook that take turns."""

import json
import operator
from collections.abc import Callable, Sequence
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call, Outcome
from cabgate_bench.load.objects import GOOD, deployment, intent
from cabgate_bench.load.usage import spent
from cabgate_bench.load.world import GATED as NAMESPACE
from cabgate_bench.load.world import World
from cabgate_bench.results.figures import pooled, quantiles, spread
from cabgate_devcluster import wait_until

BARE, WITHOUT, WITH = SIDES = ("bare", "without", "with")
"""No admission of cabgate's; its policies, which the API server evaluates itself; the webhook as
well."""

LIMIT_MILLISECONDS = 1000.0
"""p99 over which a rate counts as too high, although there is no error yet."""


def prepare(world: World) -> None:
    """Install cabgate, and what the load is about: an approved target, of which one exists."""
    world.installation.install()
    world.namespaces([NAMESPACE])
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{NAMESPACE}/deploymentintents"
    names = ("created", "updated")
    world.write("POST", [(path, intent(NAMESPACE, name, GOOD)) for name in names])
    ready = "all intents are Ready"
    wait_until(lambda: all(_is_ready(world, name) for name in names), ready)
    body = json.dumps(deployment(NAMESPACE, "updated"))
    world.cluster.kubectl("create", "-f", "-", stdin=body)


def measure(
    world: World, *, seconds: float, rates: Sequence[float], rounds: int
) -> list[dict[str, Any]]:
    """For each rate, rounds of a block of each side in turn."""
    cells = []
    for rate in rates:
        blocks: dict[str, list[Outcome]] = {side: [] for side in SIDES}
        used: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side in SIDES:
                choose(world, side)
                before = world.usage()
                blocks[side].append(load(world, rate, seconds))
                used[side].append(spent(before, world.usage()))
        cells.append(_cell(rate, blocks, used))
    return cells


def choose(world: World, side: str) -> None:
    """Have the API server ask what belongs to a side, and nothing else of cabgate's."""
    world.policies(on=side != BARE)
    world.gate(on=side == WITH)


def load(world: World, rate: float, seconds: float) -> Outcome:
    """Dry-run creates and updates in turn, at a rate."""
    return loadgen.run(
        world.program, world.admin, calls(world.cluster.server), rate=rate, seconds=seconds
    )


def calls(server: str) -> list[Call]:
    """A create and an update that changes the pod template, both dry-runs."""
    base = f"{server}/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    return [
        Call("POST", f"{base}?dryRun=All", json.dumps(deployment(NAMESPACE, "created"))),
        Call(
            "PUT", f"{base}/updated?dryRun=All", json.dumps(deployment(NAMESPACE, "updated", "x"))
        ),
    ]


def highest_rate(
    world: World, side: str, *, seconds: float, rates: Sequence[float]
) -> dict[str, Any]:
    """The highest of some ascending rates without an error and with a p99 within the limit, of the
    side that the API server asks now."""
    best, tried = 0.0, []
    for rate in rates:
        found = load(world, rate, seconds)
        figures = quantiles(found.milliseconds)
        tried.append({"rate": rate, "failed": found.failed, **_rounded(figures)})
        if found.failed or not figures["p99"] <= LIMIT_MILLISECONDS:
            break
        best = rate
    return {"side": side, "highest": best, "steps": tried}


def _is_ready(world: World, name: str) -> bool:
    found = world.cluster.kubectl("get", "deploymentintent", name, "-n", NAMESPACE, "-o", "json")
    conditions = json.loads(found.stdout).get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _cell(
    rate: float, blocks: dict[str, list[Outcome]], used: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    each = {side: [quantiles(b.milliseconds) for b in found] for side, found in blocks.items()}
    latencies = {side: pooled([b.milliseconds for b in found]) for side, found in blocks.items()}
    whole = {side: quantiles(found) for side, found in latencies.items()}
    everything = [block for found in blocks.values() for block in found]
    return {
        "rate": rate,
        "blocks": {side: list(map(_rounded, found)) for side, found in each.items()},
        **{side: _rounded(found) for side, found in whole.items()},
        "added": _compared(each, whole, WITHOUT, WITH, operator.sub),
        "ratio": _compared(each, whole, WITHOUT, WITH, operator.truediv),
        "policiesAdded": _compared(each, whole, BARE, WITHOUT, operator.sub),
        "requests": {side: sum(b.sent for b in found) for side, found in blocks.items()},
        "failed": {side: sum(b.failed for b in found) for side, found in blocks.items()},
        "samples": [text for block in everything for text in block.samples][:3],
        "lagMilliseconds": round(max(block.lag for block in everything), 2),
        "used": used,
        "histogram": {side: _curve(found) for side, found in latencies.items()},
    }


def _compared(
    each: dict[str, list[dict[str, float]]],
    whole: dict[str, dict[str, float]],
    before: str,
    after: str,
    compare: Callable[[float, float], float],
) -> dict[str, Any]:
    """What one side has more than another: of all its blocks together, and round by round."""
    rounds = list(zip(each[before], each[after], strict=True))
    return {
        name: _rounded(
            {
                "pooled": compare(whole[after][name], whole[before][name]),
                **spread([compare(b[name], a[name]) for a, b in rounds]),
            }
        )
        for name in whole[after]
    }


def _curve(ascending: list[float]) -> list[float]:
    """The value at each percent, for the plot."""
    if not ascending:
        return []
    last = len(ascending) - 1
    return [round(ascending[round(last * percent / 100)], 2) for percent in range(101)]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
