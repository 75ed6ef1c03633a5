# SPDX-License-Identifier: Apache-2.0
"""The real portal beside a real API server, and calls to both with the same tokens."""

import itertools
import json
import sys

import httpx
import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, intent, target
from support.clients import client_of, decided_answer
from support.namespaces import create_namespace

ARGV = (sys.executable, "-m", "cabgate_portal.main")
UNLIMITED = ("--calls-per-second", "10000")

PEOPLE = {
    "tess": ("cabgate-requester",),
    "rita": ("cabgate-cab-member",),
    "sam": ("cabgate-security-reviewer",),
    "vera": ("view",),
    "nobody": (),
}
"""Who has a token, and the roles in each namespace of a test."""

ROBOT = "robot"
"""A service account that is bound as CAB member and security reviewer: a machine all the same."""

ROBOTS = "robots"
"""Its namespace."""

_numbers = itertools.count(1)


class Portal:
    """A portal that runs on a cluster; `server` is what it takes for the API server, `page` makes
    the options of a page at a URL, of the name localhost."""

    def __init__(self, cluster, *options, server=None, argv=ARGV, page=None):
        self._cluster = cluster
        self._argv = argv
        ca = cluster.directory / "portal-ca.crt"
        ca.write_bytes(cluster.ca_pem)
        self.port, self._health = cluster.free_port(), cluster.free_port()
        scheme = "https" if "--certificate" in options else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.page = f"https://localhost:{self.port}"
        self._options = [
            *("--api-server", server or cluster.server, "--api-server-ca", str(ca)),
            *("--port", str(self.port), "--health-port", str(self._health)),
            *("--health-host", "127.0.0.1", "--drain-seconds", "0"),
            *options,
            *(page(self.page) if page else ()),
        ]
        self.start()

    def start(self):
        """Start it; returns when it is ready."""
        argv = [*self._argv, *self._options]
        self.process = self._cluster.spawn(f"portal-{self.port}", argv)
        wait_until(self._ready, "the portal is ready")

    def _ready(self):
        try:
            return self.health("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def health(self, path):
        """A page of its health port."""
        return httpx.get(f"http://127.0.0.1:{self._health}{path}", timeout=30)

    @property
    def output(self):
        """All that it has logged, and its metrics."""
        return self.process.log.read_text() + self.health("/metrics").text

    def client(self, token, **options):
        """A client with a token."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(
            base_url=f"{self.url}/api/cab/v1", headers=headers, timeout=120, **options
        )


class People:
    """A client of a portal, and one of the API server, for each person's token."""

    def __init__(self, gate, portal, tokens):
        self.gate, self.portal, self.tokens = gate, portal, tokens
        self._clients = {who: portal.client(token) for who, token in tokens.items()}
        self._direct = {who: self._client(token) for who, token in tokens.items()}

    def _client(self, token):
        kubeconfig = yaml.safe_load(self.gate.user("admin").read_text())
        kubeconfig["users"][0]["user"] = {"token": token}
        path = self.gate.cluster.directory / f"token-{next(_numbers)}.yaml"
        path.write_text(yaml.safe_dump(kubeconfig))
        return client_of(path)

    def __call__(self, who, method, path, body=None, **options):
        """The portal's answer; made anew for as long as nothing is decided."""
        return decided_answer(lambda: self.once(who, method, path, body, **options))

    def once(self, who, method, path, body=None, **options):
        """The portal's answer to one call, whatever it is."""
        return self._clients[who].request(method, path, json=body, **options)

    def direct(self, who, method, path, body=None, kind="application/merge-patch+json", **params):
        """The API server's answer to the same person."""
        given = {
            "content": None if body is None else json.dumps(body),
            "headers": {"Content-Type": kind},
            "params": params,
        }
        return decided_answer(lambda: self._direct[who].request(method, path, **given))

    def shop(self):
        """A new namespace in which everybody has their roles."""
        name = f"portal-{next(_numbers)}"
        create_namespace(self.gate.cluster, name)
        for who, roles in PEOPLE.items():
            for role in roles:
                self.gate.bind(who, role, name)
        for role in ("cabgate-cab-member", "cabgate-security-reviewer"):
            self.gate.bind(f"system:serviceaccount:{ROBOTS}:{ROBOT}", role, name)
        return name

    def submitted(self, shop, evidence=MIDDLING, name="web", state="Submitted"):
        """Id and digest of the request of an intent for a workload of its name that tess has
        submitted by the portal: those that name one workload have a budget."""
        targets = [target([f"{name}:1"], name)]
        body = intent(shop, name=name, evidence=evidence, targets=targets)
        answer = self("tess", "POST", "/submit", body)
        assert answer.status_code == 201, answer.text
        self.gate.request_of(shop, name, state)
        found = self("tess", "GET", f"/status?namespace={shop}&intent={name}").json()
        assert found["state"] == state
        return found["id"], found["evidenceDigest"]

    def close(self):
        """Close all connections."""
        for client in (*self._clients.values(), *self._direct.values()):
            client.close()
