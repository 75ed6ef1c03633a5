# SPDX-License-Identifier: Apache-2.0
"""The page in the cluster over an API server that is made up, with an issuer of the tests."""

import re
from urllib.parse import urlsplit

import httpx

from cabgate_devcluster.clients.pki import Authority
from cabgate_portal.calls import Portal
from cabgate_portal.limits import CallLimits
from cabgate_portal.metrics import Metrics
from cabgate_portal.page.cluster import create_page
from cabgate_portal.page.login.issuer import Client
from cabgate_samples.models import intent
from cabgate_samples.objects import MIDDLING
from support.issuer import CLIENT, SECRET, Issuer
from unit.portal.fake_api import FakeApi
from unit.portal.page.opened import put_waiting

ORIGIN = "https://cab.example.com"

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
"""What a browser sends with a form of the page."""

KEY = b"k" * 32


def issuer_of(folder):
    """An issuer with a certificate of its own authority, and the file of that; not started."""
    authority = Authority("issuer CA")
    certificate, key, ca = (folder / name for name in ("issuer.crt", "issuer.key", "issuer-ca.crt"))
    authority.server("issuer").write(certificate, key)
    ca.write_bytes(authority.cert_pem)
    return Issuer(certificate, key, authority.cert_pem), ca


class Clock:
    """The time, which a test can move."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


class SignIns:
    """A page, its API server and browsers."""

    def __init__(self, issuer, ca, clock, keys=(KEY,), per_second=10_000.0):
        self.issuer, self.api, self.metrics = issuer, FakeApi(), Metrics()
        portal = Portal(self.api, self.metrics, CallLimits(per_second), clock)
        client = Client(
            issuer.url, CLIENT, SECRET, ["openid"], f"{ORIGIN}/oidc/callback", ca
        )  # fmt: skip
        self.app = create_page(portal, client, ORIGIN, keys)
        _, self.object, self.path = put_waiting(self.api, intent(MIDDLING))

    def browser(self):
        """A client without a cookie."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN)

    async def begin(self, browser, place=""):
        """Send a browser to the issuer; the path and query that this has it come back to."""
        answer = await browser.get("/oidc/login", params={"next": place})
        assert answer.status_code == 303, answer.text
        url = answer.headers["location"]
        assert url.startswith(f"{self.issuer.url}/auth?")
        async with httpx.AsyncClient(verify=False, timeout=60) as away:  # noqa: S501 - any certificate
            back = urlsplit((await away.get(url)).headers["location"])
        assert f"{back.scheme}://{back.netloc}" == ORIGIN
        return f"{back.path}?{back.query}"

    async def sign_in(self, who="rita", browser=None, place=""):
        """A browser that somebody has signed in with."""
        browser = browser or self.browser()
        self.issuer.person = self.api.username = who
        answer = await browser.get(await self.begin(browser, place))
        assert answer.status_code == 200, answer.text
        return browser

    async def form(self, browser):
        """The hidden fields of the form of a request."""
        text = (await browser.get(self.path)).text.partition('class="decide"')[2]
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))

    def sent(self):
        """The writes that reached the API server."""
        return [each for each in self.api.calls if each[0] == "PATCH"]


def held(browser):
    """The chunks of a browser's session."""
    return {name: value for name, value in browser.cookies.items() if name[-2:-1] == "-"}


def with_cookies(made, values):
    browser = made.browser()
    browser.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in values.items())
    return browser


async def signed_in(browser):
    """Whether a browser is taken for somebody's."""
    answer = await browser.get("/queue")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200
