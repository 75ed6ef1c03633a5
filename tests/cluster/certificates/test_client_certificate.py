# SPDX-License-Identifier: Apache-2.0
"""With `--client-ca` the webhook serves the API server, which shows its certificate, and nobody
else."""

import http.client
import json
import ssl

import pytest
import yaml

from cabgate_devcluster import DevCluster
from cabgate_devcluster.clients.pki import Authority
from cabgate_samples.objects import GOOD, workload
from support.gate import denial, install
from support.namespaces import create_namespace

CALLERS = Authority("who may call webhooks")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("admission")
    identity = CALLERS.client("kube-apiserver")
    identity.write(folder / "client.crt", folder / "client.key")
    user = {"client-certificate": str(folder / "client.crt")}
    user["client-key"] = str(folder / "client.key")
    kubeconfig = folder / "webhooks.kubeconfig"
    users = [{"name": "*", "user": user}]
    kubeconfig.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "users": users}))
    version = "apiserver.config.k8s.io/v1"
    plugins = [
        {
            "name": name,
            "configuration": {
                "apiVersion": version,
                "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": str(kubeconfig),
            },
        }
        for name in ("ValidatingAdmissionWebhook", "MutatingAdmissionWebhook")
    ]
    config = folder / "admission.yaml"
    body = {"apiVersion": version, "kind": "AdmissionConfiguration", "plugins": plugins}
    config.write_text(yaml.safe_dump(body))
    with DevCluster(apiserver_args=[f"--admission-control-config-file={config}"]) as running:
        yield running


def test_only_the_api_server_is_served(cluster):
    gate = install(cluster)
    ca = cluster.directory / "callers.crt"
    ca.write_bytes(CALLERS.cert_pem)
    gate.installation.webhook.stop()
    gate.installation.start_webhook(client_ca=ca)
    create_namespace(cluster, "shop")
    gate.open("shop", GOOD, "AutoApproved")
    gate.create("requester", workload("shop"), "--dry-run=server")
    other = gate.create(
        "requester", workload("shop", images=["evil:1"]), "--dry-run=server", check=False
    )
    assert denial(other).startswith("ImagesNotCovered: ")
    trust = ssl.create_default_context(cadata=cluster.ca_pem.decode())
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(gate.installation.webhook_port, trust)
    CALLERS.client("somebody").write(
        cluster.directory / "somebody.crt", cluster.directory / "somebody.key"
    )
    trust.load_cert_chain(cluster.directory / "somebody.crt", cluster.directory / "somebody.key")
    assert ask(gate.installation.webhook_port, trust) == 400


def ask(port, context):
    """Status of a call to the webhook itself."""
    client = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
    try:
        client.request("POST", "/validate", body=json.dumps({}))
        return client.getresponse().status
    finally:
        client.close()
