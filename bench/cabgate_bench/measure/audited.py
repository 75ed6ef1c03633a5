# SPDX-License-Identifier: Apache-2.0
"""What an intent costs, from its declaration until its decision is in the ledger and the ledger's
head published: each call, by the API server's audit log, with all parts running.

`python -m cabgate_bench.measure.audited [INTENTS]` prints who made which calls for a new intent,
for a change of its evidence, and for such a change after etcd was rolled back; then CPU time by
process for so many intents that are declared at once (200). Watches and Leases are left out, and
what the declaration itself takes: the webhook's reads before it is stored.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.objects import GOOD, intent
from cabgate_bench.load.usage import spent
from cabgate_bench.load.world import World
from cabgate_devcluster import DevCluster, wait_until

SPACE = "audited"
OURS = ("cabgate-operator", "cabgate-webhook")
QUIET_SECONDS = 7.0
"""The head of a chain is published within 5 s."""
_PATH = f"/apis/cabgate.dev/v1alpha1/namespaces/{SPACE}"


class AuditLog:
    """The API server's audit log, with one line for each call that is answered."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "audit.log"
        policy = folder / "policy.yaml"
        rules = {"omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}
        policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", **rules}))
        self.arguments = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.file}",
            "--audit-log-mode=blocking",
        )

    def calls(self) -> list[dict[str, Any]]:
        """The calls of operator and webhook so far, in the order in which they came."""
        found = map(json.loads, self.file.read_text(encoding="utf-8").splitlines())
        ours = [event for event in found if _is_ours(event)]
        return sorted(ours, key=lambda event: str(event["requestReceivedTimestamp"]))

    def settled(self) -> list[dict[str, Any]]:
        """The same, once there were no others for a while."""
        seen, since = len(self.calls()), time.monotonic()

        def still() -> bool:
            nonlocal seen, since
            now = len(self.calls())
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > QUIET_SECONDS

        what = "operator and webhook have nothing more to do"
        wait_until(still, what, timeout=300, interval=1.0)
        return self.calls()


def _is_ours(event: Mapping[str, Any]) -> bool:
    resource = (event.get("objectRef") or {}).get("resource")
    user = str(event["user"]["username"]).rpartition(":")[2]
    return user in OURS and event["verb"] != "watch" and resource not in (None, "leases")


def described(event: Mapping[str, Any]) -> str:
    """Who called what."""
    about = event["objectRef"]
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    who = str(event["user"]["username"]).rpartition(":")[2].removeprefix("cabgate-")
    return f"{who} {event['verb']} {resource}"


def measure(many: int) -> dict[str, Any]:
    """The calls of each phase, counted, and CPU milliseconds for each of `many` intents."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog(Path(folder))
        with DevCluster(apiserver_args=log.arguments) as cluster:
            world = World(cluster, loadgen.build())
            world.installation.install()
            world.namespaces([SPACE])
            declare(world, ["first"])  # what is needed once in a namespace
            log.settled()
            found["new"] = _counted(log, lambda: declare(world, ["web"]))
            found["changed"] = _counted(log, lambda: change(world, "web", 11))
            snapshot = Path(folder) / "etcd.snapshot"
            cluster.snapshot_etcd(snapshot)
            declare(world, ["lost"])
            log.settled()
            cluster.restore_etcd(snapshot)
            log.settled()
            found["changed after a rollback"] = _counted(log, lambda: change(world, "web", 12))
            before = world.usage()
            declare(world, [f"many-{n}" for n in range(many)])
            log.settled()
            used = spent(before, world.usage())
            found["CPU, ms"] = {
                name: round(used[name]["cpuSeconds"] * 1000 / many, 1) for name in used
            }
    return found


def declare(world: World, names: list[str]) -> None:
    """Declare intents that are approved by their score."""
    path = f"{_PATH}/deploymentintents"
    world.write("POST", [(path, intent(SPACE, name, GOOD)) for name in names])


def change(world: World, name: str, passed: int) -> None:
    """Declare other evidence for the same images."""
    body = {"spec": {"evidence": {"testResults": {"passed": passed}}}}
    target = ("patch", "deploymentintent", name, "-n", SPACE, "--type=merge")
    world.cluster.kubectl(*target, "-p", json.dumps(body))


def _counted(log: AuditLog, what: Callable[[], None]) -> Counter[str]:
    """The calls that something leads to, once it is stored."""
    before = len(log.calls())
    what()
    events = [described(event) for event in log.settled()[before:]]
    # Before the operator's first call the webhook looks at the declaration itself.
    first = next((n for n, event in enumerate(events) if event.startswith("operator")), 0)
    return Counter(events[first:])


def main() -> None:
    """Measure, and print."""
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    used = found.pop("CPU, ms")
    for phase, counted in found.items():
        print(f"{phase}: {sum(counted.values())} calls")
        for what, count in sorted(counted.items()):
            print(f"  {count} {what}")
    print(f"CPU ms for an intent: {used}, together {sum(used.values()):.1f}")


if __name__ == "__main__":
    main()
