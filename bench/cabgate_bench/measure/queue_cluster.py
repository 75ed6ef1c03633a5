# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab queue -A` on a real API server that holds many requests, of which some wait.

Beside it, in turns, `kubectl get` lists the same requests: what the queue takes of its own is the
difference. `python -m cabgate_bench.measure.queue_cluster --requests 10000 --waiting 200`. The
requests are written without cabgate's admission configuration, as `scale` does it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cabgate.views.selectors import WAITING_REQUESTS
from cabgate_bench.load import loadgen
from cabgate_bench.load.objects import GOOD, MIDDLING, approved, request
from cabgate_bench.load.world import REQUESTS, World, now
from cabgate_devcluster import DevCluster

SPACES = 25


def main() -> int:
    """Print the shortest, the median and the longest of some runs, and of what the queue takes
    beside the list that ran before it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--waiting", type=int, default=200)
    parser.add_argument("--runs", type=int, default=11)
    given = parser.parse_args()
    with DevCluster() as cluster:
        world = World(cluster, loadgen.build())
        world.install_bare()
        world.namespaces([f"team-{n}" for n in range(SPACES)])
        fill(world, given.requests, given.waiting)
        rows = measured(cluster, given.runs)
    listed, queued = rows.values()
    rows["its own"] = [queue - one for one, queue in zip(listed, queued, strict=True)]
    print("| | shortest, ms | median, ms | longest, ms |\n|---|---|---|---|")
    for name, seconds in rows.items():
        figures = (min(seconds), statistics.median(seconds), max(seconds))
        print(f"| {name} | {' | '.join(f'{each * 1000:.0f}' for each in figures)} |")
    return 0


def fill(world: World, count: int, waiting: int) -> None:
    """Write so many requests: some that wait, and the others approved by the system."""
    made = [
        request(f"team-{number % SPACES}", f"web-{number}", MIDDLING if number < waiting else GOOD)
        for number in range(count)
    ]
    world.write("POST", [(REQUESTS.format(each["metadata"]["namespace"]), each) for each in made])
    at = now()
    world.write_statuses(
        [(each, {"state": "Submitted"}) for each in made[:waiting]]
        + [(each, approved(each, at)["status"]) for each in made[waiting:]]
    )


def measured(cluster: DevCluster, runs: int) -> dict[str, list[float]]:
    """Seconds of each run of the list, and of the queue."""
    kubectl = cluster.binaries.kubectl
    environment = {
        "KUBECONFIG": str(cluster.admin),
        "HOME": str(cluster.directory),
        "PATH": os.pathsep.join([str(kubectl.parent), str(Path(sys.executable).parent)]),
    }
    path = f"/apis/cabgate.dev/v1alpha1/cabrequests?limit=500&fieldSelector={WAITING_REQUESTS}"
    commands: dict[str, Sequence[str]] = {
        "one list, `kubectl get --raw`": ["get", "--raw", path.replace("!", "%21")],
        "`kubectl cab queue -A`": ["cab", "queue", "-A"],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, words in commands.items():
            began = time.monotonic()
            subprocess.run([str(kubectl), *words], env=environment, check=True, capture_output=True)
            if number:  # the first compiles
                found[name].append(time.monotonic() - began)
    return found


if __name__ == "__main__":
    sys.exit(main())
