# SPDX-License-Identifier: Apache-2.0
"""What the operator asks of the API server, as the API server itself counts it."""

import re
import time

from cabgate_bench.load.world import World
from cabgate_devcluster import wait_until

WRITES = "POST|PUT|PATCH|APPLY|DELETE"
RESOURCES = (
    "deploymentintents|cabrequests|cabexceptions|cabdecisions|cabevidences|riskmodels|changepolicies"
    "|evidencesigners|events|configmaps"
)


def calls(world: World, verbs: str = f"GET|LIST|{WRITES}", resources: str = RESOURCES) -> int:
    """Calls so far for what the operator reads and writes; watches and Leases apart."""
    text = world.cluster.api.text("/metrics")
    pattern = (
        rf'^apiserver_request_total\{{[^}}]*resource="(?:{resources})"'
        rf'[^}}]*verb="(?:{verbs})"[^}}]*\}} (\d+)'
    )
    return sum(int(count) for count in re.findall(pattern, text, re.MULTILINE))


def settled(world: World, seconds: float = 4.0, interval: float = 0.25) -> int:
    """The number of calls, once it has stood still for so many seconds; looked at each
    `interval`: to list all its metrics takes the API server a tenth of a second."""
    seen, since = calls(world), time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        now = calls(world)
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_until(still, "the operator has nothing more to do", timeout=300, interval=interval)
    return seen
