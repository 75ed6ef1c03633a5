# SPDX-License-Identifier: Apache-2.0
"""Verdicts with more and more requests in the cluster.

The requests are written straight to the API server before cabgate's admission configuration is
there, which would take them from the operator alone; the operator does not run, since it would
close requests without an intent. What is measured is the webhook, asked directly.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call
from cabgate_bench.load.objects import admission_request, approved, request
from cabgate_bench.load.usage import usage_of
from cabgate_bench.load.world import REQUESTS, World, now
from cabgate_bench.results.figures import quantiles

APPROVED = 500
"""Of the requests, so many are approved, spread over the namespaces; verdicts are about these."""
BATCH = 5_000


def measure(world: World, *, sizes: Sequence[int], spaces: int, crowd: int, seconds: float) -> Any:
    """Verdicts at each of some ascending sizes, and with a crowd in one namespace."""
    world.install_bare()
    world.namespaces([f"scale-{n}" for n in range(spaces)])
    world.installation.start_webhook()
    cells, there = [], 0
    for size in sizes:
        begun = time.monotonic()
        _fill(world, range(there, size), spaces)
        filled = time.monotonic() - begun
        there = size
        targets = [_place(n, spaces) for n in range(0, size, max(size // APPROVED, 1))][:APPROVED]
        _approve(world, targets)
        cells.append(_verdicts(world, f"{size} requests", targets, seconds, filled))
    world.namespaces(["crowd"])
    begun = time.monotonic()
    names = [("crowd", f"app-{n}") for n in range(crowd)]
    _write(world, names)
    _approve(world, names[:APPROVED])
    filled = time.monotonic() - begun
    label = f"{crowd} requests in one namespace"
    cells.append(_verdicts(world, label, names[:APPROVED], seconds, filled))
    return cells


def _place(number: int, spaces: int) -> tuple[str, str]:
    return f"scale-{number % spaces}", f"app-{number}"


def _fill(world: World, numbers: range, spaces: int) -> None:
    for batch in _batches(numbers):
        _write(world, [_place(n, spaces) for n in batch])


def _batches(numbers: range) -> Iterator[range]:
    for start in range(0, len(numbers), BATCH):
        yield numbers[start : start + BATCH]


def _write(world: World, places: Sequence[tuple[str, str]]) -> None:
    world.write("POST", [(REQUESTS.format(space), request(space, name)) for space, name in places])


def _approve(world: World, places: Sequence[tuple[str, str]]) -> None:
    """Put the operator's approval into the status; where it is already, since an earlier size
    approved the same one, it stays."""
    at, made = now(), [request(space, name) for space, name in places]
    world.write_statuses([(each, approved(each, at)["status"]) for each in made], again=True)


def _verdicts(
    world: World,
    label: str,
    targets: Sequence[tuple[str, str]],
    seconds: float,
    filled: float,
) -> dict[str, Any]:
    url = f"https://127.0.0.1:{world.installation.webhook_port}/validate"
    calls = [Call("POST", url, admission_request(space, name)) for space, name in targets]
    found = loadgen.run(world.program, world.anybody, calls, seconds=seconds, workers=1)
    webhook = world.installation.webhook
    if webhook is None or found.failed or found.denied:
        raise RuntimeError(
            f"{label}: {found.statuses} {found.errors} {found.samples} {found.denied}"
        )
    return {
        "cell": label,
        "verdicts": found.sent,
        **{key: round(value, 2) for key, value in quantiles(found.milliseconds).items()},
        "webhookRssMB": round(usage_of(webhook).rss, 1),
        "apiserverRssMB": round(usage_of(world.cluster.component("kube-apiserver")).rss, 1),
        "fillSeconds": round(filled, 1),
    }
