# SPDX-License-Identifier: Apache-2.0
"""Workloads with as many annotations and containers as the API server takes: what is no rollout
passes with the webhook hung, whatever it costs to compare them."""

import itertools
import string

from cabgate_samples.objects import workload
from support.clients import client_of
from support.gate import paused
from support.namespaces import set_ring

RESTARTED = "kubectl.kubernetes.io/restartedAt"
MERGE = {"Content-Type": "application/merge-patch+json"}
ALPHABET = string.ascii_lowercase + string.digits


def annotations(count):
    """So many annotations, with the shortest names: all together may take 256 KiB."""
    words = (itertools.product(ALPHABET, repeat=length) for length in (3, 4))
    names = map("".join, itertools.chain(*words))
    return dict.fromkeys(itertools.islice(names, count), "")


def test_what_is_no_rollout_passes_whatever_the_number_of_annotations(gate, namespace):
    """Of a kind that no controller copies, in dry runs: it is the one write that counts."""
    set_ring(gate.cluster, namespace)
    made = workload(namespace, kind="ReplicaSet")
    made["spec"]["replicas"] = 0
    made["spec"]["template"]["metadata"]["annotations"] = annotations(46_000)
    made["metadata"]["finalizers"] = ["example.com/wait"]
    with client_of(gate.user("requester")) as team:
        path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
        assert team.post(path, json=made, timeout=120.0).status_code == 201
        set_ring(gate.cluster, namespace, "3")
        with paused(gate.installation.webhook):
            for body in ({"spec": {"replicas": 4}}, {"metadata": {"finalizers": None}}):
                sent = {"params": {"dryRun": "All"}, "json": body, "headers": MERGE}
                found = team.patch(f"{path}/web", timeout=120.0, **sent)
                assert found.status_code == 200, found.text[:500]


def test_a_restart_with_as_many_annotations_as_are_compared_passes(gate, namespace):
    set_ring(gate.cluster, namespace)
    made = workload(namespace)
    made["spec"]["template"]["metadata"]["annotations"] = annotations(1_900)
    gate.create("requester", made)
    set_ring(gate.cluster, namespace, "3")
    restart = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "now"}}}}}
    with paused(gate.installation.webhook):
        gate.patch("requester", "deployment", "web", namespace, restart)
        hidden = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "n", "aaa": "x"}}}}}
        found = gate.patch("requester", "deployment", "web", namespace, hidden, check=False)
    assert "failed calling webhook" in found.stderr


def test_a_pod_with_many_containers_loses_its_finalizer(gate, namespace):
    set_ring(gate.cluster, namespace)
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [{"name": f"c{n}", "image": f"i:{n}"} for n in range(2000)]},
    }
    made["metadata"]["finalizers"] = ["example.com/wait"]
    gate.create("requester", made)
    set_ring(gate.cluster, namespace, "3")
    with paused(gate.installation.webhook):
        gate.patch("requester", "pod", "web", namespace, {"metadata": {"finalizers": None}})
