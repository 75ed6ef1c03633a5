# SPDX-License-Identifier: Apache-2.0
"""What the operator asks at rest, by the API server's audit log: each call but watches and Leases.

`python -m cabgate_bench.measure.resting [INTENTS] [NAMESPACES] [SWEEPS]` has the operator open and
approve a request for each of so many intents (1000 in 50), starts it anew with a sweep each 30 s,
and counts what SWEEPS (3) of them cost. Ten minutes have one sweep, and one small list for each
watch that begins anew; lists come in pages of 250, from which 10,000 intents are reckoned.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from cabgate_bench.load import loadgen
from cabgate_bench.load.objects import GOOD, intent
from cabgate_bench.load.world import World
from cabgate_bench.measure.audited import AuditLog, described
from cabgate_devcluster import DevCluster, wait_until

SWEEP_SECONDS = 30
LARGE = 10_000
PAGED = frozenset(("operator list deploymentintents", "operator list cabrequests"))
"""What there is more of with more intents."""


def measure(intents: int, namespaces: int, sweeps: int) -> Counter[str]:
    """The calls of so many sweeps, counted."""
    spaces = [f"rest-{n}" for n in range(namespaces)]
    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog(Path(folder))
        with DevCluster(apiserver_args=log.arguments) as cluster:
            world = World(cluster, loadgen.build())
            installation = world.installation
            installation.install()
            world.namespaces(spaces)
            path = "/apis/cabgate.dev/v1alpha1/namespaces/{}/deploymentintents"
            places = [(spaces[n % namespaces], f"web-{n}") for n in range(intents)]
            world.write("POST", [(path.format(s), intent(s, name, GOOD)) for s, name in places])
            log.settled()
            operator = installation.operator
            if operator is None or world.count("cabrequests") != intents:
                raise RuntimeError("not every intent has its request")
            operator.stop()
            installation.start_operator(options=[f"--sweep-seconds={SWEEP_SECONDS}"])
            url = installation.operator_url("/metrics")
            log.settled()
            _another(url)
            before = len(log.calls())
            for _ in range(sweeps):
                _another(url)
            return Counter(map(described, log.calls()[before:]))


def _another(url: str) -> None:
    """Wait until another sweep is done, and what it queued."""
    last = _metric(url, "cabgate_last_sweep_timestamp_seconds")
    wait_until(
        lambda: _metric(url, "cabgate_last_sweep_timestamp_seconds") > last,
        "another sweep is done",
        timeout=SWEEP_SECONDS * 10,
        interval=0.5,
    )
    wait_until(lambda: _metric(url, "cabgate_queue_depth") == 0, "what it queued is looked at")


def _metric(url: str, name: str) -> float:
    lines = httpx.get(url, timeout=60).text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def pages(objects: int, first: int = 50, most: int = 250) -> int:
    """The calls that a list of so many objects takes: each page may have twice as many as the one
    before."""
    count, limit = 1, first
    while objects > limit:
        objects, limit, count = objects - limit, min(2 * limit, most), count + 1
    return count


def main() -> None:
    """Measure, and print."""
    given = [int(argument) for argument in sys.argv[1:]]
    intents, namespaces, sweeps = (*given, *(1000, 50, 3)[len(given) :])
    found = measure(intents, namespaces, sweeps)
    for what, count in sorted(found.items()):
        print(f"  {count / sweeps:.1f} {what}")
    total = sum(found.values()) / sweeps
    print(f"a sweep of {intents} intents in {namespaces} namespaces: {total:.1f} calls")
    more = len(PAGED) * (pages(LARGE) - pages(intents))
    print(f"of {LARGE}, reckoned from pages: {total + more:.1f}")


if __name__ == "__main__":
    main()
