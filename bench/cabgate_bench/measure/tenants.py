# SPDX-License-Identifier: Apache-2.0
"""What one tenant costs another: rollouts of one namespace, while another one is as large as it may
be and goes on being denied, and declaring."""

import itertools
import json
import operator
import re
import threading
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.lifecycle.limits.budget import MAX_OF_NAMESPACE_BYTES, MAX_WAITING, within
from cabgate.lifecycle.limits.capacity import MAX_EXCEPTION_BYTES, MAX_SPEC_BYTES, stored_bytes
from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call, Outcome
from cabgate_bench.load.objects import deployment, target
from cabgate_bench.load.world import World
from cabgate_bench.load.worst import WORST, worst_spec
from cabgate_bench.measure import through
from cabgate_bench.results.figures import pooled, quantiles, spread
from cabgate_devcluster import Process, wait_until

NAMESPACE = "worst"
"""The namespace of the tenant that does its worst."""

GROUP = "/apis/cabgate.dev/v1alpha1"
SPACE = f"{GROUP}/namespaces/{NAMESPACE}"

QUIET, THERE, LOUD = SIDES = ("quiet", "there", "loud")
"""Before that namespace is filled; with all of it there; and with its tenant at work."""

INTENTS = 20
"""Of the largest that are let in, for the same workloads: more than may have a request."""

DENIALS_A_SECOND = 10.0
CHANGES_A_SECOND = 1.0
"""What its tenant does: rollouts that are denied, by way of the exceptions, and intents that are
declared anew."""

LOOK_SECONDS = 0.25
"""Between two looks at what was declared, each of some megabytes."""

_MERGE = {"Content-Type": "application/merge-patch+json"}


def largest_intent(name: str, number: int = 0) -> dict[str, Any]:
    """The largest intent of the worst that the schema takes which is let in."""
    return _intent(name, _part_of_intent(), number)


def largest_exception(request: str, number: int) -> dict[str, Any]:
    """The same of an exception."""
    return _exception(request, number, _part_of_exception())


@cache
def _part_of_intent() -> float:
    return _largest_part(lambda part: _intent("i-00", part, 0), MAX_SPEC_BYTES)


@cache
def _part_of_exception() -> float:
    return _largest_part(lambda part: _exception("i-00-12345678", 0, part), MAX_EXCEPTION_BYTES)


def _largest_part(made: Callable[[float], dict[str, Any]], limit: int) -> float:
    """How much of what the schema takes is let in; room is left for who submitted it, which the
    webhook writes."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        fits = stored_bytes(made(middle)["spec"]) < limit - _STAMPED_BYTES
        low, high = (middle, high) if fits else (low, middle)
    return low


_STAMPED_BYTES = 512

_METADATA_BYTES = 2048
"""What the API server adds to an exception, at most: who wrote what, and its status."""


def _exception(request: str, number: int, part: float) -> dict[str, Any]:
    spec = worst_spec("CABException", part, requestRef={"name": request})
    return _object("CABException", f"{request}-{number}", spec)


def _intent(name: str, part: float, number: int) -> dict[str, Any]:
    targets = [target(f"web-{number}") for number in range(MAX_DECLARED_TARGETS)]
    spec = worst_spec("DeploymentIntent", part, targets=targets)
    del spec["correlationID"]
    evidence = spec["evidence"]
    evidence["testResults"] |= {"passed": number, "failed": 3, "coveragePercent": 10}
    evidence["manualTesting"] |= {"status": "NotStarted", "at": "2026-03-01T12:00:00Z"}
    evidence["rollbackPlan"]["validated"] = False
    for artifact in evidence.get("artifacts", []):
        artifact["images"] = [target("web-0")["images"][0]]
    return _object("DeploymentIntent", name, spec)


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    # The worst character takes six bytes in etcd and one in an answer, which is what is read.
    text = json.dumps(spec).replace(WORST, "w")
    found = json.loads(text)
    return {"apiVersion": "cabgate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": found}


def fill(world: World, intents: int = INTENTS) -> dict[str, int]:
    """Have a namespace hold the worst: its budgets of requests and of exceptions used up, with some
    of these for each request. What there is, by kind."""
    world.namespaces([NAMESPACE])
    declared = _declare_until_refused(world, intents)
    names = [item["metadata"]["name"] for item in _items(world, "cabrequests")]
    wanted = [largest_exception(name, n) for n in range(MAX_WAITING) for name in names]
    sizes = [stored_bytes(body) + _METADATA_BYTES for body in wanted]
    # One by one: of those that are asked for at one moment, more may pass.
    let_in = within(wanted, sizes, MAX_OF_NAMESPACE_BYTES, 1)
    for body in let_in:
        world.write("POST", [(f"{SPACE}/cabexceptions", body)])
    return {"intents": declared, "requests": len(names), "exceptions": len(let_in)}


def _declare_until_refused(world: World, most: int) -> int:
    """Declare intents until one is refused a request; how many. One by one: of those that are
    opened at one moment, more than there is room for may pass."""

    def answered() -> bool:
        return _refused(world) > 0 or len(_items(world, "cabrequests")) >= declared

    for declared in range(1, most + 1):
        body = largest_intent(f"i-{declared - 1}", declared - 1)
        world.write("POST", [(f"{SPACE}/deploymentintents", body)])
        wait_until(
            answered,
            f"intent {declared} has a request, or is refused one",
            timeout=180.0,
            interval=LOOK_SECONDS,
        )
        if _refused(world):
            return declared
    raise RuntimeError(f"{most} intents do not use up the budget of requests")


def _refused(world: World) -> int:
    """Intents that are told that no request is opened for them."""
    conditions = [
        condition
        for item in _items(world, "deploymentintents")
        for condition in item.get("status", {}).get("conditions", [])
    ]
    return sum("BudgetUsedUp" in json.dumps(condition) for condition in conditions)


def _items(world: World, plural: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.cluster.api.call("GET", f"{SPACE}/{plural}")["items"]
    return items


class Noise:
    """What the tenant does meanwhile, by two processes of the load generator: rollouts that are
    denied, and changes of its intents."""

    def __init__(self, world: World, seconds: float) -> None:
        self._world, self._seconds = world, seconds
        self.outcomes: list[Outcome] = []
        self._threads = [
            threading.Thread(target=self._run, args=(calls, rate))
            for calls, rate in (
                (denied_calls(world.cluster.server), DENIALS_A_SECOND),
                (changing_calls(world.cluster.server), CHANGES_A_SECOND),
            )
        ]

    def __enter__(self) -> "Noise":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def _run(self, calls: list[Call], rate: float) -> None:
        world, seconds = self._world, self._seconds
        found = loadgen.run(world.program, world.admin, calls, rate=rate, seconds=seconds)
        self.outcomes.append(found)


_changes = itertools.count(1000)


def denied_calls(server: str) -> list[Call]:
    """Rollouts of the workloads that have the most requests and exceptions, each denied."""
    url = f"{server}/apis/apps/v1/namespaces/{NAMESPACE}/deployments?dryRun=All"
    names = [f"web-{number}" for number in range(MAX_DECLARED_TARGETS)]
    return [Call("POST", url, json.dumps(deployment(NAMESPACE, name))) for name in names]


def changing_calls(server: str, count: int = 60) -> list[Call]:
    """Changes of the intents, each of which wants a request of its own."""
    return [
        Call(
            "PATCH",
            f"{server}{SPACE}/deploymentintents/i-{number % 4}",
            json.dumps({"spec": {"evidence": {"testResults": {"passed": next(_changes)}}}}),
            _MERGE,
        )
        for number in range(count)
    ]


def measure(world: World, *, seconds: float, rounds: int, rate: float = 20.0) -> dict[str, Any]:
    """Blocks of another tenant's rollouts: before, then in turn with the worst at work and only
    there."""
    blocks: dict[str, list[Outcome]] = {side: [] for side in SIDES}
    through.choose(world, through.WITH)
    for _ in range(rounds):
        blocks[QUIET].append(through.load(world, rate, seconds))
    objects = fill(world)
    noises: list[Outcome] = []
    for _ in range(rounds):
        with Noise(world, seconds + loadgen.WARMUP_SECONDS) as noise:
            blocks[LOUD].append(through.load(world, rate, seconds))
        noises += noise.outcomes
        blocks[THERE].append(through.load(world, rate, seconds))
    return _cell(world, rate, blocks, objects, noises)


def _cell(
    world: World,
    rate: float,
    blocks: dict[str, list[Outcome]],
    objects: dict[str, int],
    noises: list[Outcome],
) -> dict[str, Any]:
    each = {side: [quantiles(b.milliseconds) for b in found] for side, found in blocks.items()}
    whole = {
        side: quantiles(pooled([b.milliseconds for b in found])) for side, found in blocks.items()
    }
    differences = {
        name: {
            "pooled": round(whole[LOUD][name] - min(whole[QUIET][name], whole[THERE][name]), 2),
            **{
                key: round(value, 2)
                for key, value in spread(
                    [operator.sub(a[name], b[name]) for a in each[LOUD] for b in each[THERE]]
                ).items()
            },
        }
        for name in whole[LOUD]
    }
    return {
        "rate": rate,
        "objects": objects,
        "sides": {
            side: {n: round(v, 2) for n, v in found.items()} for side, found in whole.items()
        },
        "added": differences,
        "requests": {side: sum(b.sent for b in found) for side, found in blocks.items()},
        "failed": {side: sum(b.failed for b in found) for side, found in blocks.items()},
        "asked": sum(found.sent for found in noises),
        "answered": _statuses(noises),
        "highWaterMB": {
            "webhook": high_water(world.installation.webhook),
            "operator": high_water(world.installation.operator),
        },
    }


def _statuses(noises: list[Outcome]) -> dict[str, int]:
    found: dict[str, int] = {}
    for noise in noises:
        for status, count in noise.statuses.items():
            found[status] = found.get(status, 0) + count
    return found


def high_water(process: Process | None) -> float:
    """MB that a process had resident at most since it began."""
    if process is None:
        return 0.0
    status = (Path("/proc") / str(process.pid) / "status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return round(int(found[1]) / 1000, 1) if found else 0.0
