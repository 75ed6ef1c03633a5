# SPDX-License-Identifier: Apache-2.0
"""Namespaces of a ring that the API server has seen.

It selects by the labels that have reached its cache: a moment after `kubectl label` the ring of
before may still count.
"""

from cabgate_devcluster import DevClusterError, wait_until
from cabgate_samples.objects import workload

RING = "cabgate.dev/ring"
GATED = ("2", "3", "4")


def create_namespace(cluster, name, ring="2", **labels):
    """Make a namespace that has its labels from its first moment on; no ring if it is None."""
    given = {f"cabgate.dev/{key}": value for key, value in labels.items()}
    metadata = {"name": name, "labels": given if ring is None else {RING: ring, **given}}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    cluster.api.call("POST", "/api/v1/namespaces", body)


def label_namespace(cluster, name, label, value):
    """Give a namespace a label, or take it away if the value is None."""
    patch = {"metadata": {"labels": {label: value}}}
    kind = "application/merge-patch+json"
    cluster.api.call("PATCH", f"/api/v1/namespaces/{name}", patch, content_type=kind)


def set_ring(cluster, name, ring=None):
    """Give a namespace a ring, or take it away; return once the API server gates it so. For a
    cluster in mode Enforce, whether its webhook lives or not."""
    label_namespace(cluster, name, RING, ring)
    probe = workload(name, name="ring-probe", images=["nobody-approved:1"])
    path = f"{cluster.api.path('deployments', name)}?dryRun=All"

    def seen():
        try:
            cluster.api.call("POST", path, probe)
        except DevClusterError:
            return ring in GATED
        return ring not in GATED

    wait_until(seen, timeout=60.0, what=f"the API server has seen ring {ring} of {name}")
