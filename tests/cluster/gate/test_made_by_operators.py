# SPDX-License-Identifier: Apache-2.0
"""Deployments that an operator makes of an object of its own: what docs/limits.md says of names
that stay and names that change."""

import pytest

from cabgate_samples.objects import GOOD, intent, target
from support.gate import denial
from support.gated import gated


@pytest.fixture
def maker(gate, namespace):
    """The account of such an operator; it is not among the chart's `controllers`."""
    gate.cluster.kubectl("create", "serviceaccount", "maker", "-n", namespace)
    user = f"system:serviceaccount:{namespace}:maker"
    gate.bind(user, "edit", namespace)
    return user


@pytest.fixture
def made(gate, namespace):
    """A Deployment as it makes it, with its owner; the owner stands for an object of its kind."""
    gate.kubectl("admin", "create", "configmap", "web", "-n", namespace)
    uid = gate.get("configmap", "web", namespace)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "web", "uid": uid, "controller": True}

    def make(image, name="web", place=namespace):
        obj = gated("Deployment", place, name, (image,))
        obj["metadata"]["ownerReferences"] = [owner]
        return obj

    return make


def test_under_a_name_that_stays_it_is_a_target_like_any_other(gate, namespace, maker, made):
    """The operator tries again, as operators do, and passes after the approval."""
    denied = gate.create(maker, made("web:1"), check=False)
    assert denial(denied).startswith("NoRequest: Deployment web ")
    gate.open(namespace, GOOD, "AutoApproved", targets=[target(["web:1"])])
    gate.create(maker, made("web:1"))
    assert denial(gate.apply(maker, made("web:2"), check=False)).startswith("ImagesNotCovered: ")
    gate.open(namespace, GOOD, "AutoApproved", targets=[target(["web:2"])])
    gate.apply(maker, made("web:2"))


def test_under_a_new_name_it_needs_a_namespace_that_is_not_gated(
    gate, namespace, make_namespace, maker, made
):
    gate.open(namespace, GOOD, "AutoApproved", targets=[target(["web:1"])])
    denied = gate.create(maker, made("web:1", "web-5d8f7"), check=False)
    assert denial(denied).startswith("NoRequest: Deployment web-5d8f7 ")
    prefix = intent(namespace, name="prefix", targets=[target(["web:1"], "web-*")])
    refused = denial(gate.apply("requester", prefix, check=False))
    assert refused.startswith("TargetNotGated: spec.targets[0].name: ")
    beside = make_namespace("1")
    gate.bind(maker, "edit", beside)
    gate.create(maker, made("web:1", "web-5d8f7", beside))
