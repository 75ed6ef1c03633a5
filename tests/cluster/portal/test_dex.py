# SPDX-License-Identifier: Apache-2.0
"""Signing in to the page with the real Dex, by its form and with a password, in a real browser; the
API server trusts it: `make test-login`, which builds it."""

import base64
import secrets

import httpx
import pytest
import yaml

from cabgate_devcluster import DevCluster, locate_program, program_at_hand, wait_until
from cabgate_devcluster.clients.pki import Authority
from cabgate_samples.objects import MIDDLING
from support.browser import approve, chromium
from support.gate import install
from support.namespaces import create_namespace
from support.portal import UNLIMITED, Portal
from support.reviews import decisions

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not program_at_hand("dex"), reason="dex is not built: make test-login"),
]

SHOP = "shop"
SECRET = "a secret of the client, 50 % of it + more/="
RITA = "rita@example.com"
PASSWORD = "password"
HASH = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"
"""Of that password, from Dex's own example."""


class Dex:
    """A Dex that knows rita, and the clients of some redirect URIs."""

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        self.address = f"127.0.0.1:{cluster.free_port()}"
        self.url = f"https://{self.address}/dex"
        authority = Authority("dex CA")
        self.ca = folder / "dex-ca.crt"
        self.ca.write_bytes(authority.cert_pem)
        authority.server("dex").write(folder / "dex.crt", folder / "dex.key")

    def start(self, clients):
        """Run it; `clients` are redirect URIs by id."""
        configuration = {
            "issuer": self.url,
            "storage": {"type": "memory"},
            "web": {
                "https": self.address,
                "tlsCert": f"{self.folder}/dex.crt",
                "tlsKey": f"{self.folder}/dex.key",
            },
            "oauth2": {"skipApprovalScreen": True},
            "enablePasswordDB": True,
            "staticPasswords": [
                {"email": RITA, "hash": HASH, "username": "rita", "userID": "08a8684b"}
            ],
            "staticClients": [
                {"id": each, "secret": SECRET, "name": each, "redirectURIs": [uri]}
                for each, uri in clients.items()
            ],
        }
        path = self.folder / "dex.yaml"
        path.write_text(yaml.safe_dump(configuration))
        process = self.cluster.spawn("dex", [locate_program("dex"), "serve", path])

        def serves():
            assert process.returncode is None, process.log.read_text()
            try:
                url = f"{self.url}/.well-known/openid-configuration"
                return httpx.get(url, verify=False).status_code == 200  # noqa: S501
            except httpx.TransportError:
                return False

        wait_until(serves, "Dex serves")

    def authentication(self):
        """What has an API server trust it."""
        issuer = {
            "url": self.url,
            "audiences": ["cabgate"],
            "certificateAuthority": self.ca.read_text(),
        }
        mappings = {"username": {"claim": "email", "prefix": "oidc:"}}
        return yaml.safe_dump(
            {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "AuthenticationConfiguration",
                "jwt": [{"issuer": issuer, "claimMappings": mappings}],
            }
        )


def page_of(cluster, dex, folder, client):
    """A portal with the page, for a client of Dex."""
    (folder / "cookie-keys").write_bytes(base64.b64encode(secrets.token_bytes(32)))
    (folder / "client-secret").write_text(SECRET)
    pair = cluster.serving_certificate("portal")
    return Portal(
        *(cluster, *UNLIMITED, "--certificate", str(pair.cert), "--key", str(pair.key)),
        page=lambda url: (
            *("--page-url", url, "--oidc-issuer", dex.url, "--oidc-client-id", client),
            *("--oidc-client-secret-file", f"{folder}/client-secret"),
            *("--cookie-key-file", f"{folder}/cookie-keys", "--oidc-ca", str(dex.ca)),
        ),
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A gate, and pages of two clients of Dex, of which the API server takes the tokens of one."""
    folder = tmp_path_factory.mktemp("dex")
    configuration = folder / "authentication.yaml"
    configuration.write_text(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt: []\n"
    )
    with DevCluster(apiserver_args=[f"--authentication-config={configuration}"]) as cluster:
        dex = Dex(cluster, folder)
        pages = {
            client: page_of(cluster, dex, folder, client) for client in ("cabgate", "elsewhere")
        }
        dex.start({client: f"{page.page}/oidc/callback" for client, page in pages.items()})
        # The API server reads it again while it runs.
        configuration.write_text(dex.authentication())
        gate = install(cluster)
        create_namespace(cluster, SHOP)
        gate.bind("requester", "cabgate-requester", SHOP)
        gate.bind(f"oidc:{RITA}", "cabgate-cab-member", SHOP)
        yield gate, pages


def sign_in(tab, page, path):
    """Open a page, and sign in by Dex's own form."""
    tab.set_default_timeout(60_000)
    tab.goto(f"{page.page}{path}")
    tab.get_by_role("link", name="Sign in").click()
    tab.locator("input[name=login]").fill(RITA)
    tab.locator("input[name=password]").fill(PASSWORD)
    with tab.expect_navigation():
        tab.locator("button[type=submit]").click()


def test_rita_signs_in_with_dex_and_decides(running):
    gate, pages = running
    name = gate.open(SHOP, MIDDLING, "Submitted", name="checkout", images=("checkout:1",))
    path = f"/requests/{SHOP}.{name}"
    with chromium() as browser:

        def signed_in():
            """In a browser of its own; the API server takes a while to have the issuer's keys."""
            context = browser.new_context(ignore_https_errors=True)
            tab = context.new_page()
            sign_in(tab, pages["cabgate"], path)
            tab.wait_for_load_state()
            if tab.get_by_text("the API server does not take the token").count():
                context.close()
                return None
            return tab

        tab = wait_until(signed_in, "the API server takes a token of Dex", timeout=180)
        tab.wait_for_url(f"{pages['cabgate'].page}{path}")
        assert f"oidc:{RITA}" in tab.inner_text("header")
        approve(tab, "Read the report")
    assert decisions(gate, name, SHOP) == [("Approved", f"oidc:{RITA}")]
    assert "eyJ" not in pages["cabgate"].output


def test_a_token_of_another_client_of_dex_signs_nobody_in(running):
    _, pages = running
    with chromium() as browser:
        context = browser.new_context(ignore_https_errors=True)
        tab = context.new_page()
        sign_in(tab, pages["elsewhere"], "/queue")
        tab.get_by_text("the API server does not take the token").wait_for()
        assert context.cookies(pages["elsewhere"].page) == []
        context.close()
