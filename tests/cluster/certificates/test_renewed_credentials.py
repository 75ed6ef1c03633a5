# SPDX-License-Identifier: Apache-2.0
"""The operator in a Pod goes on, without a restart, when the kubelet renews its token and the API
server gets another CA."""

import ssl
import sys
import urllib.request
from pathlib import Path

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_devcluster.clients.pki import Authority
from cabgate_devcluster.installed.chart import NAMESPACE
from cabgate_samples.objects import GOOD
from support.pod import account_folder, in_pod, put, why_no_pod
from support.proxy import ApiProxy

BOUND = "bound-to-this"


@pytest.fixture
def bound_token(gate):
    """A token of the operator that ends with a Secret."""
    kubectl = gate.cluster.kubectl
    kubectl("create", "secret", "generic", BOUND, "-n", NAMESPACE)
    made = kubectl(
        *("create", "token", "cabgate-operator", "-n", NAMESPACE),
        *("--bound-object-kind=Secret", f"--bound-object-name={BOUND}"),
    )
    yield made.stdout.strip()
    kubectl("delete", "secret", BOUND, "-n", NAMESPACE, "--ignore-not-found")


class InPod:
    """The operator by the service account of its Pod, by way of a proxy."""

    def __init__(self, gate, folder, token):
        self._cluster = gate.cluster
        self._port = gate.cluster.free_port()
        self._token = token
        self.folder = folder
        self.proxy = ApiProxy(gate.cluster)

    def __enter__(self):
        self.proxy.__enter__()
        account_folder(self.folder, self._token, self._cluster.ca_pem.decode())
        program = [sys.executable, "-m", "cabgate_operator.main"]
        options = [f"--health-port={self._port}", "--sweep-seconds=3600"]
        self.process = self._cluster.spawn(
            "in-pod",
            in_pod(self.folder, f"127.0.0.1:{self.proxy.port}", [*program, *options]),
            cwd=Path("/"),
        )
        wait_until(lambda: "cabgate_leader 1.0" in self.get("/metrics"), "it leads")
        wait_until(self.is_well, "it is well")
        return self

    def __exit__(self, *_):
        self.process.stop()
        self.proxy.__exit__()

    def get(self, path):
        """The text of a page; empty where there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}") as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def is_well(self):
        """Whether it is live and ready."""
        return self.get("/healthz") == self.get("/readyz") == "ok\n"


@pytest.fixture
def in_the_pod(gate, bound_token, tmp_path):
    """It leads; the session's operator is back at the end."""
    why_not = why_no_pod(tmp_path)
    if why_not:
        pytest.skip(why_not)
    gate.installation.operator.stop()
    try:
        with InPod(gate, tmp_path / "account", bound_token) as running:
            yield running
    finally:
        gate.installation.start_operator()


def has_ended(gate, token):
    """Whether the API server does not know a token any more."""
    trust = ssl.create_default_context(cadata=gate.cluster.ca_pem.decode())
    url = f"{gate.cluster.server}/api/v1/namespaces"
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(url, headers=headers, verify=trust, timeout=60).status_code == 401


def cut(proxy):
    """Break every watch off, once they run."""
    wait_until(proxy.all_watched, timeout=60.0, what="it watches")
    assert proxy.cut_watches() > 0


def test_a_renewed_token_and_another_ca_are_taken_up_without_a_restart(
    gate, namespace, in_the_pod, bound_token
):
    gate.open(namespace, GOOD, "AutoApproved", name="before")
    account = in_the_pod.folder

    put(account / "token", gate.cluster.service_account_token(NAMESPACE, "cabgate-operator"))
    gate.cluster.kubectl("delete", "secret", BOUND, "-n", NAMESPACE)
    wait_until(lambda: has_ended(gate, bound_token), "the first token is over")
    cut(in_the_pod.proxy)
    wait_until(in_the_pod.is_well, "it is well with the new token")
    gate.open(namespace, GOOD, "AutoApproved", name="after-the-token")

    other = Authority("another")
    in_the_pod.proxy.serve(other.server("proxy"))
    put(account / "ca.crt", other.cert_pem.decode())
    cut(in_the_pod.proxy)
    wait_until(in_the_pod.is_well, "it is well with the new CA")
    for name in ("after-the-ca", "by-a-watch"):
        gate.open(namespace, GOOD, "AutoApproved", name=name)

    assert in_the_pod.process.running
    assert "cabgate_leader 1.0" in in_the_pod.get("/metrics")
    log = in_the_pod.process.log.read_text()
    assert log.count("loaded a new CA of the API server") == 1
    assert "lost leadership" not in log
