# SPDX-License-Identifier: Apache-2.0
"""A tool that comes to apply an intent after its request was opened: the request does not say so,
and where the intent itself is read people are told to edit it in Git all the same."""

import json

from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, workload
from support.cli import cabgate
from support.gate import denial

IN_GIT = "edit DeploymentIntent web in Git, from where Flux applies it"
BY_HAND = "kubectl edit deploymentintent web -n {}"


def test_explain_and_the_condition_name_git(gate, namespace, tmp_path):
    name = gate.open(namespace, MIDDLING, "Submitted")
    label = "kustomize.toolkit.fluxcd.io/name=shop"
    gate.kubectl("requester", "label", "deploymentintent", "web", "-n", namespace, label)
    request = gate.get("cabrequest", name, namespace)
    assert "appliedBy" not in request["spec"]["intentRef"]

    manifest = tmp_path / "web.json"
    other = json.dumps(workload(namespace, images=["web:other"]))
    manifest.write_text(other)
    # The gate reads requests alone.
    denied = denial(gate.refused("requester", "create", "-f", "-", stdin=other))
    assert denied.endswith(BY_HAND.format(namespace))
    explained = cabgate(gate, "requester", f"explain -f {manifest}", 1).stdout
    assert explained.rstrip().endswith(IN_GIT)

    gate.review("reviewer", "cabrequest", name, namespace, "Rejected")

    def ready():
        status = gate.get("deploymentintent", "web", namespace)["status"]
        found = [c for c in status["conditions"] if c["type"] == "Ready"]
        return found[0] if found and found[0]["reason"] == "Rejected" else None

    assert wait_until(ready, "the intent says that it was rejected")["message"].endswith(IN_GIT)
