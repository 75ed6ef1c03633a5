# SPDX-License-Identifier: Apache-2.0
"""cabgate as it runs in a cluster: certificates of its own making, two webhooks behind a balancer,
Secrets in folders that follow them."""

import base64
import contextlib
import json
import re
import sys
import threading
import urllib.request
from pathlib import Path

from cabgate_devcluster import Installation, people, wait_until
from cabgate_devcluster.installed.installation import NAMESPACE, WEBHOOK_ARGV
from support.balancer import Balancer
from support.gate import Gate
from support.tls import turn

ENTRY = Path(__file__).with_name("rotation_entry.py")

TIMES = {"settle": 2, "overlap": 15}
"""Seconds that a new CA is trusted before it signs, and the old one after."""


class Mounts:
    """Does what kubelets do: keeps folders as Secrets are, a symlink turned at each change."""

    def __init__(self, cluster, folders):
        self._cluster = cluster
        self._folders = folders
        self._seen = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._ended.set()
        self._thread.join(60)

    def _run(self):
        while not self._ended.wait(0.5):
            for secret, folder in self._folders.items():
                with contextlib.suppress(Exception):
                    self._look(secret, folder)

    def _look(self, secret, folder):
        data = read_secret(self._cluster, secret)
        if data and data != self._seen.get(secret):
            self._seen[secret] = data
            turn(folder, data)


def read_secret(cluster, name):
    """The content of a Secret of the gate, as bytes; empty if there is none."""
    secrets = cluster.api.items("secrets", NAMESPACE)
    data = next((each.get("data", {}) for each in secrets if each["metadata"]["name"] == name), {})
    return {key: base64.b64decode(value) for key, value in data.items()}


class Replicas(Installation):
    """Two webhooks behind a balancer, and one or more operators that manage their certificates."""

    def __init__(self, cluster, operators=1):
        super().__init__(cluster)
        self.managers = [cluster.free_port() for _ in range(operators)]
        """Ports of /readyz of the operators."""
        self.operators = {}
        self.times = TIMES
        """Times of the certificates, for operators that are started from now on."""
        self._more = ()
        self.backends = [(cluster.free_port(), cluster.free_port()) for _ in range(2)]
        self.balancer = Balancer(self.webhook_port, self.backends)
        self.processes = {}
        self._mounted = False
        self._tls = cluster.directory / "mounts" / "tls"
        self._signing = cluster.directory / "mounts" / "signing"
        self._tls.parent.mkdir()
        self._proof = cluster.directory / "mounts" / "proof"
        self.mounted = {
            "cabgate-webhook-tls": self._tls,
            "cabgate-signing-key": self._signing,
            "cabgate-admission-proof": self._proof,
        }
        """Folders by the Secret that they follow."""
        self._mounts = Mounts(cluster, self.mounted)

    def install(self):
        """As somebody would who has nothing but the chart."""
        self.apply_objects()
        self.configure_admission()
        self.start_managing()
        self.run_webhooks()
        self.wait_until_gating()

    def run_webhooks(self):
        """Start webhooks and balancer once the Secrets are there, as Pods wait for them."""
        if not self._mounted:
            self._mounts.start()
            wanted = (
                self._tls / "tls.crt",
                self._signing / "key.pem",
                self._proof / "token",
            )
            wait_until(lambda: all(path.exists() for path in wanted), "the Secrets are mounted")
            self.balancer.__enter__()
            self._mounted = True
        for backend in self.backends:
            self.start_replica(backend)

    def stop_all(self):
        """End operators and webhooks."""
        self.stop_managing()
        for process in self.processes.values():
            process.kill()

    def start_managing(self, *more):
        """Start the operators, with further options."""
        self._more = more
        for port in self.managers:
            self.start_manager(port)
        self.operator = self.operators[self.managers[0]]

    def start_manager(self, port):
        """Start one of the operators; returns once it is ready."""
        words = self.operator_words()
        self.operators[port] = self.start_operator_replica(f"operator-{port}", port, words)

    def operator_words(self):
        """Program and arguments of an operator, but for the port."""
        options = ["--manage-certificates", "--webhook-name=127.0.0.1", *self._more]
        return [sys.executable, str(ENTRY), json.dumps(self.times), *options]

    def stop_manager(self, port):
        """End one of the operators as a kubelet does; its exit code once it has ended."""
        process = self.operators[port]
        process.stop(timeout=30)
        return process.returncode

    def stop_managing(self):
        """End all operators."""
        for port in self.operators:
            self.stop_manager(port)

    def leading(self):
        """The port of the operator that leads; None if none says so."""
        return next((port for port in self.managers if _leads(port)), None)

    def start_replica(self, backend, argv=WEBHOOK_ARGV):
        """Start one of the webhooks, or another program in its place; returns once the balancer
        sends connections there."""
        port, _ = backend
        kubeconfig = self.cluster.service_account(NAMESPACE, "cabgate-webhook")
        self.processes[backend] = self.cluster.spawn(
            f"webhook-{port}",
            self.webhook_words(backend, argv),
            env={"KUBECONFIG": str(kubeconfig)},
        )
        wait_until(lambda: port in self.balancer.ready, f"the webhook on {port} is ready")

    def webhook_words(self, backend, argv):
        """Program and arguments of one of the webhooks."""
        port, health_port = backend
        options = self.webhook_options(
            port=port,
            health_port=health_port,
            certificate=self._tls / "tls.crt",
            key=self._tls / "tls.key",
            signing_key=self._signing / "key.pem",
            admission_proof=self._proof / "token",
            drain_seconds=3,
            log_format="json",
        )
        return [*argv, *options]

    def stop_replica(self, backend):
        """End one of the webhooks as a kubelet does; its exit code once it has ended."""
        process = self.processes[backend]
        process.stop(timeout=30)
        return process.returncode

    def close(self):
        """End what is not a process of the cluster's."""
        if not self._mounted:
            return
        self._mounts.stop()
        for process in self.processes.values():
            process.kill()  # nobody waits for what they would answer yet
        self.balancer.__exit__()

    def _pointed_here(self, configuration):
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            url = f"https://127.0.0.1:{self.webhook_port}{path}"
            webhook["clientConfig"] = {"url": url}
        return configuration


def _leads(port):
    url = f"http://127.0.0.1:{port}/metrics"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
        return re.search(rb"^cabgate_leader 1\.0$", answer.read(), re.MULTILINE) is not None
    return False


@contextlib.contextmanager
def running(cluster, operators=1):
    """cabgate with two webhooks and so many operators, its users bound everywhere."""
    installation = Replicas(cluster, operators)
    installation.install()
    people.bind(cluster)
    try:
        yield Gate(cluster, installation)
    finally:
        installation.close()
