# SPDX-License-Identifier: Apache-2.0
"""A canary with the real controller of Argo Rollouts: what it makes in its own name passes, what
nobody approved does not, and neither promotion, abort, restart nor scaling meets the gate.

`make test-gitops`, which builds the controller."""

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent, target
from support.argo_rollouts import ACCOUNT, canary, missing, start
from support.gate import install
from support.kubelet import Kubelet

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.xdist_group("argo-rollouts"),
]

ROLLOUTS = "rollouts.argoproj.io"


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running, Kubelet(running):
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    return install(cluster, controllers=[ACCOUNT])


@pytest.fixture(scope="module")
def controller(gate, tmp_path_factory):
    return start(gate.cluster, tmp_path_factory.mktemp("argo-rollouts"))


@pytest.fixture
def team(controller, gate, namespace):
    """A namespace in which ann has all rights, and web:1 runs, approved by its score."""
    gate.bind("ann", "cluster-admin", namespace)
    declare(gate, namespace, "web:1", GOOD)
    gate.request_of(namespace, state="AutoApproved")
    gate.create("ann", canary(namespace, "web:1"))
    wait_until(lambda: stable(gate, namespace, "web:1"), "the first release runs")
    return namespace


def declare(gate, namespace, image, evidence):
    targets = [target([image], kind="Rollout", api_version="argoproj.io/v1alpha1")]
    gate.apply("requester", intent(namespace, evidence=evidence, targets=targets))


def set_image(gate, namespace, image, user="ann", **options):
    body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}
    return gate.patch(user, ROLLOUTS, "web", namespace, body, **options)


def running(gate, namespace):
    """How many Pods run each image."""
    found = {}
    for pod in gate.items("pods", namespace):
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
            [container] = pod["spec"]["containers"]
            found[container["image"]] = found.get(container["image"], 0) + 1
    return found


def stable(gate, namespace, image):
    """Whether all Pods run an image, and the Rollout calls itself healthy with it."""
    status = gate.get(ROLLOUTS, "web", namespace).get("status", {})
    return running(gate, namespace) == {image: 2} and status.get("phase") == "Healthy"


def halfway(gate, namespace):
    """Whether one Pod of each release runs, and the Rollout waits for its promotion."""
    status = gate.get(ROLLOUTS, "web", namespace).get("status", {})
    return running(gate, namespace) == {"web:1": 1, "web:2": 1} and status.get("phase") == "Paused"


def approved_canary(gate, namespace):
    """web:2, waited for, approved and rolled out to half of the Pods."""
    declare(gate, namespace, "web:2", MIDDLING)

    def waits():
        found = gate.request_of(namespace)
        return found if found.get("status", {}).get("state") == "Submitted" else None

    name = wait_until(waits, "web:2 waits for a person")["metadata"]["name"]
    refused = set_image(gate, namespace, "web:2", check=False)
    assert "ReviewPending: Rollout web" in refused.stderr, refused.stderr
    assert running(gate, namespace) == {"web:1": 2}
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    set_image(gate, namespace, "web:2")
    wait_until(lambda: halfway(gate, namespace), "half of the Pods run web:2")
    return name


def promote(gate, namespace):
    """What `kubectl argo rollouts promote` sends."""
    body = {"status": {"pauseConditions": None}}
    gate.patch_status("ann", ROLLOUTS, "web", namespace, body, check=True)


def test_a_canary_waits_for_its_approval_and_then_goes_to_its_end(gate, team):
    approved_canary(gate, team)
    promote(gate, team)
    wait_until(lambda: stable(gate, team, "web:2"), "web:2 runs everywhere")


def test_an_aborted_canary_goes_back_and_so_does_its_spec(gate, team):
    approved_canary(gate, team)
    body = {"status": {"abort": True}}
    gate.patch_status("ann", ROLLOUTS, "web", team, body, check=True)
    wait_until(lambda: running(gate, team) == {"web:1": 2}, "the release of before runs alone")
    set_image(gate, team, "web:1")  # it was approved: no new request
    wait_until(lambda: stable(gate, team, "web:1"), "the Rollout is healthy again")


def test_nothing_of_ours_is_asked_about_scaling_restart_and_promotion(gate, team):
    """With the webhook dead in the middle of a canary."""
    approved_canary(gate, team)
    gate.installation.webhook.kill()
    try:
        gate.patch("ann", ROLLOUTS, "web", team, {"spec": {"replicas": 4}})
        wait_until(lambda: sum(running(gate, team).values()) == 4, "four Pods run")
        before = {pod["metadata"]["name"] for pod in gate.items("pods", team)}
        gate.patch("ann", ROLLOUTS, "web", team, {"spec": {"restartAt": "2026-01-01T00:00:00Z"}})
        promote(gate, team)
        wait_until(lambda: running(gate, team) == {"web:2": 4}, "web:2 runs everywhere")
        assert before != {pod["metadata"]["name"] for pod in gate.items("pods", team)}
        gate.kubectl("ann", "delete", ROLLOUTS, "web", "-n", team)
        wait_until(lambda: not gate.items("pods", team), "it is deleted with its Pods")
    finally:
        gate.installation.start_webhook()


def test_a_replicaset_of_somebody_else_is_no_part_of_the_canary(gate, team):
    """A way around: a ReplicaSet that claims the Rollout as its owner."""
    owner = gate.get(ROLLOUTS, "web", team)["metadata"]
    reference = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
                 "uid": owner["uid"], "controller": True}  # fmt: skip
    body = canary(team, "evil:1")
    body |= {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
    body["metadata"] = {"name": "web-evil", "namespace": team, "ownerReferences": [reference]}
    del body["spec"]["strategy"]
    refused = gate.create("ann", body, check=False)
    assert refused.returncode != 0
    assert "denied the request" in refused.stderr, refused.stderr
