# SPDX-License-Identifier: Apache-2.0
"""A kind that a cluster operator has gated, and a controller that they have listed: by the chart's
values, as docs/coverage.md tells them to."""

import copy
import json

import pytest

from cabgate_devcluster import DevCluster, wait_until
from support.gate import install
from support.gated import ROLLOUT_CRD, gated, template
from support.objects import intent, target

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
