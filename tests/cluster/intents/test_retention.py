# SPDX-License-Identifier: Apache-2.0
"""Retention on the real API server: what goes, what stays, and what the ledger keeps of it."""

import json
from datetime import UTC, datetime

import pytest

from cabgate.api.base import rfc3339
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.installation import OPERATOR_ARGV
from cabgate_samples.objects import GOOD, MIDDLING, intent, target, workload
from support.gate import install
from support.namespaces import create_namespace

NAMESPACE = "shop"
KEPT = 2


@pytest.fixture(scope="module")
def gate():
    with DevCluster() as cluster:
        made = install(cluster)
        made.installation.operator.stop()
        made.installation.start_operator(
            [*OPERATOR_ARGV, "--sweep-seconds", "1", "--keep-approved", str(KEPT)]
        )
        create_namespace(cluster, NAMESPACE)
        yield made


def release(gate, number, evidence, state):
    gate.apply("requester", intent(NAMESPACE, images=(f"web:{number}",), evidence=evidence))
    return gate.request_of(NAMESPACE, state=state)


def test_only_the_newest_approvals_stay_and_the_ledger_keeps_the_rest(gate):
    refused = release(gate, 0, MIDDLING, "Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", refused, NAMESPACE, "Rejected", rationale="no")
    made = {release(gate, n, GOOD, "AutoApproved")["metadata"]["uid"]: n for n in (1, 2, 3, 4)}

    def left():
        requests = gate.items("cabrequest", NAMESPACE)
        images = {r["spec"]["targets"][0]["images"][0] for r in requests}
        return images == {"web:0", "web:3", "web:4"}

    wait_until(left, "the two newest approvals and the refusal are left")
    records = json.loads(gate.cluster.kubectl("get", "cabdecisions", "-o", "json").stdout)["items"]
    recorded = {r["spec"]["subject"]["uid"] for r in records if r["spec"]["verdict"]}
    assert set(made) <= recorded

    def rollout(image):
        body = json.dumps(workload(NAMESPACE, images=(image,)))
        arguments = ("create", "-f", "-", "--dry-run=server")
        return gate.kubectl("requester", *arguments, stdin=body, check=False)

    assert rollout("web:3").returncode == 0
    assert "ImagesNotCovered" in rollout("web:1").stderr


def test_what_was_gone_back_to_stays_when_the_next_release_comes(gate):
    """It is what ran until then, however old its approval is."""
    evidence = {**GOOD, "artifacts": [{"name": "api"}]}

    def declare(number):
        images = (f"api:{number}",)
        made = intent(NAMESPACE, name="api", evidence=evidence, targets=[target(images, "api")])
        gate.apply("requester", made)
        found = gate.request_of(NAMESPACE, "api", state="AutoApproved")["metadata"]["name"]
        # Times have whole seconds: the next release is of a later one.
        asked = gate.get("cabrequest", found, NAMESPACE)["status"]["askedAt"]
        wait_until(lambda: rfc3339(datetime.now(UTC)) > asked, "the second is over")
        return found

    first, second = declare(1), declare(2)
    assert declare(1) == first
    third = declare(3)

    def left():
        return {r["metadata"]["name"] for r in gate.items("cabrequest", NAMESPACE)}

    wait_until(lambda: second not in left(), "the one that was left for the first is gone")
    assert {first, third} <= left()
    body = json.dumps(workload(NAMESPACE, name="api", images=("api:1",)))
    gate.kubectl("requester", "create", "-f", "-", "--dry-run=server", stdin=body)
