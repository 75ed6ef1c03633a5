# SPDX-License-Identifier: Apache-2.0
"""What the rules of change add to a rollout's admission: an approved Deployment in a namespace
without a change policy, and one in a namespace with all of them, in turn within one run.

`python -m cabgate_bench.measure.rules [ROUNDS] [CALLS]` starts a cluster with a namespace of each.
The policy of the one has two people approve, escalates, lets an approval end after 30 days and
limits exceptions; of its two freezes one is over and one is yet to come, so that both are read and
neither holds. Blocks of dry-run creations take turns between the namespaces. Printed: p50, p90 and
p99 of each, the webhook's CPU time for a call, and, of the medians of a round, difference and ratio
with the spread over the rounds; times in milliseconds.
"""

import json
import ssl
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from cabgate import API_VERSION
from cabgate.text.moments import rfc3339
from cabgate_bench.load.objects import MIDDLING, deployment, intent
from cabgate_bench.load.turns import in_turn
from cabgate_bench.results.figures import quantiles, spread
from cabgate_devcluster import DevCluster, Installation, wait_until

PLAIN, RULED = SIDES = ("plain", "ruled")
NAME = "web"
VOTERS = ("ann", "bob")
LABEL = "cabgate.dev/change-policy"

POLICY: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "ChangePolicy",
    "metadata": {"name": "board"},
    "spec": {
        "version": "1",
        "approvals": [{"count": len(VOTERS), "verb": "approve", "validFor": "720h"}],
        "escalation": [
            {"after": "24h", "level": 1},
            {"after": "48h", "level": 2, "alsoDecides": "approve-oncall"},
        ],
        "exceptions": {"count": 2, "maxDays": 30, "require": ["maxReplicas"]},
    },
}


def freeze(name: str, begins: timedelta) -> dict[str, Any]:
    """A freeze of a day, which begins then from now."""
    since = datetime.now(UTC) + begins
    interval = {"from": rfc3339(since), "until": rfc3339(since + timedelta(days=1))}
    return {
        "apiVersion": API_VERSION,
        "kind": "ChangeFreeze",
        "metadata": {"name": name},
        "spec": {
            "kind": "Freeze",
            "title": name,
            "reason": "Nobody is there to mend what breaks.",
            "intervals": [interval],
        },
    }


def measure(rounds: int, calls: int) -> dict[str, Any]:
    """Milliseconds of each admission and the webhook's CPU time for one, by namespace."""
    with DevCluster() as cluster:
        installation = Installation(cluster)
        installation.install()
        webhook = installation.webhook
        if webhook is None:
            raise RuntimeError("the webhook does not run")
        _prepare(cluster)
        with _client(cluster) as client:
            took, cpu = in_turn(SIDES, partial(_admitted, client), rounds, calls, webhook)
    return figures(took, cpu)


def figures(
    took: Mapping[str, list[list[float]]], cpu: Mapping[str, list[float]]
) -> dict[str, Any]:
    """What is printed of the calls of each block, by namespace."""
    medians = {side: [statistics.median(block) for block in took[side]] for side in SIDES}
    pairs = list(zip(medians[PLAIN], medians[RULED], strict=True))
    found: dict[str, Any] = {
        side: {
            **quantiles(sorted(value for block in took[side] for value in block)),
            "webhookCpu": spread(cpu[side]),
        }
        for side in SIDES
    }
    found["added"] = spread([ruled - plain for plain, ruled in pairs])
    found["ratio"] = spread([ruled / plain for plain, ruled in pairs])
    return found


def _prepare(cluster: DevCluster) -> None:
    """An approved Deployment in each namespace; the rules are there before its request."""
    over, to_come = freeze("over", -timedelta(days=9)), freeze("to-come", timedelta(days=300))
    for rule in (POLICY, over, to_come):
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(rule))
    for voter in VOTERS:
        role = (f"--user={voter}", "--clusterrole=cabgate-cab-member")
        cluster.kubectl("create", "clusterrolebinding", voter, *role)
    for side in SIDES:
        labels = ["cabgate.dev/ring=2", *([f"{LABEL}=board"] if side == RULED else [])]
        cluster.kubectl("create", "namespace", side)
        cluster.kubectl("label", "namespace", side, *labels)
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(intent(side, NAME, MIDDLING)))
        _approve(cluster, side, VOTERS if side == RULED else VOTERS[:1])


def _approve(cluster: DevCluster, namespace: str, voters: Iterable[str]) -> None:
    """Have some people approve the request of a namespace once it is there."""
    name = wait_until(lambda: _opened(cluster, namespace), f"a request in {namespace}")
    review = {"verdict": "Approved", "rationale": "It is measured."}
    patch = json.dumps({"status": {"review": review}})
    words = ("cabrequest", name, "-n", namespace, "--subresource=status", "--type=merge")
    for voter in voters:
        cluster.kubectl("patch", *words, "-p", patch, kubeconfig=cluster.user(voter))
    state = cluster.api.get("cabrequest", name, namespace)["status"]["state"]
    if state != "Approved":
        raise RuntimeError(f"the request in {namespace} is {state}, not Approved")


def _opened(cluster: DevCluster, namespace: str) -> str:
    """Name of the request of a namespace; empty until it is there."""
    found = cluster.api.items("cabrequests", namespace)
    return str(found[0]["metadata"]["name"]) if found else ""


def _client(cluster: DevCluster) -> httpx.Client:
    token = cluster.service_account_token("default", "deployer")
    words = ("--clusterrole=edit", "--serviceaccount=default:deployer")
    cluster.kubectl("create", "clusterrolebinding", "deployer", *words)
    trust = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=cluster.server, verify=trust, headers=headers, timeout=30)


def _admitted(client: httpx.Client, namespace: str) -> float:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    body = deployment(namespace, NAME)
    begun = time.perf_counter()
    answer = client.post(path, params={"dryRun": "All"}, json=body)
    milliseconds = (time.perf_counter() - begun) * 1000
    if not answer.is_success:
        raise RuntimeError(f"HTTP {answer.status_code}: {answer.text}")
    return milliseconds


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    print(json.dumps(measure(*(given + [9, 60][len(given) :])), indent=2))
