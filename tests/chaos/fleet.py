# SPDX-License-Identifier: Apache-2.0
"""cabgate as it runs in a cluster: two operators, and two webhooks behind a balancer, each with
a way of its own to the API server and a token that can be revoked. One of each logs to a full
disk."""

import contextlib
import json
import ssl
import sys
from pathlib import Path

import httpx

from cabgate_devcluster import Installation, wait_until
from cabgate_devcluster.installed.installation import NAMESPACE, WEBHOOK_ARGV
from support.balancer import Balancer
from support.gate import Gate
from support.operators import Replica
from support.tls import turn

OPERATOR_ARGV = (sys.executable, str(Path(__file__).with_name("operator_entry.py")))
LATER_ARGV = (sys.executable, "-m", "cabgate_demo.later")
"""The webhook on a clock that is ahead."""

ETCD_ARGS = ("--quota-backend-bytes=100663296",)
"""96 MiB: soon full, if somebody sets out to fill it."""

START_SECONDS = 60


def _on_a_full_disk(argv):
    """A program whose standard error goes where there is no space."""
    return ("sh", "-c", 'exec "$0" "$@" 2>/dev/full', *argv)


class Token:
    """The token of a service account in a folder, as the kubelet keeps it for a Pod, and as there
    it is good for as long as the Pod exists."""

    def __init__(self, cluster, name, account):
        self._cluster = cluster
        self._name = name
        self._account = account
        self._pods = 0
        self.folder = cluster.directory / "service-accounts" / name
        self.folder.parent.mkdir(exist_ok=True)

    @property
    def _pod(self):
        return f"{self._name}-{self._pods}"

    def renew(self):
        """Write a new token into the file."""
        self._pods += 1
        spec = {
            "serviceAccountName": self._account,
            "containers": [{"name": "main", "image": "none"}],
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self._pod, "namespace": NAMESPACE},
            "spec": spec,
        }
        self._cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        made = self._cluster.kubectl(
            *("create", "token", self._account, "-n", NAMESPACE, "--duration=24h"),
            *("--bound-object-kind=Pod", f"--bound-object-name={self._pod}"),
        )
        token = made.stdout.strip().encode()
        turn(self.folder, {"token": token, "ca.crt": self._cluster.ca_pem})

    def revoke(self):
        """Make the API server refuse the token that is in the file."""
        self._cluster.kubectl(
            *("delete", "pod", self._pod, "-n", NAMESPACE, "--grace-period=0", "--force")
        )

    def refused(self):
        """Whether the API server refuses what is in the file; it remembers a good one for 10 s."""
        headers = {"Authorization": f"Bearer {(self.folder / 'token').read_text()}"}
        trust = ssl.create_default_context(cadata=self._cluster.ca_pem.decode())
        url = f"{self._cluster.server}/version"
        return httpx.get(url, headers=headers, verify=trust, timeout=60).status_code == 401


class Member(Replica):
    """One process of cabgate. It starts as in a Pod: nobody waits until it is ready."""

    def __init__(self, gate, name, account, argv):
        super().__init__(gate, name, argv=argv)
        self.cluster = gate.cluster
        self.health_port = self._port
        self.token = Token(gate.cluster, name, account)

    def __enter__(self):
        self.token.renew()
        return super().__enter__()

    def start(self):
        self.process = self.cluster.spawn(self.name, self.command(), env=self.environment())

    def kill(self):
        """SIGKILL."""
        self.process.kill()


class Operator(Member):
    """An operator, with the credentials of a Pod."""

    def __init__(self, gate, name, argv=OPERATOR_ARGV):
        super().__init__(gate, name, "cabgate-operator", argv)

    def command(self):
        return [*self._argv, "--sweep-seconds=20", f"--health-port={self.health_port}"]

    def environment(self):
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.proxy.port),
            "CHAOS_SERVICE_ACCOUNT": str(self.token.folder),
        }


class Webhook(Member):
    """A webhook, with a kubeconfig that names the file of its token."""

    def __init__(self, gate, name, argv=WEBHOOK_ARGV):
        super().__init__(gate, name, "cabgate-webhook", argv)
        self.port = gate.cluster.free_port()
        self.days_ahead = 0
        """How far its clock is ahead, from its next start on."""

    def command(self):
        options = self._gate.installation.webhook_options(
            port=self.port, health_port=self.health_port, drain_seconds=1, log_format="json"
        )
        return [*(LATER_ARGV if self.days_ahead else self._argv), *options]

    def environment(self):
        config = self.proxy.kubeconfig(self._original, self.name)
        document = json.loads(config.read_text())
        document["users"][0]["user"] = {"tokenFile": str(self.token.folder / "token")}
        config.write_text(json.dumps(document))
        days = {"DEMO_DAYS_AHEAD": str(self.days_ahead)} if self.days_ahead else {}
        return {"KUBECONFIG": str(config), **days}


class Fleet(Installation):
    """Two operators and two webhooks on a cluster; a context manager."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self.gate = Gate(cluster, self)
        self.operators = []
        self.webhooks = []
        self.balancer = None
        self._stack = contextlib.ExitStack()

    @property
    def members(self):
        """Every process of cabgate."""
        return [*self.operators, *self.webhooks]

    def __enter__(self):
        self.apply_objects()
        self.add_signing_key()
        self.add_proof()
        # Not earlier: their service accounts have to be there.
        self.operators = [
            Operator(self.gate, "operator-a"),
            Operator(self.gate, "operator-b", _on_a_full_disk(OPERATOR_ARGV)),
        ]
        self.webhooks = [
            Webhook(self.gate, "webhook-a"),
            Webhook(self.gate, "webhook-b", _on_a_full_disk(WEBHOOK_ARGV)),
        ]
        backends = [(each.port, each.health_port) for each in self.webhooks]
        self.balancer = Balancer(self.webhook_port, backends)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.balancer)
            for each in self.members:
                stack.enter_context(each)
            self.wait_ready()
            self.configure_admission()
            self.wait_until_gating()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def wait_ready(self):
        """Return once everything is ready, and the balancer knows it."""
        wait_until(lambda: not self.unready(), "every process is ready", timeout=START_SECONDS)

    def unready(self):
        """What is not as it should be of the processes, as text."""
        found = [
            f"{each.name} has ended by itself with {each.process.returncode}"
            for each in self.members
            if not each.process.running
        ]
        for each in self.members:
            status, text = each.get("/readyz")
            if status != 200:
                found.append(f"{each.name} is not ready: {text.strip()}")
        if len(self.balancer.ready) != len(self.webhooks):
            found.append("the balancer does not pass on to both webhooks")
        return found
