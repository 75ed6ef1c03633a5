# SPDX-License-Identifier: Apache-2.0
"""What somebody tries who wants more than their token gives, or another's token."""

import logging
import pickle
from contextlib import ExitStack
from urllib.parse import quote

import pytest

from cabgate_kube.transport import ConnectionFailed, HttpAnswer
from cabgate_portal import limits
from cabgate_portal.limits import MAX_UNDER_WAY, CallLimits
from cabgate_portal.names import id_of
from cabgate_portal.problems import Problem
from cabgate_portal.tokens import MAX_TOKEN, Token, token_of
from unit.portal.fake_api import status
from unit.portal.portals import BASE, TOKEN, Made, manifest, stored


@pytest.fixture
def made():
    return Made()


IDS = (
    "..",
    "shop...",
    "shop./status",
    "shop.web/../../secrets/x",
    "shop.web?dryRun=All",
    "shop.web#",
    "shop.web%2Fstatus",
    "shop.web\r\nHost: evil",
    "shop.web\x00",
    "shop.Web",
    "SHOP.web",
    "shop",
    "shop.",
    ".web",
    "kube-system/secrets.web",
    "shop.web\n",
    "shop.wéb",
    f"{'a' * 64}.web",
    f"shop.{'a' * 254}",
    "shop.web..x",
    "-shop.web",
    "shop.web-",
)


@pytest.mark.parametrize("text", IDS)
def test_an_id_that_is_none_names_nothing(text):
    with pytest.raises(Problem) as raised:
        id_of(text)
    assert raised.value.status == 404


@pytest.mark.parametrize("text", IDS)
@pytest.mark.parametrize("path", ["/{}", "/{}/decisions", "/exceptions/{}"])
async def test_nor_does_it_reach_the_api_server(made, text, path):
    once = quote(text, safe="")
    for shown in (once, quote(once, safe="")):
        answer = await made.call("GET", path.format(shown))
        assert answer.status_code == 404
    assert made.api.calls == []


async def test_a_path_is_not_read_twice(made):
    for path in ("/shop.web%2Fstatus", "/shop.web/status", "/shop.web%3FdryRun", "/shop.web;a=1"):
        assert (await made.call("GET", path)).status_code == 404
    assert made.api.calls == []


def test_an_id_ends_its_namespace_at_the_first_dot():
    found = id_of("shop.checkout.v1-1f2e3d4c")
    assert (found.namespace, found.name) == ("shop", "checkout.v1-1f2e3d4c")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("name", "../../../secrets/x"),
        ("name", "web?force=true"),
        ("name", ".."),
        ("namespace", "shop/deploymentintents/x"),
        ("namespace", ".."),
        ("namespace", "shop.web"),
    ],
)
async def test_a_manifest_names_no_other_path(made, where, value):
    body = manifest()
    body["metadata"][where] = value
    answer = await made.call("POST", "/submit", json=body)
    assert answer.status_code == 400
    assert answer.json()["field"] == f"metadata.{where}"
    assert value not in answer.text
    assert made.api.calls == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"state": "Approved"}},
        {"kind": "CABRequest"},
        {"apiVersion": "v1"},
        {"apiVersion": "cabgate.dev/v1alpha1/../../api/v1"},
        {"metadata": {"name": "web", "namespace": "shop", "ownerReferences": []}},
        {"metadata": {"name": "web", "namespace": "shop", "managedFields": []}},
        {"metadata": {"name": "web", "namespace": "shop", "generateName": "web"}},
    ],
)
async def test_a_manifest_is_an_intent_and_no_more(made, change):
    answer = await made.call("POST", "/submit", json={**manifest(), **change})
    assert answer.status_code == 400
    assert made.api.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic cml0YTp4"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Bearer a,Bearer b"},
        {"Authorization": "Bearer a; impersonate-user=admin"},
        {"Authorization": f"Bearer {'a' * (MAX_TOKEN + 1)}"},
        {"X-Forwarded-Access-Token": TOKEN},
        {"X-Remote-User": "admin"},
        {"Cookie": f"token={TOKEN}"},
        {"Proxy-Authorization": f"Bearer {TOKEN}"},
    ],
)
async def test_a_token_comes_in_one_header_alone(made, headers):
    answer = await made.call("GET", "/pending", token="", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert made.api.calls == []


async def test_nor_does_it_come_in_a_url(made):
    for query in (f"access_token={TOKEN}", f"token={TOKEN}", f"authorization=Bearer {TOKEN}"):
        assert (await made.call("GET", f"/pending?{query}", token="")).status_code == 401
        assert (await made.call("GET", f"/pending?{query}")).status_code == 400
    assert made.api.calls == []


def test_of_two_tokens_none_counts():
    name = b"authorization"
    with pytest.raises(Problem, match="TwoTokens"):
        token_of([(name, b"Bearer a"), (b"Authorization", b"Bearer b")])


async def test_no_header_of_a_client_goes_on(made):
    headers = {
        "Impersonate-User": "admin",
        "Impersonate-Group": "system:masters",
        "X-Remote-User": "admin",
        "X-Remote-Group": "system:masters",
        "Accept": "application/vnd.kubernetes.protobuf",
        "Host": "evil.example.com",
        "Connection": "Authorization",
        "X-HTTP-Method-Override": "DELETE",
        "Traceparent": "00-1-1-01",
    }
    answer = await made.call("GET", "/pending", headers=headers)
    assert answer.status_code == 200
    assert made.api.wrong == []
    assert set(made.api.tokens) == {f"Bearer {TOKEN}"}


def test_a_token_shows_itself_to_nobody():
    token = Token(TOKEN)
    assert TOKEN not in f"{token} {token!r} {vars(type(token))}"
    with pytest.raises(TypeError):
        pickle.dumps(token)
    with pytest.raises(TypeError):
        vars(token)


@pytest.mark.parametrize(
    "fault",
    [ConnectionFailed("closed"), OSError("no route"), TimeoutError(), ZeroDivisionError("a bug")],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_is_in_no_log_metric_or_error(made, fault, method, caplog):
    caplog.set_level(logging.DEBUG)
    made.api.answers = [fault] * 10
    obj, digest = stored()
    path = f"/{obj['metadata']['namespace']}.{obj['metadata']['name']}"
    if method == "GET":
        answer = await made.call("GET", path)
    else:
        answer = await made.call("POST", f"{path}/take", json={"evidenceDigest": digest})
    assert answer.status_code in (500, 502, 503)
    metrics = made.portal.metrics.text().decode()
    records = "".join(f"{each.getMessage()} {each.__dict__}" for each in caplog.records)
    assert TOKEN not in f"{answer.text} {answer.headers} {metrics} {records}"


async def test_a_write_is_never_sent_twice(made):
    obj, digest = stored()
    made.api.put("cabrequests", obj)
    path = f"/{obj['metadata']['namespace']}.{obj['metadata']['name']}/take"
    for fault in (ConnectionFailed("closed"), TimeoutError()):
        made.api.calls.clear()
        made.api.answers = [fault]
        answer = await made.call("POST", path, json={"evidenceDigest": digest})
        assert answer.status_code == 502
        assert answer.json()["code"] == "OutcomeUnknown"
        assert len(made.api.calls) == 1


@pytest.mark.parametrize(
    ("code", "body", "answered"),
    [
        (500, status(500, "InternalError", "etcdserver: request timed out"), "OutcomeUnknown"),
        (502, b"<html>", "OutcomeUnknown"),
        (504, status(504, "Timeout", "request did not complete"), "OutcomeUnknown"),
        (200, b"{", "OutcomeUnknown"),
        (200, b"{}", "OutcomeUnknown"),
        (500, status(500, "InternalError", "failed calling webhook"), "InternalError"),
        (503, status(503, "ServiceUnavailable", "stopping"), "ServiceUnavailable"),
    ],
)
async def test_a_write_that_may_be_stored_is_not_reported_as_refused(made, code, body, answered):
    _, digest = stored()
    path = "/shop.web/take"
    made.api.answers = [HttpAnswer(code, body)]
    answer = await made.call("POST", path, json={"evidenceDigest": digest})
    assert answer.json()["code"] == answered
    made.api.answers = [HttpAnswer(404, status(404, "NotFound")), HttpAnswer(code, body)]
    answer = await made.call("POST", "/submit", json=manifest())
    assert answer.json()["code"] == answered


async def test_what_is_stored_is_no_error_where_the_waiting_fails(made):
    await made.call("POST", "/submit", json=manifest())
    calls = made.api.calls
    real = made.api.call

    async def failing(method, target, **options):
        if method == "GET" and any(each[0] == "PATCH" for each in calls):
            raise ConnectionFailed("closed")
        return await real(method, target, **options)

    calls.clear()
    made.api.call = failing
    answer = await made.call("POST", "/submit?wait=1", json=manifest())
    assert answer.status_code == 200
    assert answer.json()["outcome"] == "open"
    assert "it is recorded" in answer.json()["notes"][0]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "a/b"])
async def test_no_form_of_another_site_is_taken(made, kind):
    headers = {"Content-Type": kind} if kind else {}
    answer = await made.call("POST", "/submit", content=b'{"a": 1}', headers=headers)
    assert answer.status_code == 415
    preflight = await made.call("OPTIONS", "/submit", token="", headers={"Origin": "https://evil"})
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert made.api.calls == []


@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=true", "dryRun=yes", "dryRun=1"])
async def test_a_misspelt_dry_run_writes_nothing(made, query):
    answer = await made.call("POST", f"/submit?{query}", json=manifest())
    assert answer.status_code == 400
    assert made.api.calls == []


async def test_a_parameter_is_given_once(made):
    answer = await made.call("POST", "/submit?dryRun=true&dryRun=false", json=manifest())
    assert answer.status_code == 400
    assert made.api.calls == []


@pytest.mark.parametrize(
    "query",
    [
        "correlationID=a,status.state!=Approved",
        "correlationID=a%2Cspec.x%3D1",
        "namespace=shop/../kube-system",
        "namespace=%2e%2e",
    ],
)
@pytest.mark.parametrize("path", ["/pending", "/my-requests", "/requests", "/ledger"])
async def test_a_selector_takes_no_more_than_a_value(made, path, query):
    assert (await made.call("GET", f"{path}?{query}")).status_code == 400
    assert made.api.calls == []


async def test_a_body_over_the_limit_is_refused(made):
    body = manifest() | {"spec": {"summary": "x" * 300_000}}
    answer = await made.call("POST", "/submit", json=body)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"
    assert made.api.calls == []


async def test_deep_and_strange_json_is_refused(made):
    headers = {"Content-Type": "application/json"}
    for content in (b"[" * 100_000, b'{"a":' * 30_000, b"1" * 5000, b"\xff\xfe", b"nul", b"[]"):
        answer = await made.call("POST", "/submit", content=content, headers=headers)
        assert answer.status_code == 400, content[:10]
    assert made.api.calls == []


async def test_the_token_of_one_is_never_that_of_another(made):
    for token in ("one", "two", "three"):
        made.api.tokens.clear()
        assert (await made.call("GET", "/pending", token=token)).status_code == 200
        assert set(made.api.tokens) == {f"Bearer {token}"}


async def test_no_path_but_those_of_the_api_is_served(made):
    assert "kubectl cab ui" in (await made.client.get("https://portal/")).text
    for path in ("/docs", "/openapi.json", "/metrics", "/api/v1/secrets", f"{BASE}/"):
        answer = await made.client.get(f"https://portal{path}")
        assert answer.status_code == 404
    assert made.api.calls == []


def test_made_up_tokens_do_not_make_calls_under_way_forgotten(monkeypatch):
    monkeypatch.setattr(limits, "MAX_TOKENS", 2)
    calls = CallLimits(10_000.0)
    with ExitStack() as stack:
        for _ in range(MAX_UNDER_WAY):
            stack.enter_context(calls.taken(Token(TOKEN)))
        for count in range(5):
            with calls.taken(Token(f"made-up-{count}")):
                pass
        with pytest.raises(Problem, match="TooManyCalls"), calls.taken(Token(TOKEN)):
            pass
