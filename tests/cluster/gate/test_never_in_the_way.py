# SPDX-License-Identifier: Apache-2.0
"""What the gate never stops, with its webhook healthy, hung and dead."""

import json
from datetime import UTC, datetime

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import intent, target
from support.always import prepare, rolled_out, stopped
from support.clients import client_of
from support.freezes import freeze, interval
from support.gate import install
from support.gated import KINDS, ROLLOUT_CRD, changed, gated, url
from support.policies import change_policy

STATES = ("healthy", "hung", "dead")


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own: its webhook is going to be broken."""
    with DevCluster() as running:
        running.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    made = install(cluster)
    cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")
    return made


@pytest.fixture(scope="module")
def admin(gate):
    with client_of(gate.user("admin")) as client:
        yield client


def gated_from_now(gate, admin, namespace):
    """Return once the API server gates a namespace that has just got its ring."""
    gate.cluster.kubectl("label", "namespace", namespace, "cabgate.dev/ring=2", "--overwrite")
    wait_until(lambda: rolled_out(admin, "Deployment", namespace).status_code == 403, "gated")


@pytest.fixture(params=STATES)
def breaks(request, gate):
    """Breaks the webhook as the parameter says; it is mended after the test."""
    installation = gate.installation

    def now():
        if request.param == "hung":
            installation.webhook.pause()
        if request.param == "dead":
            installation.webhook.kill()

    now.state = request.param
    yield now
    if request.param == "hung":
        installation.webhook.resume()
    if request.param == "dead":
        installation.start_webhook()


@pytest.fixture(scope="module")
def policy(gate):
    """A change policy that asks for much, and a freeze of all namespaces that name it."""
    gate.create("admin", change_policy("never", {"count": 3, "verb": "approve"}))
    always = freeze("never", interval(now=datetime.now(UTC)))
    gate.create("admin", always)
    return "never"


def test_every_write_that_is_no_rollout(gate, admin, make_namespace, breaks, policy):
    """In a namespace without rules of change, and in one with many."""
    namespaces = make_namespace(None), make_namespace(None)
    for namespace in namespaces:
        prepare(admin, namespace)
    words = ("namespace", namespaces[1], f"cabgate.dev/change-policy={policy}")
    gate.kubectl("admin", "label", *words)
    for namespace in namespaces:
        gated_from_now(gate, admin, namespace)
    breaks()
    for namespace in namespaces:
        assert stopped(admin, namespace) == []


@pytest.mark.parametrize("state", ["dead"])
def test_what_is_a_rollout_is_stopped_by_a_webhook_that_is_dead(gate, admin, make_namespace, state):
    namespace = make_namespace(None)
    prepare(admin, namespace)
    gated_from_now(gate, admin, namespace)
    gate.installation.webhook.kill()
    try:
        for kind in KINDS:
            if kind != "Job":
                answer = rolled_out(admin, kind, namespace)
                assert "failed calling webhook" in answer.text, (kind, answer.text)
            new = gated(kind, namespace, "new")
            answer = admin.post(url(kind, namespace), json=new, params={"dryRun": "All"})
            assert "failed calling webhook" in answer.text, (kind, answer.text)
    finally:
        gate.installation.start_webhook()


def test_what_controllers_do_with_what_was_admitted(gate, admin, make_namespace, breaks):
    namespace = make_namespace(None)
    prepare(admin, namespace)
    gated_from_now(gate, admin, namespace)
    breaks()

    def pods(owner):
        found = gate.items("pod", namespace)
        return [
            p for p in found if p["metadata"].get("ownerReferences", [{}])[0].get("kind") == owner
        ]

    for kind in ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"):
        gate.kubectl("admin", "scale", f"{kind.lower()}/web", "--replicas=1", "-n", namespace)
    for kind in ("Job", "CronJob"):
        gate.patch("admin", kind.lower(), "web", namespace, {"spec": {"suspend": False}})
    for owner in ("ReplicaSet", "StatefulSet", "ReplicationController", "Job"):
        wait_until(lambda owner=owner: pods(owner), f"Pods of a {owner}")
    gate.kubectl("admin", "rollout", "restart", "deployment/web", "-n", namespace)
    wait_until(
        lambda: len([r for r in gate.items("replicaset", namespace)
                     if r["metadata"].get("ownerReferences")]) == 2,
        "the ReplicaSet of the restart",
    )  # fmt: skip
    # A schedule that was missed is made up for at once; one that changes is looked at when it is
    # next due. So the schedule first: no need to wait for the next minute.
    gate.patch("admin", "cronjob", "web", namespace, {"spec": {"schedule": "* * * * *"}})
    past = {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
    gate.patch("admin", "cronjob", "web", namespace, past, "--subresource=status")
    wait_until(
        lambda: [j for j in gate.items("job", namespace) if j["metadata"].get("ownerReferences")],
        "the CronJob's Job", timeout=90,
    )  # fmt: skip
    pod = pods("StatefulSet")[0]["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": pod, "namespace": namespace}}  # fmt: skip
    answer = admin.post(f"{url('Pod', namespace, pod)}/eviction", json=eviction)
    assert answer.is_success, answer.text
    gate.kubectl("admin", "delete", "namespace", namespace, "--timeout=90s")


def test_autoscalers_and_the_scheduler(gate, admin, make_namespace, breaks):
    namespace = make_namespace(None)
    prepare(admin, namespace)
    gated_from_now(gate, admin, namespace)
    breaks()
    gate.kubectl("admin", "autoscale", "deployment/web", "--max=3", "-n", namespace)
    status = {"status": {"currentReplicas": 1, "desiredReplicas": 2}}
    gate.patch("admin", "hpa", "web", namespace, status, "--subresource=status")
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"},
               "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}}  # fmt: skip
    answer = admin.post(f"{url('Pod', namespace, 'web')}/binding", json=binding)
    assert answer.is_success, answer.text
    more = [{"op": "add", "path": "/spec/tolerations/-", "value": {"operator": "Exists"}}]
    gate.patch("admin", "pod", "web", namespace, more, kind="json")


@pytest.mark.parametrize("ring", ["0", "1", None])
def test_everything_in_rings_that_are_not_gated(gate, admin, make_namespace, breaks, ring):
    namespace = make_namespace(ring)
    breaks()
    prepare(admin, namespace)
    for kind in KINDS:
        if kind != "Job":
            answer = rolled_out(admin, kind, namespace)
            assert answer.is_success, (kind, answer.text)


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease",
                                       "cabgate-system"])  # fmt: skip
def test_everything_in_the_platforms_own_namespaces(gate, admin, namespace, breaks):
    gate.cluster.kubectl("label", "namespace", namespace, "cabgate.dev/ring=4", "--overwrite")
    breaks()
    for kind in KINDS:
        obj = gated(kind, namespace)
        # With a ring of its own too.
        obj["metadata"]["labels"]["cabgate.dev/ring"] = "4"
        answer = admin.post(url(kind, namespace), json=obj, params={"dryRun": "All"})
        assert answer.is_success, (kind, answer.text)


def test_the_installation_upgrade_and_removal_of_the_gate_itself(gate, cluster):
    gate.installation.webhook.kill()
    gate.installation.operator.kill()
    try:
        deployment = gated("Deployment", "cabgate-system", "cabgate-webhook", ("cabgate:2",))
        gate.apply("admin", deployment)
        body = changed("Deployment", containers=[{"name": "c0", "image": "cabgate:3"}])
        gate.patch("admin", "deployment", "cabgate-webhook", "cabgate-system", body)
        gate.installation.apply_objects()
        gate.installation.configure_admission()
        gate.installation.remove_admission()
        gate.kubectl("admin", "delete", "deployment", "cabgate-webhook", "-n", "cabgate-system")
    finally:
        gate.installation.start_webhook()
        gate.installation.start_operator()
        gate.installation.configure_admission()
        gate.installation.wait_until_gating()


def test_a_rollback_while_one_replica_lives(gate, admin, namespace):
    for number, image in enumerate(("web:1", "web:2", "web:3")):
        gate.apply("admin", intent(namespace, targets=[target([image])]))
        gate.request_of(namespace, state="AutoApproved", timeout=60)
        if number == 0:
            gate.create("admin", gated("Deployment", namespace, images=(image,)))
        else:
            gate.kubectl("admin", "set", "image", "deployment/web", f"c0={image}", "-n", namespace)
        wait_until(lambda n=number: len(gate.items("replicaset", namespace)) == n + 1, image)
    gate.installation.operator.kill()
    try:
        gate.kubectl("admin", "rollout", "undo", "deployment/web", "-n", namespace)
        gate.kubectl("admin", "rollout", "undo", "deployment/web", "--to-revision=1",
                     "-n", namespace)  # fmt: skip
        found = gate.get("deployment", "web", namespace)["spec"]["template"]["spec"]["containers"]
        assert [c["image"] for c in found] == ["web:1"]
    finally:
        gate.installation.start_operator()
