# SPDX-License-Identifier: Apache-2.0
"""No image comes to run in a gated namespace that no approval names: every kind, every way."""

import json

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import intent
from support.clients import client_of
from support.gated import ROLLOUT_CRD, pod_spec, url
from support.matrix import ADMIN, BEFORE, MACHINE, NAMESAKE, ROWS, USER, base, send, targets

NAMESPACE = "matrix"
EVERYTHING = "matrix-everything"
PER_INTENT = 20


@pytest.fixture(scope="module")
def clients(gate, cluster):
    """What each row needs, and a client for each identity, all of whom RBAC lets do anything."""
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")
    cluster.kubectl("create", "namespace", NAMESPACE)
    accounts = {MACHINE: f"system:serviceaccount:{NAMESPACE}:robot",
                NAMESAKE: f"system:serviceaccount:{NAMESPACE}:replicaset-controller"}  # fmt: skip
    for name in ("robot", "replicaset-controller"):
        cluster.kubectl("create", "serviceaccount", name, "-n", NAMESPACE)
    users = {USER: "mallory", **accounts}
    for user in users.values():
        gate.bind(user, "cluster-admin", NAMESPACE)
    with client_of(gate.user("admin")) as admin:
        for row in ROWS:
            if row.exists:
                made = admin.post(url(row.kind, NAMESPACE), json=base(row, NAMESPACE))
                assert made.status_code == 201, (str(row), made.text)
        cluster.kubectl("label", "namespace", NAMESPACE, "cabgate.dev/ring=2")
        for number, some in enumerate(_batched(targets(), PER_INTENT)):
            name = f"matrix-{number}"
            gate.apply("admin", intent(NAMESPACE, name=name, targets=list(some)))
            gate.request_of(NAMESPACE, name, state="AutoApproved")
        # The label of the namespace reaches the API server's selectors a moment later.
        wait_until(lambda: send(admin, ROWS[0], NAMESPACE).status_code == 403, "it is gated")
        found = {who: client_of(gate.user(user)) for who, user in users.items()}
        yield {**found, ADMIN: admin}
        for client in found.values():
            client.close()
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _batched(items, size):
    return (items[start : start + size] for start in range(0, len(items), size))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_an_approval_names_passes_and_nothing_else(clients, row):
    answer = send(clients[row.who], row, NAMESPACE)
    if row.covered:
        assert answer.is_success, answer.text
        return
    message = answer.json()["message"]
    assert answer.status_code == 403, answer.text
    assert 'webhook "rollouts.cabgate.dev" denied the request: ' in message
    reason = message.split("denied the request: ")[1].split(":")[0]
    assert reason in ("NoRequest", "ImagesNotCovered"), message
    stored = clients[ADMIN].get(url(row.kind, NAMESPACE, row.name))
    if row.exists:
        assert [c["image"] for c in pod_spec(row.kind, stored.json())["containers"]] == [BEFORE]
    else:
        assert stored.status_code == 404
