# SPDX-License-Identifier: Apache-2.0
"""Where the portal serves TLS, browsers are told to come by nothing else."""

import base64

import httpx
import pytest

from cabgate_devcluster.clients.pki import Authority
from cabgate_kube.process.settings import read_settings
from cabgate_portal.main import Process
from cabgate_portal.settings import PortalSettings

PATHS = ("/", "/api/cab/v1/pending", "/api/cab/v1/nothing", "/queue", "/static/page.css")


@pytest.fixture
def answers(tmp_path):
    """Makes the answers of a portal, with the page, to a browser that nobody knows."""
    authority = Authority("CA")
    ca, certificate, key = (tmp_path / name for name in ("ca.crt", "tls.crt", "tls.key"))
    ca.write_bytes(authority.cert_pem)
    authority.server("portal").write(certificate, key)
    keys = tmp_path / "cookie-keys"
    keys.write_bytes(base64.b64encode(b"k" * 32))
    given = [
        *("--api-server-ca", str(ca), "--page-url", "https://cab.example.com"),
        *("--oidc-issuer", "https://dex.example.com", "--oidc-client-id", "cabgate"),
        *("--cookie-key-file", str(keys)),
    ]

    async def made(*, tls):
        pair = ["--certificate", str(certificate), "--key", str(key)] if tls else []
        process = Process(read_settings(PortalSettings, [*given, *pair], "cabgate-portal"))
        transport = httpx.ASGITransport(process.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://cab.example.com"
        ) as client:
            return [await client.get(path) for path in PATHS]

    return made


async def test_every_answer_by_tls_says_so(answers):
    found = await answers(tls=True)
    assert {each.status_code for each in found} == {401, 404, 200}
    for each in found:
        assert each.headers["strict-transport-security"] == "max-age=31536000"
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers["cache-control"] == "no-store"


async def test_plain_http_says_nothing_that_browsers_had_to_keep(answers):
    for each in await answers(tls=False):
        assert "strict-transport-security" not in each.headers
