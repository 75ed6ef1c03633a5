# SPDX-License-Identifier: Apache-2.0
"""What the gate adds to a rollout: server-side dry-runs through the API server at a fixed rate, in
blocks with and without the webhook that take turns."""

import json
from collections.abc import Sequence
from typing import Any

from cabgate_bench import loadgen
from cabgate_bench.figures import pooled, quantiles, spread
from cabgate_bench.loadgen import Call, Outcome
from cabgate_bench.objects import GOOD, deployment, intent
from cabgate_bench.usage import spent
from cabgate_bench.world import GATED as NAMESPACE
from cabgate_bench.world import World
from cabgate_devcluster import wait_until

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
    wait_until(lambda: all(_is_ready(world, name) for name in names), 60, ready)
    body = json.dumps(deployment(NAMESPACE, "updated"))
    world.cluster.kubectl("create", "-f", "-", stdin=body)


def measure(
    world: World, *, seconds: float, rates: Sequence[float], pairs: int
) -> list[dict[str, Any]]:
    """For each rate, blocks without and with the webhook in turn."""
    cells = []
    for rate in rates:
        blocks: dict[bool, list[Outcome]] = {False: [], True: []}
        used: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        for _ in range(pairs):
            for on in (False, True):
                world.gate(on)
                before = world.usage()
                blocks[on].append(load(world, rate, seconds))
                used[on].append(spent(before, world.usage()))
        cells.append(_cell(rate, blocks, used))
    return cells


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
    world: World, *, seconds: float, rates: Sequence[float], on: bool
) -> dict[str, Any]:
    """The highest of some ascending rates without an error and with a p99 within the limit."""
    world.gate(on)
    best, tried = 0.0, []
    for rate in rates:
        found = load(world, rate, seconds)
        figures = quantiles(found.milliseconds)
        tried.append({"rate": rate, "failed": found.failed, **_rounded(figures)})
        if found.failed or not figures["p99"] <= LIMIT_MILLISECONDS:
            break
        best = rate
    return {"webhook": on, "highest": best, "steps": tried}


def _is_ready(world: World, name: str) -> bool:
    found = world.cluster.kubectl("get", "deploymentintent", name, "-n", NAMESPACE, "-o", "json")
    conditions = json.loads(found.stdout).get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _cell(
    rate: float, blocks: dict[bool, list[Outcome]], used: dict[bool, list[dict[str, Any]]]
) -> dict[str, Any]:
    without = [quantiles(block.milliseconds) for block in blocks[False]]
    with_it = [quantiles(block.milliseconds) for block in blocks[True]]
    pairs = list(zip(without, with_it, strict=True))
    all_without = quantiles(pooled([block.milliseconds for block in blocks[False]]))
    all_with = quantiles(pooled([block.milliseconds for block in blocks[True]]))
    return {
        "rate": rate,
        "blocks": {"without": list(map(_rounded, without)), "with": list(map(_rounded, with_it))},
        "without": _rounded(all_without),
        "with": _rounded(all_with),
        "added": {
            name: _rounded(
                {
                    "pooled": all_with[name] - all_without[name],
                    **spread([b[name] - a[name] for a, b in pairs]),
                }
            )
            for name in all_with
        },
        "ratio": {
            name: _rounded(
                {
                    "pooled": all_with[name] / all_without[name],
                    **spread([b[name] / a[name] for a, b in pairs]),
                }
            )
            for name in all_with
        },
        "requests": {k: sum(b.sent for b in blocks[on]) for k, on in _SIDES},
        "failed": {k: sum(b.failed for b in blocks[on]) for k, on in _SIDES},
        "samples": [text for on in blocks for block in blocks[on] for text in block.samples][:3],
        "lagMilliseconds": round(max(b.lag for on in blocks for b in blocks[on]), 2),
        "used": {k: used[on] for k, on in _SIDES},
        "histogram": {k: _curve(pooled([b.milliseconds for b in blocks[on]])) for k, on in _SIDES},
    }


_SIDES = (("without", False), ("with", True))


def _curve(ascending: list[float]) -> list[float]:
    """The value at each percent, for the plot."""
    if not ascending:
        return []
    last = len(ascending) - 1
    return [round(ascending[round(last * percent / 100)], 2) for percent in range(101)]


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}
