# SPDX-License-Identifier: Apache-2.0
"""What one rollout waits that comes alone, in a stream or in a burst, while nothing or much else is
written: beside no webhook, one that does nothing, and one that does nothing but the one consistent
read that a yes which is never stale takes.

Server-side dry-run creates of an approved Deployment, open loop, at random moments (Poisson).
"""

import base64
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call
from cabgate_bench.load.usage import usage_of
from cabgate_bench.load.world import GATED as NAMESPACE
from cabgate_bench.load.world import REQUESTS, World
from cabgate_bench.measure import through
from cabgate_bench.results.cells import SIDES
from cabgate_bench.results.figures import quantiles
from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.chart import NAMESPACE as OWN

BARE, NOTHING, READS, CABGATE = SIDES

QUIET, ELSEWHERE, OURS = WRITES = ("quiet", "elsewhere", "requests")
"""Nothing else is written; a ConfigMap, or a CABRequest, is written so often a second."""

WRITES_A_SECOND = 20.0


WAITS = r'^apiserver_watch_cache_read_wait_seconds_{}\{{[^}}]*resource="cabrequests"[^}}]*\}} (\S+)'


@dataclass(frozen=True)
class Arrivals:
    """How rollouts come."""

    name: str
    rate: float
    """Arrivals a second."""
    burst: int
    """Rollouts of one arrival."""
    part: float
    """How much of the time that a row has these get: what comes seldom takes long to be seen."""


ARRIVALS = (
    Arrivals("0.2/s", 0.2, 1, 0.44),
    Arrivals("1/s", 1.0, 1, 0.22),
    Arrivals("10/s", 10.0, 1, 0.1),
    Arrivals("50/s", 50.0, 1, 0.1),
    Arrivals("20 at once", 0.7, 20, 0.14),
)


RATES = tuple(range(100, 601, 50))
"""Rates that are tried for the highest that a side holds, in calls a second."""


def measure(world: World, *, seconds: float) -> dict[str, Any]:
    """A cell for each side, arrival and kind of writing, and the highest rate of each webhook;
    `seconds` is what one side has for all its arrivals beside one kind of writing."""
    cells, highest = [], []
    with _webhooks(world) as urls:
        for writes in WRITES:
            for side in SIDES:
                _choose(world, side, urls)
                with _written(world, writes):
                    cells += [
                        _cell(world, side, writes, arrivals, seconds * arrivals.part)
                        for arrivals in ARRIVALS
                    ]
                if writes == QUIET and side != BARE:
                    highest.append(
                        through.highest_rate(world, side, seconds=seconds / 12, rates=RATES)
                    )
    return {"bursts": cells, "highest": highest}


def _cell(
    world: World, side: str, writes: str, arrivals: Arrivals, seconds: float
) -> dict[str, Any]:
    server = world.cluster.component("kube-apiserver")
    waits, cpu = _waits(world), usage_of(server).cpu
    found = loadgen.run(
        *(world.program, world.admin, through.calls(world.cluster.server)[:1]),
        seconds=seconds,
        rate=arrivals.rate,
        poisson=True,
        burst=arrivals.burst,
        warmup=0.0,
    )
    waited = [now - before for now, before in zip(_waits(world), waits, strict=True)]
    figures = quantiles(found.milliseconds) | {"worst": max(found.milliseconds, default=0.0)}
    return {
        "side": side,
        "writes": writes,
        "arrivals": arrivals.name,
        "calls": found.sent,
        "failed": found.failed,
        "samples": found.samples,
        **{name: round(value, 1) for name, value in figures.items()},
        "cacheWaitMilliseconds": round(waited[0] / waited[1] * 1000, 1) if waited[1] else None,
        "apiServerCpuMilliseconds": round((usage_of(server).cpu - cpu) * 1000 / found.sent, 1)
        if found.sent
        else None,
    }


def _waits(world: World) -> tuple[float, float]:
    """Seconds that lists of requests waited for the API server's cache so far, and how many did:
    `apiserver_watch_cache_read_wait_seconds`."""
    text = world.cluster.kubectl("get", "--raw", "/metrics").stdout
    total, count = (
        sum(float(value) for value in re.findall(WAITS.format(part), text, re.MULTILINE))
        for part in ("sum", "count")
    )
    return total, count


@contextmanager
def _written(world: World, writes: str) -> Iterator[None]:
    """Have something written all the while."""
    if writes == QUIET:
        yield
        return
    path = f"/api/v1/namespaces/default/configmaps/{ELSEWHERE}"
    if writes == OURS:
        path = f"{REQUESTS.format(NAMESPACE)}/{_a_request(world)}"
    patch = {"Content-Type": "application/merge-patch+json"}
    bodies = [{"metadata": {"annotations": {"bench": str(number)}}} for number in range(100)]
    calls = [Call("PATCH", world.cluster.server + path, json.dumps(body), patch) for body in bodies]
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            loadgen.run(world.program, world.admin, calls, rate=WRITES_A_SECOND, seconds=2.0)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def _a_request(world: World) -> str:
    found = world.cluster.kubectl("get", "--raw", REQUESTS.format(NAMESPACE)).stdout
    return str(json.loads(found)["items"][-1]["metadata"]["name"])


def _choose(world: World, side: str, urls: dict[str, str]) -> None:
    """Have the API server ask one side, and nobody else."""
    kubectl = world.cluster.kubectl
    kubectl("delete", "validatingwebhookconfiguration", "plain", "--ignore-not-found")
    through.choose(world, through.WITH if side == CABGATE else through.BARE)
    if side in urls:
        kubectl("apply", "-f", "-", stdin=json.dumps(_configuration(world, urls[side])))
        wait_until(lambda: _is_asked(world, side), "the webhook is asked")


def _is_asked(world: World, side: str) -> bool:
    """Whether the API server asks a webhook: one that has answered is asked more and more often."""
    before = _answers(world, side)
    probe = ("create", "deployment", "probe", "--image=probe", "--dry-run=server", "-n", NAMESPACE)
    world.cluster.kubectl(*probe, check=False)
    return _answers(world, side) > before


def _answers(world: World, side: str) -> float:
    text = world.cluster.kubectl("get", "--raw", "/metrics").stdout
    name = rf'^apiserver_admission_webhook_request_total\{{code="200",name="{side}\.[^}}]*\}} (\S+)'
    return sum(map(float, re.findall(name, text, re.MULTILINE)))


def _configuration(world: World, url: str) -> dict[str, Any]:
    name = url.rpartition("#")[2]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "plain"},
        "webhooks": [
            {
                "name": f"{name}.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "timeoutSeconds": 5,
                "failurePolicy": "Fail",
                "clientConfig": {
                    "url": url.partition("#")[0],
                    "caBundle": base64.b64encode(world.cluster.ca_pem).decode(),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
                "rules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "resources": ["deployments"],
                        "operations": ["CREATE", "UPDATE"],
                    }
                ],
            }
        ],
    }


@contextmanager
def _webhooks(world: World) -> Iterator[dict[str, str]]:
    """The webhooks that cabgate is compared with, by side: where each is, and its name."""
    cluster, urls, processes = world.cluster, {}, []
    pair = cluster.serving_certificate("plain")
    kubeconfig = cluster.service_account(OWN, "cabgate-webhook")
    for side, more in ((NOTHING, ()), (READS, (NAMESPACE,))):
        port = cluster.free_port()
        module = ("-m", "cabgate_bench.load.plain_webhook")
        argv = [sys.executable, *module, str(port), str(pair.cert), str(pair.key), *more]
        processes.append(cluster.spawn(side, argv, env={"KUBECONFIG": str(kubeconfig)}))
        urls[side] = f"https://127.0.0.1:{port}/validate#{side}"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ELSEWHERE}}
    cluster.kubectl("apply", "-n", "default", "-f", "-", stdin=json.dumps(body))
    try:
        yield urls
    finally:
        for process in processes:
            process.stop()
