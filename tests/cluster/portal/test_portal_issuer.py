# SPDX-License-Identifier: Apache-2.0
"""People and pipelines who sign in by OIDC: kube-apiserver itself verifies their tokens (structured
authentication), the portal hands them on."""

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.clients.pki import Authority
from cabgate_samples.objects import MIDDLING, intent
from support.clients import client_of
from support.gate import NOT_YET, install
from support.issuer import ES256, RS256, Issuer, text_of
from support.namespaces import create_namespace
from support.portal import UNLIMITED, Portal

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
        """The answer, once the API server knows the kinds of its policies."""
        answer = call(portal, token, "POST", path, decision)
        return None if NOT_YET in answer.text else answer

    # It is bound as CAB member: a machine decides nothing all the same.
    refused = wait_until(lambda: decided(ci), "an answer of the webhook", timeout=120)
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
