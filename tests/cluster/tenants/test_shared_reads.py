# SPDX-License-Identifier: Apache-2.0
"""Reviews of one target at the same time share reads, and yet a verdict counts from the moment that
the reviewer's command returned."""

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, intent, workload
from support.clients import client_of, decided_answer
from support.load import Load

APPS = "/apis/apps/v1/namespaces"
CABGATE = "/apis/cabgate.dev/v1alpha1/namespaces"


@pytest.fixture
def team(gate):
    with client_of(gate.user("requester")) as client:
        yield client


def test_verdicts_count_at_once_in_a_storm_of_rollouts(gate, namespace, team):
    with client_of(gate.user("reviewer")) as reviewer, client_of(gate.user("security")) as security:
        for number in range(4):
            name, image = f"web-{number}", f"web:{number}"
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
            declared = intent(
                namespace, name=name, evidence=MIDDLING, targets=[{**target, "images": [image]}]
            )
            gate.apply("requester", declared)
            request = gate.request_of(namespace, name, "Submitted")["metadata"]["name"]
            deployment = workload(namespace, name=name, images=[image])
            with Load(gate.user("requester"), deployment, threads=6, pause=0) as storm:
                wait_until(lambda s=storm: s.count > 6, timeout=60.0, what="the storm is there")
                assert rolled_out(team, namespace, deployment) == 403
                assert review(reviewer, namespace, request, "Approved") == 200
                assert rolled_out(team, namespace, deployment) == 201
                assert review(security, namespace, request, "Revoked") == 200
                assert rolled_out(team, namespace, deployment) == 403
            assert all("LookupFailed" not in text for _, text in storm.failures)


def rolled_out(client, namespace, deployment):
    path = f"{APPS}/{namespace}/deployments"
    return decided_answer(
        lambda: client.post(path, params={"dryRun": "All"}, json=deployment)
    ).status_code


def review(client, namespace, request, verdict):
    path = f"{CABGATE}/{namespace}/cabrequests/{request}/status"
    body = {"status": {"review": {"verdict": verdict, "rationale": "looked at it"}}}
    headers = {"Content-Type": "application/merge-patch+json"}
    return decided_answer(lambda: client.patch(path, json=body, headers=headers)).status_code
