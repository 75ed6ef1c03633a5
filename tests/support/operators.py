# SPDX-License-Identifier: Apache-2.0
"""Several operators on one cluster: who leads, and how each one is."""

import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.installation import NAMESPACE, OPERATOR_ARGV
from support.proxy import ApiProxy

ENTRY = Path(__file__).with_name("operator_entry.py")
ENTRY_ARGV = (sys.executable, str(ENTRY))
"""The operator with the faults that a test asks for."""


class Replica:
    """One operator process, with a proxy of its own to the API server."""

    def __init__(self, gate, name, *options, argv=OPERATOR_ARGV):
        cluster = gate.cluster
        self.name = name
        self._gate = gate
        self._argv = [*argv, *options]
        self._port = cluster.free_port()
        self._original = cluster.service_account("cabgate-system", "cabgate-operator")
        self.proxy = ApiProxy(cluster)
        self.process = None

    def __enter__(self):
        self.proxy.__enter__()
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.running:
            self.process.resume()
            self.process.stop()
        self.proxy.__exit__()

    def start(self):
        """Start it (anew); returns when it is ready."""
        kubeconfig = self.proxy.kubeconfig(self._original, self.name)
        self.process = self._gate.installation.start_operator_replica(
            self.name, self._port, self._argv, kubeconfig
        )

    @property
    def url(self):
        """Where its health and metrics are."""
        return f"http://127.0.0.1:{self._port}"

    def get(self, path):
        """Status and text of one of its pages; 0 where there is none."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}{path}", timeout=10
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name):
        """The value of a metric without labels, or None."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return None if found is None else float(found.group(1))

    @property
    def leads(self):
        """Whether it says that it leads."""
        return self.metric("cabgate_leader") == 1.0

    def unhealthy(self, seconds=60.0):
        """What /healthz complains of, once it does."""

        def complains():
            status, text = self.get("/healthz")
            return text if status == 503 else None

        return wait_until(complains, f"{self.name} is not healthy", timeout=seconds)


def leader_of(replicas, seconds=60.0):
    """The replica that leads, once one does, and the seconds that it took."""
    begun = time.monotonic()
    found = wait_until(
        lambda: next((each for each in replicas if each.leads), None),
        "one of them leads",
        timeout=seconds,
    )
    return found, time.monotonic() - begun


def may_lead_by(gate, lease):
    """Let the operator's account lead by another Lease as well; its kubeconfig."""
    meta = {"name": lease, "namespace": NAMESPACE}
    rbac = "rbac.authorization.k8s.io"
    rule = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [lease],
        "verbs": ["get", "update"],
    }
    account = {"kind": "ServiceAccount", "name": "cabgate-operator", "namespace": NAMESPACE}
    role = {"apiGroup": rbac, "kind": "Role", "name": lease}
    for kind, group, more in (
        ("Lease", "coordination.k8s.io", {"spec": {}}),
        ("Role", rbac, {"rules": [rule]}),
        ("RoleBinding", rbac, {"roleRef": role, "subjects": [account]}),
    ):
        gate.create("admin", {"apiVersion": f"{group}/v1", "kind": kind, "metadata": meta, **more})
    return gate.cluster.service_account(NAMESPACE, "cabgate-operator")
