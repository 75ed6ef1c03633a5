# SPDX-License-Identifier: Apache-2.0
"""Namespaces of a ring that the API server has seen.

It selects by the labels that have reached its cache: a moment after `kubectl label` the ring of
before may still count.
"""

import json

from cabgate_devcluster import wait_until
from support.objects import workload

RING = "cabgate.dev/ring"
GATED = ("2", "3", "4")


def create_namespace(cluster, name, ring="2", **labels):
    """Make a namespace that has its labels from its first moment on; no ring if it is None."""
    given = {f"cabgate.dev/{key}": value for key, value in labels.items()}
    metadata = {"name": name, "labels": given if ring is None else {RING: ring, **given}}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    cluster.api.call("POST", "/api/v1/namespaces", body)


def set_ring(cluster, name, ring=None):
    """Give a namespace a ring, or take it away; return once the API server gates it so. For a
    cluster in mode Enforce, whether its webhook lives or not."""
    label = f"{RING}-" if ring is None else f"{RING}={ring}"
    cluster.kubectl("label", "namespace", name, label, "--overwrite")
    probe = json.dumps(workload(name, name="ring-probe", images=["nobody-approved:1"]))

    def seen():
        args = ("create", "-f", "-", "--dry-run=server")
        result = cluster.kubectl(*args, stdin=probe, check=False)
        return (result.returncode != 0) == (ring in GATED)

    wait_until(seen, timeout=60.0, what=f"the API server has seen ring {ring} of {name}")
