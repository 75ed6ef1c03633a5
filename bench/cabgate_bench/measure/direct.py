# SPDX-License-Identifier: Apache-2.0
"""Load on `/validate` itself, over TLS: the webhook on one core; the load generator, the API server
and etcd on the other."""

import os
import sys
from collections.abc import Sequence
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call, Outcome
from cabgate_bench.load.objects import GOOD, MIDDLING, admission_request, intent
from cabgate_bench.load.usage import pin, usage_of
from cabgate_bench.load.world import COMPONENTS, World
from cabgate_bench.results.figures import quantiles
from cabgate_devcluster import Process, wait_until
from cabgate_devcluster.installed.installation import WEBHOOK_ARGV

NAMESPACE = "direct"
WORKERS = 16
"""Admission requests that are under way at a time."""


def cores() -> tuple[list[int], list[int]]:
    """The core of the server, and that of everything else; the same one if there is but one."""
    found = sorted(os.sched_getaffinity(0))
    return [found[0]], [found[1 % len(found)]]


def prepare(world: World, targets: int) -> None:
    """So many approved targets, and as many that wait for a person."""
    world.namespaces([NAMESPACE])
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{NAMESPACE}/deploymentintents"
    made = [intent(NAMESPACE, name, GOOD) for name in approved_names(targets)]
    made += [intent(NAMESPACE, name, MIDDLING) for name in waiting_names(targets)]
    before = world.count("cabrequests")
    world.write("POST", [(path, body) for body in made])
    wanted = before + len(made)
    wait_until(
        lambda: world.count("cabrequests") >= wanted, "the requests are recorded", timeout=120
    )
    wait_until(
        lambda: _states(world).count("AutoApproved") == targets, "all are approved", timeout=120
    )


def approved_names(targets: int) -> list[str]:
    """The Deployments that are approved."""
    return [f"web-{n}" for n in range(targets)]


def waiting_names(targets: int) -> list[str]:
    """The Deployments that wait for a person."""
    return [f"waits-{n}" for n in range(targets)]


def measure(world: World, *, seconds: float, targets: int) -> list[dict[str, Any]]:
    """Allows and denials a second, and those of a webhook that does nothing."""
    server, rest = cores()
    installation = world.installation
    _restart(world, ("taskset", "-c", str(server[0]), *WEBHOOK_ARGV))
    webhook = installation.webhook
    if webhook is None:
        raise RuntimeError("the webhook does not run")
    others = [world.cluster.component(name) for name in COMPONENTS]
    everywhere = os.sched_getaffinity(0)
    pin(others, rest)
    try:
        port = installation.webhook_port
        cells = [
            _cell(world, webhook, name, port, asked, seconds, rest)
            for name, asked in (
                ("allow, one target", ["web-0"]),
                (f"allow, {targets} targets in turn", approved_names(targets)),
                ("deny, waits for a person, one target", ["waits-0"]),
                (f"deny, waits, {targets} targets in turn", waiting_names(targets)),
                ("deny, no request, one target", ["unheard-of"]),
            )
        ]
        null, null_port = start_null(world, server)
        cells.append(
            _cell(world, null, "null webhook, the floor", null_port, ["web-0"], seconds, rest)
        )
        null.kill()
    finally:
        pin(others, everywhere)
    _restart(world, WEBHOOK_ARGV)
    return cells


def allows(
    world: World,
    program: Sequence[str],
    server: Sequence[int],
    rest: Sequence[int],
    targets: int,
    seconds: float,
) -> dict[str, Any]:
    """Allows of so many targets in turn, by a webhook that another program is: it on a core of its
    own, the load on the other."""
    _restart(world, ("taskset", "-c", str(server[0]), *program))
    webhook = world.installation.webhook
    if webhook is None:
        raise RuntimeError("the webhook does not run")
    port, names = world.installation.webhook_port, approved_names(targets)
    return _cell(world, webhook, "allow", port, names, seconds, rest)


def profile(world: World, *, seconds: float, targets: int) -> str:
    """Where the webhook's time goes, allowing and then denying: the table of cProfile."""
    path = world.cluster.directory / "webhook.profile"
    _restart(world, (sys.executable, "-m", "cabgate_bench.load.profiled", str(path)))
    webhook, port = world.installation.webhook, world.installation.webhook_port
    names = [*approved_names(targets), *waiting_names(targets)]
    _load(world, port, names, seconds, [])
    if webhook is not None:
        webhook.stop()
    _restart(world, WEBHOOK_ARGV)
    text = path.with_suffix(".txt")
    return text.read_text() if text.exists() else "the profile was not written"


def start_null(world: World, server: Sequence[int]) -> tuple[Process, int]:
    """A webhook on the same server that answers without looking; its process and port."""
    pair = world.cluster.serving_certificate("null")
    port = world.cluster.free_port()
    argv = [
        "taskset",
        "-c",
        str(server[0]),
        sys.executable,
        "-m",
        "cabgate_bench.load.null_webhook",
    ]
    process = world.cluster.spawn("null", [*argv, str(port), str(pair.cert), str(pair.key)])
    wait_until(lambda: _answers(world, port), "the null webhook answers")
    return process, port


def _answers(world: World, port: int) -> bool:
    return _load(world, port, ["web-0"], 0.1, [], warmup=0.0).failed == 0


def _restart(world: World, argv: Sequence[str]) -> None:
    installation = world.installation
    if installation.webhook is not None and installation.webhook.running:
        installation.webhook.stop()
    installation.start_webhook(argv)


def _load(
    world: World,
    port: int,
    targets: Sequence[str],
    seconds: float,
    rest: Sequence[int],
    warmup: float = loadgen.WARMUP_SECONDS,
) -> Outcome:
    url = f"https://127.0.0.1:{port}/validate"
    calls = [Call("POST", url, admission_request(NAMESPACE, name)) for name in targets]
    return loadgen.run(
        world.program,
        world.anybody,
        calls,
        seconds=seconds,
        workers=WORKERS,
        cores=rest,
        warmup=warmup,
    )


def _cell(
    world: World,
    process: Process,
    name: str,
    port: int,
    targets: Sequence[str],
    seconds: float,
    rest: Sequence[int],
) -> dict[str, Any]:
    _load(world, port, targets, min(1.0, seconds), rest, warmup=0.0)
    before = usage_of(process)
    found = _load(world, port, targets, seconds, rest, warmup=0.0)
    after = usage_of(process)
    cpu = after.cpu - before.cpu
    return {
        "cell": name,
        "perSecond": round(found.rate, 1),
        "perCpuSecond": round(len(found.milliseconds) / cpu, 1) if cpu else 0.0,
        "cpuOfServerCore": round(cpu / found.seconds, 2),
        **{key: round(value, 2) for key, value in quantiles(found.milliseconds).items()},
        "allowed": found.allowed,
        "denied": found.denied,
        "failed": found.failed,
        "rssMB": round(after.rss, 1),
    }


def _states(world: World) -> list[str]:
    columns = "custom-columns=S:.status.state"
    arguments = ("get", "cabrequests", "-n", NAMESPACE, "--no-headers", "-o", columns)
    return world.cluster.kubectl(*arguments).stdout.split()


def request_size() -> int:
    """Bytes of one AdmissionReview."""
    return len(admission_request(NAMESPACE, "web-0"))
