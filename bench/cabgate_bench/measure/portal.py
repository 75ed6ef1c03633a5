# SPDX-License-Identifier: Apache-2.0
"""What the REST API takes beside direct calls: the same operations with the same tokens by the
portal and to the API server itself, in turns, at a rate; and what memory it takes.

`make bench-portal`. Writes are dry runs or change nothing, so that each round meets the same state.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cabgate.gate.commands import review_of
from cabgate.reports.counting import percentile
from cabgate.rollout.targets import Workload
from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call, Client
from cabgate_bench.load.objects import MIDDLING, intent
from cabgate_bench.load.portals import start_portal, tokens_of, trusting
from cabgate_bench.load.usage import usage_of
from cabgate_devcluster import DevCluster, Process, wait_until
from cabgate_devcluster.installed.installation import Installation

NAMESPACE = "bench"
WAITING = 40
RATE = 20.0
WANTED_MS = 60.0
WANTED_MB = 120.0
ROLES = {
    "tess": ("edit", "cabgate-requester"),
    "rita": ("view", "cabgate-cab-member"),
}
OURS = f"/apis/cabgate.dev/v1alpha1/namespaces/{NAMESPACE}"


@dataclass(frozen=True)
class Operation:
    """One operation, by the portal and as the direct call that it is held against."""

    by_portal: Sequence[Call]
    direct: Sequence[Call]


def main() -> int:
    """Print a table: of each operation p50 and p95 both ways, and the difference of the p95."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0)
    given = parser.parse_args()
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "tokens.csv"
        tokens = tokens_of(ROLES, path)
        with DevCluster(apiserver_args=[f"--token-auth-file={path}"]) as cluster:
            portal, url = prepare(cluster)
            operations = operations_of(cluster, tokens, url)
            ca = trusting(cluster)
            memory = [usage_of(portal).rss]
            rows = {
                name: measured(operation, ca, given.rounds, given.seconds)
                for name, operation in operations.items()
            }
            memory.append(usage_of(portal).rss)
    print(f"load average before: {load[0]:.1f}; {RATE:g} calls a second\n")
    print("| operation | portal p50 | portal p95 | direct p50 | direct p95 | p95 above, ms |")
    print("|---|---|---|---|---|---|")
    good = True
    for name, blocks in rows.items():
        cells = [
            statistics.median(percentile(each[way], quantile) for each in blocks)
            for way in (0, 1)
            for quantile in (50, 95)
        ]
        above = sorted(percentile(each[0], 95) - percentile(each[1], 95) for each in blocks)
        middle = statistics.median(above)
        good = good and middle <= WANTED_MS
        shown = " | ".join(f"{cell:.1f}" for cell in cells)
        print(f"| {name} | {shown} | {middle:.1f} ({above[0]:.1f} to {above[-1]:.1f}) |")
    print(f"\nportal: {memory[0]:.0f} MB before, {memory[1]:.0f} MB after; wanted {WANTED_MB:g}")
    return 0 if good and memory[1] < WANTED_MB else 1


def prepare(cluster: DevCluster) -> tuple[Process, str]:
    """Install cabgate, and start a portal: its process and its URL."""
    installation = Installation(cluster)
    installation.install()
    labels = {"cabgate.dev/ring": "2"}
    cluster.api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    )
    for who, roles in ROLES.items():
        for role in roles:
            cluster.kubectl(
                *("create", "rolebinding", f"{who}-{role}", "-n", NAMESPACE),
                *(f"--clusterrole={role}", f"--user={who}"),
            )
    port = cluster.free_port()
    return start_portal(cluster, port), f"http://127.0.0.1:{port}/api/cab/v1"


def operations_of(cluster: DevCluster, tokens: Mapping[str, str], url: str) -> dict[str, Operation]:
    """What is measured, once the requests wait."""
    names = [f"web-{number}" for number in range(WAITING)]
    intents = {name: intent(NAMESPACE, name, MIDDLING) for name in names}
    server = cluster.server

    def call(who: str, method: str, where: str, body: Any = None, kind: str = "json") -> Call:
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        headers = {
            "Authorization": f"Bearer {tokens[who]}",
            "Content-Type": f"application/{kind}",
        }
        return Call(method, where, text, headers)

    submits = [call("tess", "POST", f"{url}/submit", intents[name]) for name in names]
    program, client = loadgen.build(), trusting(cluster)

    def submitted() -> bool:
        """Whether all are taken: the API server may not know the kinds of its policies yet."""
        return not loadgen.run(program, client, submits, workers=2, once=True).failed

    wait_until(submitted, "all intents are submitted", timeout=300, interval=2)

    def waiting() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = cluster.api.call("GET", f"{OURS}/cabrequests")["items"]
        found = [each for each in items if (each.get("status") or {}).get("state") == "Submitted"]
        return found if len(found) == WAITING else None

    requests = wait_until(waiting, "all requests wait", timeout=300)
    decisions = {}
    for each in requests or ():
        review = {"verdict": "Approved", "rationale": "tried"}
        decisions[each["metadata"]["name"]] = review | {
            "evidenceDigest": each["spec"]["evidenceDigest"]
        }
    apply = "fieldManager=cabgate-api&fieldValidation=Strict"
    return {
        "submit": Operation(
            submits,
            [
                call(
                    *("tess", "PATCH", f"{server}{OURS}/deploymentintents/{name}?{apply}"),
                    *(intents[name], "apply-patch+yaml"),
                )
                for name in names
            ],
        ),
        "get": Operation(
            [call("rita", "GET", f"{url}/{NAMESPACE}.{name}") for name in decisions],
            [call("rita", "GET", f"{server}{OURS}/cabrequests/{name}") for name in decisions],
        ),
        "approve, dry run": Operation(
            [
                call(
                    *("rita", "POST", f"{url}/{NAMESPACE}.{name}/approve?dryRun=true"),
                    {key: review[key] for key in ("evidenceDigest", "rationale")},
                )
                for name, review in decisions.items()
            ],
            [
                call(
                    *("rita", "PATCH", f"{server}{OURS}/cabrequests/{name}/status?dryRun=All"),
                    *(review_of(review), "merge-patch+json"),
                )
                for name, review in decisions.items()
            ],
        ),
        "check, beside one list": Operation(
            [
                call(
                    *("tess", "GET"),
                    f"{url}/check?namespace={NAMESPACE}&workload=deployment/{name}&image=x:1",
                )
                for name in names
            ],
            [
                call(
                    *("tess", "GET"),
                    f"{server}{OURS}/cabrequests?labelSelector="
                    + Workload("apps", "Deployment", name).label.replace("/", "%2F"),
                )
                for name in names
            ],
        ),
    }


def measured(
    operation: Operation, client: Client, rounds: int, seconds: float
) -> list[tuple[list[float], list[float]]]:
    """Milliseconds of the answers of each round, by the portal and direct."""
    program, found = loadgen.build(), []
    for _ in range(rounds):
        block = []
        for calls in (operation.by_portal, operation.direct):
            outcome = loadgen.run(program, client, calls, seconds=seconds, rate=RATE, workers=16)
            if outcome.failed:
                raise SystemExit(f"{outcome.statuses} {outcome.errors} {outcome.samples[:1]}")
            block.append(outcome.milliseconds)
        found.append((block[0], block[1]))
    return found


if __name__ == "__main__":
    sys.exit(main())
