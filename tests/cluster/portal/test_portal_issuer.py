# SPDX-License-Identifier: Apache-2.0
"""People and pipelines who sign in by OIDC: kube-apiserver itself verifies their tokens (structured
authentication), the portal hands them on. On the page people sign in with the issuer, in a real
browser where there is one."""

import base64
import os
import re
import secrets

import httpx
import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.clients.pki import Authority
from cabgate_samples.objects import MIDDLING, intent
from support.browser import CHROMIUM, chromium, violations
from support.clients import client_of, decided_answer
from support.gate import install
from support.issuer import CLIENT, ES256, RS256, SECRET, Issuer, text_of
from support.namespaces import create_namespace
from support.portal import UNLIMITED, Portal
from support.reviews import decisions

PREFIX = "oidc:"
PIPELINES = "oidc:repo:"
"""How the names of pipelines begin, which are machines by configuration."""

PIPELINE = "repo:acme/shop:ref:refs/heads/main"
SHOP = "shop"


def issuer_of(folder):
    """An issuer with a certificate of its own authority, not started."""
    authority = Authority("issuer CA")
    certificate, key = folder / "issuer.crt", folder / "issuer.key"
    authority.server("issuer").write(certificate, key)
    return Issuer(certificate, key, authority.cert_pem)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    with issuer_of(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def gate(issuer, tmp_path_factory):
    configuration = tmp_path_factory.mktemp("authentication") / "authentication.yaml"
    configuration.write_text(issuer.authentication(PREFIX))
    with DevCluster(apiserver_args=[f"--authentication-config={configuration}"]) as cluster:
        gate = install(cluster, machineUserPrefixes=[PIPELINES])
        create_namespace(cluster, SHOP)
        gate.bind("requester", "cabgate-requester", SHOP)
        gate.bind(f"{PREFIX}rita", "cabgate-cab-member", SHOP)
        gate.bind(f"{PREFIX}{PIPELINE}", "cabgate-requester", SHOP)
        gate.bind(f"{PREFIX}{PIPELINE}", "cabgate-cab-member", SHOP)
        cluster.kubectl(
            *("create", "clusterrolebinding", "auditors", "--clusterrole=cabgate-auditor"),
            "--group=oidc:auditors",
        )
        yield gate


@pytest.fixture(scope="module")
def portal(gate):
    return Portal(gate.cluster, *UNLIMITED, "--machine-user-prefix", PIPELINES)


def call(portal, token, method, path, body=None):
    """One call with a token."""
    with portal.client(token) as client:
        return client.request(method, path, json=body)


@pytest.fixture(scope="module")
def rita(issuer, portal):
    """Rita's token, once the API server has the issuer's keys."""
    token = issuer.token("rita")
    path = f"/pending?namespace={SHOP}"
    wait_until(lambda: call(portal, token, "GET", path).status_code == 200, "a token is taken")
    return token


def test_a_pipeline_submits_and_a_person_decides(gate, issuer, portal, rita):
    ci = issuer.token(PIPELINE, kid="ec")
    body = intent(SHOP, evidence=MIDDLING, images=("web:1",))
    unasked = call(portal, ci, "POST", "/submit", body)
    assert unasked.status_code in (201, 403)
    body["spec"]["requester"] = f"{PREFIX}tess"
    made = call(portal, ci, "POST", "/submit", body)
    assert made.status_code in (200, 201), made.text
    gate.request_of(SHOP, "web", "Submitted")
    where = f"/status?namespace={SHOP}&intent=web"
    found = wait_until(
        lambda: (answer := call(portal, ci, "GET", where).json())["id"] and answer, "a request"
    )
    stored = gate.get("cabrequest", found["id"].partition(".")[2], SHOP)
    assert [each["type"] for each in stored["spec"]["submittedBy"]] == ["Machine"]

    decision = {"evidenceDigest": found["evidenceDigest"], "rationale": "As agreed"}
    path = f"/{found['id']}/approve"

    def decided(token):
        return decided_answer(lambda: call(portal, token, "POST", path, decision))

    # It is bound as CAB member: a machine decides nothing all the same.
    refused = decided(ci)
    assert (refused.status_code, refused.json()["code"]) == (403, "MachineCannotDecide"), (
        refused.text
    )
    shown = call(portal, ci, "GET", f"/{found['id']}").json()
    assert shown["view"]["yours"]
    approved = decided(rita)
    assert (approved.status_code, approved.json()["state"]) == (200, "Approved"), approved.text
    answer = call(portal, ci, "POST", "/submit?wait=60", body)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "approved")

    auditor = issuer.token("ada", groups=["auditors"])

    def recorded():
        items = call(portal, auditor, "GET", f"/ledger?namespace={SHOP}").json()["items"]
        return [each["spec"] for each in items if each["spec"]["verdict"] == "Approved"]

    (record,) = wait_until(recorded, "the ledger has the approval")
    assert record["author"]["username"] == f"{PREFIX}rita"


@pytest.fixture(scope="module")
def wrong(issuer, rita, tmp_path_factory):
    """Tokens that no API server may take, by what is wrong with them."""
    other = issuer_of(tmp_path_factory.mktemp("other"))
    header, payload, signature = rita.split(".")
    _, richer, _ = issuer.token("rita", groups=["system:masters"]).split(".")
    return {
        "expired": issuer.token("rita", seconds=-60),
        "not yet": issuer.token("rita", nbf=4_000_000_000),
        "of another audience": issuer.token("rita", audience="elsewhere"),
        "of no audience": issuer.token("rita", audience=""),
        "of another issuer": other.token("rita"),
        "of another issuer in this one's name": issuer.token("rita", iss=other.url),
        "by another key": issuer.token("rita", key=RS256()),
        "by a key of another kind": issuer.token("rita", kid="rsa", key=ES256()),
        "by an unknown key": rita.replace(header, _header("gone")),
        "with no signature": f"{header}.{payload}.",
        "with no algorithm": f"{_header('rsa', 'none')}.{payload}.",
        "with other claims": f"{header}.{richer}.{signature}",
        "without a subject": issuer.token(""),
    }


def _header(kid, alg="RS256"):
    return text_of(f'{{"alg":"{alg}","typ":"JWT","kid":"{kid}"}}'.encode())


def test_no_other_token_is_taken(gate, portal, wrong):
    kubeconfig = gate.cluster.service_account(SHOP, "anybody")
    with client_of(kubeconfig) as direct:
        for why, token in wrong.items():
            answer = call(portal, token, "GET", f"/pending?namespace={SHOP}")
            assert answer.status_code in (401, 403), why
            headers = {"Authorization": f"Bearer {token}"}
            path = f"/apis/cabgate.dev/v1alpha1/namespaces/{SHOP}/cabrequests"
            same = direct.get(path, headers=headers)
            assert answer.status_code == same.status_code, (why, answer.text, same.text)
    output = portal.output
    assert [why for why, token in wrong.items() if token in output] == []


def test_a_token_of_nine_kilobytes_is_taken(gate, issuer, portal, rita):
    """An identity provider lists every group of somebody."""
    token = issuer.token("rita", groups=[f"group-of-rita-{number:04}" for number in range(350)])
    assert 9_000 < len(token) < 12_000
    answer = call(portal, token, "GET", f"/pending?namespace={SHOP}")
    assert answer.status_code == 200, answer.text
    output = portal.output
    assert token not in output
    assert rita not in output


def page_of(gate, issuer, folder, client=CLIENT):
    """A portal that has the page as well, for a client of the issuer; by TLS, as `localhost`: the
    issuer, at 127.0.0.1, is another site to a browser."""
    for name, content in (
        ("cookie-keys", base64.b64encode(secrets.token_bytes(32))),
        ("client-secret", SECRET.encode()),
        ("issuer-ca.crt", issuer.ca_pem),
    ):
        (folder / name).write_bytes(content)
    pair = gate.cluster.serving_certificate("portal")
    return Portal(
        *(gate.cluster, *UNLIMITED, "--certificate", str(pair.cert), "--key", str(pair.key)),
        page=lambda url: (
            *("--page-url", url, "--oidc-issuer", issuer.url, "--oidc-client-id", client),
            *("--oidc-client-secret-file", f"{folder}/client-secret"),
            *("--cookie-key-file", f"{folder}/cookie-keys", "--oidc-ca", f"{folder}/issuer-ca.crt"),
        ),
    )


@pytest.fixture(scope="module")
def page(gate, issuer, rita, tmp_path_factory):
    return page_of(gate, issuer, tmp_path_factory.mktemp("page"))


@pytest.fixture(autouse=True)
def everybody(issuer):
    """Who signs in next, and with what."""
    issuer.person, issuer.claims, issuer.give = "rita", {}, None


class Signed:
    """A browser without a window, in which `issuer.person` signs in."""

    def __init__(self, page):
        self.client = httpx.Client(base_url=page.page, verify=False, timeout=60)  # noqa: S501

    def __enter__(self):
        begun = self.client.get("/oidc/login")
        assert begun.status_code == 303, begun.text
        there = httpx.get(begun.headers["location"], verify=False, timeout=60)  # noqa: S501
        self.answer = self.client.get(there.headers["location"])
        return self

    def __exit__(self, *_):
        self.client.close()


def opened(gate, name):
    """A request that waits, and the path of its page."""
    made = gate.open(SHOP, MIDDLING, "Submitted", name=name, images=(f"{name}:1",))
    return made, f"/requests/{SHOP}.{made}"


def test_a_person_signs_in_and_is_who_the_ledger_names(gate, issuer, page):
    name, path = opened(gate, "basket")
    issuer.claims = {"groups": [f"group-of-rita-{number:04}" for number in range(350)]}
    with Signed(page) as signed:
        assert signed.answer.status_code == 200, signed.answer.text
        shown = signed.client.get(path)
        assert shown.status_code == 200, shown.text
        assert f'class="name">{PREFIX}rita<' in shown.text
        hidden = dict(
            re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', shown.text)
        )
        typed = {**hidden, "rationale": "Read the report", "verb": "approve"}

        own = {"Sec-Fetch-Site": "same-origin", "Origin": page.page}
        answer = decided_answer(lambda: signed.client.post(path, data=typed, headers=own))
        assert answer.status_code == 303, answer.text
        cookies = "".join(signed.client.cookies.values())
    assert decisions(gate, name, SHOP) == [("Approved", f"{PREFIX}rita")]
    assert len(cookies) > 9_000
    # Neither the token nor what holds it; a cookie alone is nothing to the API.
    options = {"verify": False, "timeout": 60}
    with httpx.Client(base_url=page.url, cookies=dict(signed.client.cookies), **options) as api:
        assert api.get("/api/cab/v1/pending").status_code == 401
    output = page.output
    assert cookies[:200] not in output
    assert "eyJ" not in output


def test_a_token_for_another_audience_signs_nobody_in(gate, issuer, rita, tmp_path):
    """The issuer gives one to another client of it, and the API server takes none of those."""
    page = page_of(gate, issuer, tmp_path, client="elsewhere")
    issuer.give = lambda nonce: issuer.token("rita", nonce=nonce, audience="elsewhere")
    with Signed(page) as signed:
        assert signed.answer.status_code == 403
        assert "the API server does not take the token" in signed.answer.text
        assert "--authentication-config" in signed.answer.text
        assert signed.client.get("/queue").status_code == 401


def expired(issuer, page):
    """The cookie of a sign-in of rita that has expired; None if it was over before it was done."""
    issuer.give = lambda nonce: issuer.token("rita", nonce=nonce, seconds=10)
    with Signed(page) as signed:
        cookie = signed.client.cookies.get("__Host-cabgate-0")
        if cookie is not None:
            wait_until(lambda: signed.client.get("/queue").status_code == 401, "it is over")
        return cookie


@pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium")
def test_a_person_signs_in_again_in_a_browser_and_nothing_is_lost(gate, issuer, page):
    name, path = opened(gate, "checkout")
    with chromium() as browser:
        context = browser.new_context(ignore_https_errors=True)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.goto(page.page + path)
        assert violations(tab) == []
        tab.get_by_role("link", name="Sign in").click()
        # By the issuer, another site, and back to where it began: the Strict cookies are sent.
        tab.wait_for_url(f"{page.page}{path}")
        tab.get_by_label("Why").fill("typed for an hour")
        kept = {each["name"]: each for each in context.cookies()}
        assert set(kept) == {"__Host-cabgate-0"}
        assert kept["__Host-cabgate-0"]["sameSite"] == "Strict"

        # Their session as it is when its token has expired.
        over = wait_until(lambda: expired(issuer, page), "a sign-in has expired", timeout=120)
        context.add_cookies([{**kept["__Host-cabgate-0"], "value": over}])
        issuer.give = None
        with tab.expect_navigation():
            tab.get_by_role("button", name="Approve").click()
        assert tab.get_by_label("What you typed").input_value() == "typed for an hour"
        assert violations(tab) == []
        with context.expect_page() as other:
            tab.get_by_role("link", name="Sign in in another tab").click()
        other.value.wait_for_url(f"{page.page}{path}")
        other.value.close()

        def sent():
            with tab.expect_navigation():
                tab.locator("button[name=verb][value=approve]").click()
            return "is recorded, in your name" in tab.inner_text("main")

        wait_until(sent, "it is recorded", timeout=120)
        assert decisions(gate, name, SHOP) == [("Approved", f"{PREFIX}rita")]

        # A link of another site, such as a mail: the cookies are kept back, and the page is opened.
        away = context.new_page()
        away.goto(f"{issuer.url}/keys")
        away.evaluate("url => { location.href = url }", f"{page.page}{path}")
        away.wait_for_url(f"{page.page}{path}")
        away.get_by_role("heading", name="Decisions").wait_for()

        away.get_by_role("button", name="Sign out").click()
        away.get_by_role("heading", name="Signed out").wait_for()
        assert violations(away) == []
        assert [each["name"] for each in context.cookies()] == []
        tab.goto(f"{page.page}/queue")
        tab.get_by_role("link", name="Sign in").wait_for()
        context.close()
