# SPDX-License-Identifier: Apache-2.0
"""cabgate itself on a local cluster: what the chart makes applied, its two processes running."""

import base64
import secrets
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cabgate_devcluster.clients.pki import write_private
from cabgate_devcluster.cluster import DevCluster
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.chart import NAMESPACE, Document, arguments, manifests
from cabgate_devcluster.processes.process import Process
from cabgate_devcluster.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
"""The checkout that this package stands in: where the manifests are."""

OPERATOR_ARGV = (sys.executable, "-m", "cabgate_operator.main")
WEBHOOK_ARGV = (sys.executable, "-m", "cabgate_webhook.main")

ENFORCE = "Enforce"

PROBE = "cabgate-probe"
"""Namespace that shows whether the API server asks the webhooks: ring 2, and nothing is in it."""

_PROBE_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "probe"}
_PROBE_WORKLOAD: Document = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "probe", "namespace": PROBE},
    "spec": {
        "selector": {"matchLabels": {"app": "probe"}},
        "template": {
            "metadata": {"labels": {"app": "probe"}},
            "spec": {"containers": [{"name": "probe", "image": "probe"}]},
        },
    },
}
_PROBE_INTENT: Document = {
    "apiVersion": "cabgate.dev/v1alpha1",
    "kind": "DeploymentIntent",
    "metadata": {"name": "probe", "namespace": PROBE},
    "spec": {"targets": [{**_PROBE_TARGET, "images": ["probe"]}]},
}

_IDLE = frozenset({"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"})
"""Kinds that nothing would act on here: there is no scheduler, no kubelet and no network."""

_ADMISSION = frozenset({"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"})


class Installation:
    """cabgate on a local cluster: what `install` made, and the processes of operator and webhook.

    The processes run beside the API server, not in Pods, under the tokens of their own service
    accounts; the webhook is reached by its URL. They end with the cluster. `values` are those of
    the chart, as it comes if there are none.
    """

    def __init__(self, cluster: DevCluster, values: Mapping[str, Any] | None = None) -> None:
        self.cluster = cluster
        self.values: dict[str, Any] = dict(values or {})
        """What the chart is rendered with from now on."""
        self.operator: Process | None = None
        self.webhook: Process | None = None
        self.webhook_port = cluster.free_port()
        self.webhook_health_port = cluster.free_port()
        self.operator_health_port = cluster.free_port()
        self._serving = cluster.serving_certificate("webhook")
        self._public_keys: dict[str, str] = {}
        self.signing_key = cluster.directory / "signing-key.pem"
        """The webhook's private keys: what a Secret holds elsewhere."""
        self.admission_proof = cluster.directory / "admission-proof"
        """By what the webhook knows the API server; a Secret holds it as well."""

    def install(self) -> None:
        """Apply what the chart makes, start both processes, and return once rollouts are gated."""
        self.apply_objects()
        self.add_signing_key()
        self.add_proof()
        with ThreadPoolExecutor() as pool:  # a start is seconds of imports: both at once
            started = [pool.submit(self.start_webhook), pool.submit(self.start_operator)]
        for each in started:
            each.result()
        self.configure_admission()
        self.wait_until_gating()

    @property
    def mode(self) -> str:
        """The cluster's mode: Enforce, Warn or Audit."""
        return str(self.values.get("mode", ENFORCE))

    def arguments(self, component: str) -> list[str]:
        """What the chart gives operator or webhook on their command line."""
        return arguments(self.values, component)

    def apply_objects(self, prefix: str = "") -> None:
        """Apply what the chart makes but the webhook configurations, or only the objects whose
        names begin so."""
        cluster = self.cluster
        documents = [
            document
            for document in manifests(self.values)
            if document["kind"] not in _IDLE | _ADMISSION
            and document["metadata"]["name"].startswith(prefix)
        ]
        definitions = [each for each in documents if each["kind"] == "CustomResourceDefinition"]
        if not prefix:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            self._apply([namespace, *definitions])
            cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        self._apply([each for each in documents if each not in definitions])

    def add_signing_key(self) -> str:
        """Make a key that the webhook signs with from its next start on; the public half goes
        beside those of its predecessors. Returns its name in the ConfigMap."""
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        older = self.signing_key.read_bytes() if self.signing_key.exists() else b""
        write_private(self.signing_key, private + older)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._public_keys[f"{len(self._public_keys) + 1}.pem"] = public.decode()
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cabgate-signing-keys", "namespace": NAMESPACE},
            "data": self._public_keys,
        }
        self.cluster.api.apply(config_map)
        return f"{len(self._public_keys)}.pem"

    def add_proof(self) -> None:
        """Make the value by which the webhook knows the API server."""
        token = secrets.token_hex(32)
        write_private(self.admission_proof, token.encode())
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cabgate-admission-proof", "namespace": NAMESPACE},
            "stringData": {"token": token},
        }
        self.cluster.api.apply(secret)

    def start_operator(
        self, argv: Sequence[str] = OPERATOR_ARGV, options: Sequence[str] = ()
    ) -> None:
        """Start the operator with the options that the chart gives it, and further ones; returns
        when it is ready. Another program in its place, by `argv`, gets only the further ones."""
        rendered = self.arguments("operator") if tuple(argv) == OPERATOR_ARGV else []
        # Here the certificate comes from elsewhere.
        rendered = [each for each in rendered if each != "--manage-certificates"]
        if rendered:
            rendered.append("--host=127.0.0.1")
        words = [*argv, *rendered, *options]
        self.operator = self.start_operator_replica("operator", self.operator_health_port, words)

    def start_operator_replica(
        self, name: str, port: int, argv: Sequence[str], kubeconfig: Path | None = None
    ) -> Process:
        """Start one more operator, its health on a port; returns when it is ready."""
        found = kubeconfig or self.cluster.service_account(NAMESPACE, "cabgate-operator")
        process = self.cluster.spawn(
            name, [*argv, "--health-port", str(port)], env={"KUBECONFIG": str(found)}
        )
        self._wait_ready(process, f"http://127.0.0.1:{port}/readyz")
        return process

    def operator_url(self, path: str) -> str:
        """Where the operator's own server answers."""
        return f"http://127.0.0.1:{self.operator_health_port}{path}"

    def start_webhook(self, argv: Sequence[str] = WEBHOOK_ARGV, **settings: object) -> None:
        """Start the webhook, with another program in its place if `argv` says so, and with other
        settings (`drain_seconds=3`); returns when it is ready."""
        cluster = self.cluster
        self.webhook = cluster.spawn(
            "webhook",
            [*argv, *self.webhook_options(**settings)],
            env={"KUBECONFIG": str(cluster.service_account(NAMESPACE, "cabgate-webhook"))},
        )
        self._wait_ready(self.webhook, f"http://127.0.0.1:{self.webhook_health_port}/readyz")

    def webhook_options(self, **settings: object) -> list[str]:
        """The command line that the chart gives a webhook, but for what is another here;
        `settings` are further ones, or other values."""
        values: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.webhook_port,
            "health_port": self.webhook_health_port,
            "certificate": self._serving.cert,
            "key": self._serving.key,
            "signing_key": self.signing_key,
            "admission_proof": self.admission_proof,
            # Nobody has to hear that it stops: there is one.
            "drain_seconds": 0,
            "log_format": "text",
        }
        given = {key.replace("_", "-"): value for key, value in (values | settings).items()}
        rendered = self.arguments("webhook")
        kept = [each for each in rendered if each[2:].partition("=")[0] not in given]
        return [*kept, *(f"--{key}={value}" for key, value in given.items())]

    def configure_admission(self) -> None:
        """Apply the webhook configurations, pointed at the process instead of a Service."""
        documents = [each for each in manifests(self.values) if each["kind"] in _ADMISSION]
        self._apply([self._pointed_here(document) for document in documents])

    def _apply(self, documents: list[Document]) -> None:
        for document in documents:
            self.cluster.api.apply(document)

    def remove_admission(self) -> None:
        """Delete the webhook configurations, as a cluster admin might."""
        for kind in ("validating", "mutating"):
            self.cluster.kubectl("delete", f"{kind}webhookconfiguration", "cabgate")

    def wait_until_gating(self) -> None:
        """Return once the API server asks both webhooks and obeys the policies: it takes up new
        admission configuration within a second or so."""
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            # Of whatever mode the cluster is: only a denial tells.
            "metadata": {
                "name": PROBE,
                "labels": {"cabgate.dev/ring": "2", "cabgate.dev/mode": ENFORCE},
            },
        }
        self.cluster.api.apply(namespace)
        wait_until(self._gates_rollouts, "the API server asks the validating webhook")
        wait_until(self._stamps_submitters, "the API server asks the mutating webhook")
        wait_until(self._guards_rings, "the API server obeys the policy of rings")

    def _gates_rollouts(self) -> bool:
        path = self.cluster.api.path("deployments", PROBE)
        return "NoRequest" in self._refusal("POST", path, _PROBE_WORKLOAD)

    def _stamps_submitters(self) -> bool:
        path = self.cluster.api.path("deploymentintents", PROBE)
        answer = self.cluster.api.call("POST", f"{path}?dryRun=All", _PROBE_INTENT)
        return bool(answer["spec"].get("submittedBy"))

    def _guards_rings(self) -> bool:
        ring = {"metadata": {"labels": {"cabgate.dev/ring": "malformed"}}}
        path = f"/api/v1/namespaces/{PROBE}"
        return "rings.cabgate.dev" in self._refusal("PATCH", path, ring)

    def _refusal(self, method: str, path: str, body: Document) -> str:
        """What the API server says against a write of the probe, tried in a dry run."""
        kind = "application/json" if method == "POST" else "application/merge-patch+json"
        try:
            self.cluster.api.call(method, f"{path}?dryRun=All", body, content_type=kind)
        except DevClusterError as error:
            return str(error)
        return ""

    def _pointed_here(self, configuration: Document) -> Document:
        bundle = base64.b64encode(self._serving.ca_pem).decode()
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            url = f"https://127.0.0.1:{self.webhook_port}{path}"
            webhook["clientConfig"] = {"url": url, "caBundle": bundle}
        return configuration

    def _wait_ready(self, process: Process, url: str) -> None:
        def ready() -> bool:
            if not process.running:
                return True
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback URL
                return bool(answer.status == 200)

        wait_until(ready, f"{process.name} is ready")
        if not process.running:
            tail = "\n".join(process.log.read_text().splitlines()[-10:])
            raise DevClusterError(f"{process.name} ended at its start, log {process.log}:\n{tail}")
