# SPDX-License-Identifier: Apache-2.0
"""A kind that a cluster operator has gated, and a controller that they have listed: by the chart's
values, as docs/coverage.md tells them to."""

import copy
import json

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import intent, target
from support.cli import cabgate
from support.gate import install
from support.gated import ROLLOUT_CRD, gated, template

CONTROLLER = "system:serviceaccount:kruise-system:kruise-manager"
GATED = {"group": "apps.kruise.io", "kind": "CloneSet", "resource": "clonesets",
         "paths": ["spec.template"]}  # fmt: skip
CLONE_SET = {"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet"}


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    made = install(cluster, gatedKinds=[GATED], controllers=[CONTROLLER])
    definition = copy.deepcopy(ROLLOUT_CRD)
    definition["metadata"]["name"] = "clonesets.apps.kruise.io"
    definition["spec"]["group"] = "apps.kruise.io"
    definition["spec"]["names"] = {"kind": "CloneSet", "plural": "clonesets",
                                   "singular": "cloneset"}  # fmt: skip
    old, new = (copy.deepcopy(definition["spec"]["versions"][0]) for _ in range(2))
    new |= {"name": "v1beta1", "storage": False}
    definition["spec"]["versions"] = [old, new]
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(definition))
    cluster.kubectl("wait", "--for=condition=Established", "crd/clonesets.apps.kruise.io")
    cluster.kubectl("create", "namespace", "kruise-system")
    cluster.kubectl("create", "serviceaccount", "kruise-manager", "-n", "kruise-system")
    return made


@pytest.fixture
def team(gate, namespace):
    gate.bind("mallory", "cluster-admin", namespace)
    gate.bind(CONTROLLER, "cluster-admin", namespace)
    evil = clone_set(namespace, "evil:1")

    def denied():
        result = gate.create("mallory", evil, "--dry-run=server", check=False)
        return "NoRequest: " in result.stderr

    wait_until(denied, timeout=60.0, what="it is gated, and the rights are there")
    return namespace


def creates(gate, user, obj, *args):
    return gate.create(user, obj, *args, check=False).returncode == 0


def clone_set(namespace, image, name="web"):
    return {**CLONE_SET, "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": 1, "template": template([image])}}  # fmt: skip


def test_a_configured_kind_is_gated_in_every_version(gate, team):
    for version in ("v1alpha1", "v1beta1"):
        obj = clone_set(team, "evil:1") | {"apiVersion": f"apps.kruise.io/{version}"}
        message = gate.create("mallory", obj, check=False).stderr
        assert "NoRequest: CloneSet web in namespace" in message
    named = target(["good:1"], kind="CloneSet", api_version="apps.kruise.io/v1alpha1")
    gate.apply("admin", intent(team, targets=[named]))
    gate.request_of(team, state="AutoApproved", timeout=60)
    assert creates(gate, "mallory", clone_set(team, "good:1"))
    change = {"spec": {"template": template(["evil:1"])}}
    result = gate.patch("mallory", "cloneset", "web", team, change, check=False)
    assert "ImagesNotCovered: " in result.stderr
    gate.installation.webhook.pause()
    try:
        gate.patch("mallory", "cloneset", "web", team, {"spec": {"replicas": 3}})
        gate.kubectl("mallory", "delete", "cloneset", "web", "-n", team)
    finally:
        gate.installation.webhook.resume()


def test_a_listed_controller_makes_pods_and_no_workloads(gate, team):
    assert creates(gate, CONTROLLER, gated("Pod", team, "made", ("any:1",)))
    assert not creates(gate, "mallory", gated("Pod", team, "other", ("any:1",)))
    assert not creates(gate, CONTROLLER, gated("Deployment", team, "made", ("any:1",)))


def test_a_controller_that_is_not_listed_is_named_with_the_value_it_is_missing_in(gate, team):
    maker = f"system:serviceaccount:{team}:maker"
    gate.cluster.kubectl("create", "serviceaccount", "maker", "-n", team)
    gate.bind(maker, "cluster-admin", team)
    named = target(["good:1"], kind="CloneSet", api_version="apps.kruise.io/v1alpha1")
    gate.apply("admin", intent(team, targets=[named]))
    gate.request_of(team, state="AutoApproved")
    assert creates(gate, "mallory", clone_set(team, "good:1"))
    owner = gate.get("cloneset", "web", team)
    pod = gated("Pod", team, "web-abcde", ("good:1",))
    pod["metadata"]["ownerReferences"] = [
        {**CLONE_SET, "name": "web", "uid": owner["metadata"]["uid"], "controller": True}
    ]
    message = gate.create(maker, pod, check=False).stderr
    assert "NoRequest: Pod web-abcde" in message
    assert f'controllers: ["{maker}"]' in message


def test_a_debug_image_is_approved_for_what_made_the_pod(gate, team):
    """Of a configured kind, and of Jobs under generated names: approved once, for each Pod."""
    targets = [
        target(["good:1", "busybox:1"], kind="CloneSet", api_version="apps.kruise.io/v1alpha1"),
        target(["good:1", "busybox:1"], "train-*", kind="Job", api_version="batch/v1"),
    ]
    gate.apply("admin", intent(team, targets=targets))
    gate.request_of(team, state="AutoApproved")
    assert creates(gate, "mallory", clone_set(team, "good:1"))
    clones = gate.get("cloneset", "web", team)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "train-", "namespace": team},
        "spec": {"template": template(["good:1"])},
    }
    job["spec"]["template"].pop("metadata", None)
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    assert creates(gate, "mallory", job)

    def of_job():
        found = gate.items("pods", team)
        return next((each for each in found if each["metadata"].get("ownerReferences")), None)

    made = gated("Pod", team, "clone", ("good:1",))
    owner = {"apiVersion": CLONE_SET["apiVersion"], "kind": "CloneSet", "name": "web"}
    owner |= {"uid": clones["metadata"]["uid"], "controller": True}
    made["metadata"]["ownerReferences"] = [owner]
    trained = wait_until(of_job, "the Job's Pod")["metadata"]["name"]
    assert creates(gate, CONTROLLER, made)
    for pod in (trained, "clone"):
        for image, status in (("busybox:1", 200), ("evil:1", 403)):
            name = image.replace(":", "-")
            answer = gate.client("mallory").patch(
                gate.cluster.api.path("pods", team) + f"/{pod}/ephemeralcontainers",
                content=json.dumps(
                    {"spec": {"ephemeralContainers": [{"name": name, "image": image}]}}
                ),
                headers={"Content-Type": "application/strategic-merge-patch+json"},
            )
            assert answer.status_code == status, (pod, image, answer.text)


def test_the_command_line_knows_it_untold(gate, team, tmp_path):
    path = tmp_path / "clone-set.json"
    path.write_text(json.dumps(clone_set(team, "evil:1")))
    explained = cabgate(gate, "mallory", f"explain -f {path}", 1)
    assert "NoRequest: CloneSet web in namespace" in explained.stdout
    by_name = cabgate(gate, "mallory", f"explain {team}/cloneset/absent", 4)
    assert "cloneset/absent" in by_name.stderr
