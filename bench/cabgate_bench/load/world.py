# SPDX-License-Identifier: Apache-2.0
"""The cluster that is measured."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call, Client, Outcome
from cabgate_bench.load.usage import Usage, usage_of
from cabgate_devcluster import DevCluster, Installation, Process, wait_until
from cabgate_devcluster.installed.chart import NAMESPACE, manifests

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager")
GATED = "bench"
"""A namespace of ring 2."""
_BARE = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    }
)
REQUESTS = "/apis/cabgate.dev/v1alpha1/namespaces/{}/cabrequests"
"""Where the requests of a namespace are."""

WRITERS = 32
"""Connections that objects are written over."""


class World:
    """A control plane, cabgate on it, and a client of each for the load."""

    def __init__(self, cluster: DevCluster, program: Path) -> None:
        self.cluster = cluster
        self.program = program
        self.installation = Installation(cluster)
        self._ca = cluster.directory / "bench-ca.crt"
        self._ca.write_bytes(cluster.ca_pem)
        self.admin = self.client("admin", cluster.admin)
        self.anybody = Client(self._ca)

    def client(self, name: str, kubeconfig: Path) -> Client:
        """Who a kubeconfig with a client certificate is of, for the load."""
        user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
        pair = []
        for part in ("client-certificate-data", "client-key-data"):
            path = self.cluster.directory / f"bench-{name}-{part}.pem"
            path.touch(mode=0o600)
            path.write_bytes(base64.b64decode(user[part]))
            pair.append(path)
        return Client(self._ca, pair[0], pair[1], http2=True)

    def install_bare(self) -> None:
        """CRDs, roles and a signing key; no admission of any kind, no processes."""
        kubectl = self.cluster.kubectl
        wanted = [each for each in manifests() if each["kind"] in _BARE]
        definitions = [each for each in wanted if each["kind"] == "CustomResourceDefinition"]
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        for items in ([namespace, *definitions], [e for e in wanted if e not in definitions]):
            body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            kubectl("apply", "-f", "-", stdin=body)
            kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        self.installation.add_signing_key()
        self.installation.add_proof()

    def namespaces(self, names: Sequence[str]) -> None:
        """Make namespaces of ring 2."""
        made = [
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"cabgate.dev/ring": "2"}},
            }
            for name in names
        ]
        self.write("POST", [("/api/v1/namespaces", body) for body in made])

    def write(self, method: str, bodies: Sequence[tuple[str, dict[str, Any]]]) -> Outcome:
        """Send each body to its path once, as the admin; all must be taken."""
        calls = [
            Call(method, self.cluster.server + path, json.dumps(body)) for path, body in bodies
        ]
        found = loadgen.run(self.program, self.admin, calls, workers=WRITERS, once=True)
        if found.failed or found.sent != len(calls):
            raise RuntimeError(f"writing failed: {found.statuses} {found.errors} {found.samples}")
        return found

    def write_statuses(
        self, statuses: Sequence[tuple[dict[str, Any], dict[str, Any]]], *, again: bool = False
    ) -> None:
        """Put a status into each request, as the admin. `again` says that an entry may be there
        already, which cannot be changed."""
        header = {"Content-Type": "application/merge-patch+json"}
        calls = []
        for request, status in statuses:
            meta = request["metadata"]
            path = f"{REQUESTS.format(meta['namespace'])}/{meta['name']}/status"
            body = json.dumps({"status": status})
            calls.append(Call("PATCH", self.cluster.server + path, body, header))
        found = loadgen.run(self.program, self.admin, calls, workers=16, once=True)
        taken = {"200", "422"} if again else {"200"}
        if found.errors or set(found.statuses) - taken:
            raise RuntimeError(f"writing failed: {found.statuses} {found.errors} {found.samples}")

    def usage(self) -> dict[str, Usage]:
        """What each process has used so far."""
        found: dict[str, Process | None] = {
            "webhook": self.installation.webhook,
            "operator": self.installation.operator,
            **{name: self.cluster.component(name) for name in COMPONENTS},
        }
        return {
            name: usage_of(process)
            for name, process in found.items()
            if process is not None and process.running
        }

    def count(self, resource: str) -> int:
        """How many objects of a resource of ours there are."""
        path = f"/apis/cabgate.dev/v1alpha1/{resource}?limit=1"
        meta = json.loads(self.cluster.kubectl("get", "--raw", path).stdout)
        remaining = meta["metadata"].get("remainingItemCount", 0)
        return len(meta["items"]) + int(remaining)

    def gate(self, on: bool) -> None:
        """Have the API server ask the webhook, or not; returns once it does so."""
        if self._is_denied() is on:
            return
        if on:
            self.installation.configure_admission()
        else:
            self.installation.remove_admission()
        what = f"the API server asks the webhook{'' if on else ' no more'}"
        wait_until(lambda: self._is_denied() is on, what)

    def policies(self, on: bool) -> None:
        """Have the API server obey cabgate's admission policies, or not; returns once it does."""
        if self._is_guarded() is on:
            return
        if on:
            self.installation.apply_objects()
        else:
            for kind in ("validating", "mutating"):
                self.cluster.kubectl("delete", f"{kind}admissionpolicybinding", "--all")
        what = f"the API server obeys the policies{'' if on else ' no more'}"
        wait_until(lambda: self._is_guarded() is on, what)

    def _is_denied(self) -> bool:
        """Whether a rollout that nobody asked for is denied by the webhook."""
        probe = ("create", "deployment", "unasked", "--image=unasked", "--dry-run=server")
        found = self.cluster.kubectl(*probe, "-n", GATED, check=False)
        return "NoRequest" in found.stderr

    def _is_guarded(self) -> bool:
        """Whether a policy keeps a ring from being malformed."""
        probe = ("label", "namespace", GATED, "cabgate.dev/ring=malformed", "--overwrite")
        found = self.cluster.kubectl(*probe, "--dry-run=server", check=False)
        return "rings.cabgate.dev" in found.stderr


def now() -> str:
    """The time, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
