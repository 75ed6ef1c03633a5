# SPDX-License-Identifier: Apache-2.0
"""The operator: intents a second, time from an intent to its request, memory, start-up, and what it
asks of the API server for one change and at rest."""

import json
import ssl
import threading
import time
from typing import Any

import httpx

from cabgate_bench.load.calls import calls, settled
from cabgate_bench.load.objects import GOOD, intent
from cabgate_bench.load.usage import Usage, spent, usage_of
from cabgate_bench.load.world import World
from cabgate_bench.results.figures import quantiles
from cabgate_devcluster import wait_until

NAMESPACES = 50
PREFIX = "/apis/cabgate.dev/v1alpha1"


POLL_SECONDS = 1.0
"""Between two looks at how far the operator is; each costs a process of kubectl."""

FEW = 10
"""Intents among which one change is measured, before there are many."""


def measure(
    world: World, *, backlog: int, rate: float, seconds: float, rest: float
) -> dict[str, Any]:
    """A change among few intents, a backlog that a starting operator finds, intents at a rate, a
    change among many, and a time of rest."""
    installation = world.installation
    spaces = [f"op-{n}" for n in range(NAMESPACES)]
    world.namespaces(spaces)
    _declare(world, [(spaces[n % NAMESPACES], f"few-{n}") for n in range(FEW)])
    among_few = _change(world, spaces[0], "few-0")
    if installation.operator is not None:
        installation.operator.stop()
    before = world.count("cabrequests")
    _declare(world, [(spaces[n % NAMESPACES], f"back-{n}") for n in range(backlog)])
    used = world.usage()
    begun = time.monotonic()
    installation.start_operator()
    ready = time.monotonic() - begun
    operator = installation.operator
    if operator is None:
        raise RuntimeError("the operator does not run")
    wait_until(
        lambda: world.count("cabrequests") - before >= backlog,
        f"{backlog} requests are recorded",
        timeout=30 + backlog,
        interval=POLL_SECONDS,
    )
    recorded = time.monotonic() - begun
    used_for_backlog = spent({"operator": Usage(0, 0), **used}, world.usage())
    wait_until(lambda: _is_quiet(operator), "the operator is idle", timeout=60 + backlog)
    idle = time.monotonic() - begun - QUIET_SECONDS
    latencies = _at_rate(world, spaces, rate, seconds)
    among_many = _change(world, spaces[1], "few-1")
    at_rest = _rest(world, rest)
    resident = usage_of(operator).rss
    return {
        "backlog": backlog,
        "readySeconds": round(ready, 2),
        "recordedSeconds": round(recorded, 2),
        "settledSeconds": round(idle, 2),
        "recordedPerSecond": round(backlog / max(recorded, 0.001), 1),
        "usedForBacklog": used_for_backlog,
        "rssMB": round(resident, 1),
        "rate": rate,
        "intentToRequestMilliseconds": latencies,
        "requests": world.count("cabrequests"),
        "changeAmongFewCalls": among_few,
        "changeAmongManyCalls": among_many,
        "restSeconds": rest,
        "restCalls": at_rest,
    }


def _change(world: World, namespace: str, name: str) -> int:
    """Calls that one intent with new evidence costs, until all is recorded."""
    before = settled(world, interval=POLL_SECONDS)
    body = {"spec": {"evidence": {"testResults": {"passed": 11}}}}
    target = ("patch", "deploymentintent", name, "-n", namespace, "--type=merge")
    world.cluster.kubectl(*target, "-p", json.dumps(body))
    own = 2  # kubectl reads and patches
    wait_until(lambda: calls(world) > before + own, "the operator has begun")
    return settled(world, interval=POLL_SECONDS) - before - own


def _rest(world: World, seconds: float) -> int:
    """Calls while nothing happens."""
    before = settled(world, interval=POLL_SECONDS)
    time.sleep(seconds)
    return calls(world) - before


QUIET_SECONDS = 2.0


def _is_quiet(operator: Any) -> bool:
    """Whether the operator used almost no CPU for a while."""
    before = usage_of(operator).cpu
    time.sleep(QUIET_SECONDS)
    return usage_of(operator).cpu - before < 0.2


def _declare(world: World, places: list[tuple[str, str]]) -> None:
    world.write(
        "POST",
        [
            (f"{PREFIX}/namespaces/{space}/deploymentintents", intent(space, name, GOOD))
            for space, name in places
        ],
    )


def _at_rate(world: World, spaces: list[str], rate: float, seconds: float) -> dict[str, float]:
    """Milliseconds from the API server's answer to an intent to its request in a watch."""
    seen: dict[str, float] = {}
    stop = threading.Event()
    with _client(world) as client:
        listed = client.get(f"{PREFIX}/cabrequests", params={"limit": "1"}).json()
    start = listed["metadata"]["resourceVersion"]
    watching = threading.Thread(target=_watch, args=(world, seen, stop, start), daemon=True)
    watching.start()
    names = [f"live-{n}" for n in range(int(rate * seconds))]
    made: dict[str, float] = {}
    with _client(world) as client:
        begun = time.monotonic()
        for n, name in enumerate(names):
            time.sleep(max(begun + n / rate - time.monotonic(), 0))
            space = spaces[n % len(spaces)]
            path = f"{PREFIX}/namespaces/{space}/deploymentintents"
            client.post(path, json=intent(space, name, GOOD)).raise_for_status()
            made[name] = time.monotonic()
        wait_until(lambda: set(names) <= set(seen), "every live intent has its request")
    stop.set()
    found = sorted((seen[name] - made[name]) * 1000 for name in names)
    return {key: round(max(value, 0.0), 1) for key, value in quantiles(found).items()}


def _watch(world: World, seen: dict[str, float], stop: threading.Event, start: str) -> None:
    with _client(world) as client:
        query = {"watch": "true", "resourceVersion": start, "timeoutSeconds": "300"}
        with client.stream("GET", f"{PREFIX}/cabrequests", params=query) as lines:
            for line in lines.iter_lines():
                event = json.loads(line)
                if event["type"] == "ADDED":
                    name = event["object"]["spec"]["intentRef"]["name"]
                    seen[name] = time.monotonic()
                if stop.is_set():
                    return


def _client(world: World) -> httpx.Client:
    admin = world.admin
    context = ssl.create_default_context(cafile=str(admin.ca))
    if admin.cert is not None:
        context.load_cert_chain(admin.cert, admin.key)
    return httpx.Client(base_url=world.cluster.server, verify=context, timeout=310)
