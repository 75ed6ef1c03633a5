# SPDX-License-Identifier: Apache-2.0
"""cabgate as Prometheus sees it: a webhook and two operators, each behind a proxy of its own."""

from datetime import UTC, datetime

from cabgate_devcluster import Installation, people
from cabgate_devcluster.clients.pki import KeyPair, ServingCertificate
from cabgate_devcluster.installed.installation import NAMESPACE, WEBHOOK_ARGV
from cabgate_kube.tls.issue import make_authority, sign_leaf
from cabgate_kube.tls.rotate import Times
from support.gate import Gate
from support.operators import Replica
from support.prometheus import probe, scrape
from support.proxy import ApiProxy

# A sweep ends between any two scrapes, as in ten minutes of an installed operator.
OPTIONS = ("--sweep-seconds", "1")


class Monitored(Installation):
    """The webhook's certificate is as the operator makes them, with its usual time."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self._serving = _certificate(cluster.directory / "usual-certificate")
        self.proxy = ApiProxy(cluster)
        """The webhook's way to the API server."""
        self.gate = Gate(cluster, self)
        self.operators = []

    def __enter__(self):
        self.proxy.__enter__()
        self.install()
        people.bind(self.cluster)
        return self

    def __exit__(self, *_):
        self.webhook.stop()
        self.proxy.__exit__()
        for replica in self.operators:
            replica.__exit__()

    def start_operator(self, *_args, **_options):
        """Start two."""
        self.operators = [Replica(self.gate, name, *OPTIONS) for name in ("one", "two")]
        for replica in self.operators:
            replica.__enter__()

    def start_webhook(self, *_args, **settings):
        """Start it behind its proxy."""
        account = self.cluster.service_account(NAMESPACE, "cabgate-webhook")
        self.webhook = self.cluster.spawn(
            "webhook",
            [*WEBHOOK_ARGV, *self.webhook_options(**settings)],
            env={"KUBECONFIG": str(self.proxy.kubeconfig(account, "webhook"))},
        )
        self._wait_ready(self.webhook, f"{self.webhook_url}/readyz")

    @property
    def webhook_url(self):
        """Where its health and metrics are."""
        return f"http://127.0.0.1:{self.webhook_health_port}"

    def scrape(self, *, operators=None):
        """Ask each that runs, operators given by name alone or all of them; the kubelet has just
        asked too."""
        pods = {}
        if self.webhook.running:
            probe(self.webhook_url)
            pods["cabgate-webhook-0"] = self.webhook_url
        for replica in self.operators:
            named = operators is None or replica.name in operators
            if named and replica.process.running:
                pods[f"cabgate-operator-{replica.name}"] = replica.url
        return scrape(pods)


def _certificate(folder):
    now, times = datetime.now(UTC), Times()
    authority, authority_key = make_authority(now, times.authority)
    names = ("127.0.0.1", "localhost")
    certificate, key = sign_leaf(authority, authority_key, names, now, times.leaf)
    folder.mkdir()
    made = ServingCertificate(folder / "tls.crt", folder / "tls.key", authority.encode())
    KeyPair(certificate.encode(), key.encode()).write(made.cert, made.key)
    return made
