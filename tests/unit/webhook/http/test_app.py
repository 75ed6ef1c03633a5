# SPDX-License-Identifier: Apache-2.0
"""The application under bodies and faults of all kinds: it denies, and says why; it never fails."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from cabgate.ledger.signatures import SigningKeys
from cabgate_kube.process.health import pages_app
from cabgate_kube.process.logs import JsonFormatter
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.admission.requests import MAX_BODY_BYTES
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.http.app import Bodies, Limits, Settings, create_app
from cabgate_webhook.http.probes import Readiness, pages_of
from cabgate_webhook.metrics import Metrics

KEYS = SigningKeys(
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
CALLER = Caller(Path(__file__))  # any file is long enough
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class FaultyApi:
    """Stands in for an API server that cannot be reached, in one way or another."""

    def __init__(self, fault):
        self._fault = fault

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    def __getattr__(self, _name):
        async def call(*_args, **_kwargs):
            return await self._fault()

        return call


async def unreachable():
    raise LookupFailed("GET /somewhere: connection refused")


async def hangs():
    await asyncio.Event().wait()


async def broken():
    raise ZeroDivisionError("a bug")


def webhook(fault=unreachable, metrics=None, **limits):
    return create_app(
        FaultyApi(fault),
        Settings(KEYS, CALLER),
        metrics or Metrics(),
        lambda: NOW,
        Limits(**limits),
    )


async def send(body, path="/validate", fault=unreachable, method="POST", **limits):
    app = webhook(fault, **limits)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.request(method, path, content=content)


def review(**changes):
    request = {
        "uid": "u-1",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "operation": "CREATE",
        "namespace": "shop",
        "name": "web",
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:1"}]}}},
        },
    } | changes
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def denial(answer):
    assert answer.status_code == 200
    response = answer.json()["response"]
    assert response["uid"] == "u-1"
    assert response["allowed"] is False
    assert len(response["status"]["message"].encode()) < 1024
    return response["status"]["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (review(object={"metadata": {"name": "\ud800"}}), "not JSON"),
        (b'{"kind": "\xed\xa0\x80"}', "not JSON"),
        (b"[]", "body: not an object"),
        ({}, "not an AdmissionReview"),
        ({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}, "not an Admission"),
        ({"apiVersion": "v1", "kind": "Pod"}, "not an AdmissionReview"),
        ({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}, "request: not"),
        (review(uid=""), "request.uid"),
        (review(uid=7), "request.uid"),
        (review(userInfo=None), "request.userInfo"),
        (review(userInfo={"username": ""}), "request.userInfo.username"),
        (review(userInfo={"username": "a", "groups": "b"}), "request.userInfo.groups"),
        (review(userInfo={"username": "a", "extra": {"k": [1]}}), "request.userInfo.extra"),
        (review(object=[1]), "request.object"),
        (review(resource="deployments"), "request.resource"),
    ],
)
async def test_a_body_that_is_no_review_is_a_client_error_that_names_the_field(body, said):
    answer = await send(body)
    assert answer.status_code == 400
    assert said in answer.text


async def test_a_truncated_review_is_a_client_error():
    whole = json.dumps(review()).encode()
    assert (await send(whole[: len(whole) // 2])).status_code == 400


async def test_an_oversized_body_is_refused_and_one_within_the_limit_read():
    padding = "x" * (MAX_BODY_BYTES - 2000)
    within = review(options={"padding": padding})
    assert (await send(within)).status_code == 200
    assert (await send(b" " * (MAX_BODY_BYTES + 1))).status_code == 413


async def test_a_wrong_method_or_path_is_a_client_error():
    assert (await send(b"", method="GET")).status_code == 405
    assert (await send(b"", path="/elsewhere")).status_code == 404


async def test_an_unreachable_api_server_denies_and_says_so():
    message = denial(await send(review()))
    assert message.startswith("LookupFailed: ")
    assert "connection refused" in message
    assert "try again" in message


async def test_a_slow_api_server_denies_within_the_deadline():
    answer = await send(review(), fault=hangs, deadline_seconds=0.05)
    assert denial(answer).startswith("LookupTimedOut: ")


async def test_a_fault_of_ours_denies_and_shows_no_traceback(caplog):
    message = denial(await send(review(), fault=broken))
    assert message.startswith("InternalError: ")
    assert "ZeroDivisionError" not in message
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("path", ["/validate", "/mutate"])
async def test_a_resource_that_we_do_not_know_is_denied(path):
    resource = {"group": "example.com", "version": "v1", "resource": "widgets"}
    obj = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    body = review(resource=resource, object=obj)
    assert denial(await send(body, path)).startswith("UnknownResource: ")


@pytest.mark.parametrize(
    "template",
    [None, [], {}, {"spec": {}}, {"spec": {"containers": [{}]}}, {"spec": {"containers": 1}}],
)
async def test_a_workload_without_a_readable_pod_template_is_denied(template):
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}}
    assert denial(await send(review(object=obj))).startswith("MalformedObject: spec.template")


async def probe(path, readiness=None, fault=unreachable, **options):
    app = pages_app(pages_of(FaultyApi(fault), Metrics(), readiness or Readiness(), **options))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://webhook") as client:
        return await client.get(path)


async def answers():
    return None


async def test_readiness_follows_the_api_server_and_liveness_does_not():
    answer = await probe("/readyz")
    assert answer.status_code == 503
    assert answer.text == "not ready: GET /somewhere: connection refused\n"
    assert (await probe("/healthz")).status_code == 200
    assert (await probe("/readyz", fault=answers)).status_code == 200


async def test_readiness_does_not_wait_for_a_silent_api_server_for_ever():
    answer = await probe("/readyz", fault=hangs, read_seconds=0.05)
    assert answer.status_code == 503
    assert "no answer of the API server within 0.05 s" in answer.text


async def test_a_replica_that_stops_or_whose_certificate_ends_is_alive_and_not_ready():
    for readiness, said in (
        (Readiness(draining=True), "this replica is stopping"),
        (Readiness(lambda: "the certificate ends soon"), "the certificate ends soon"),
    ):
        answer = await probe("/readyz", readiness, answers)
        assert (answer.status_code, answer.text) == (503, f"not ready: {said}\n")
        assert (await probe("/healthz", readiness, answers)).status_code == 200


async def test_admission_answers_neither_probes_nor_metrics():
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await send(b"", path, method="GET")).status_code == 404


async def test_metrics_count_reviews_by_verdict():
    metrics = Metrics()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(webhook(metrics=metrics)), base_url="https://webhook"
    ) as client:
        await client.post("/validate", json=review())
    app = pages_app(pages_of(FaultyApi(unreachable), metrics, Readiness()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://webhook"
    ) as client:
        text = (await client.get("/metrics")).text
    line = next(line for line in text.splitlines() if line.startswith("cabgate_admission_reviews"))
    assert 'reason="LookupFailed"' in line
    assert 'verdict="denied"' in line
    assert line.endswith(" 1.0")


async def test_a_review_leaves_one_line_that_names_it_and_none_of_its_content(caplog):
    caplog.set_level("INFO")
    with_secret = review()
    template = with_secret["request"]["object"]["spec"]["template"]
    template["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "hunter2"}]
    await send(with_secret)
    records = [record for record in caplog.records if record.getMessage() == "denied"]
    assert len(records) == 1
    said = json.loads(JsonFormatter().format(records[0]))
    assert said["uid"] == "u-1"
    assert (said["namespace"], said["object"]) == ("shop", "web")
    assert (said["resource"], said["operation"]) == ("deployments.apps", "CREATE")
    assert (said["reason"], said["user"]) == ("LookupFailed", "alice")
    assert said["milliseconds"] >= 0
    assert "hunter2" not in "".join(JsonFormatter().format(record) for record in caplog.records)


async def quoted():
    raise LookupFailed("GET /x: HTTP 500: hunter2", "GET /x: HTTP 500")


async def quoting():
    raise ValueError("hunter2")


@pytest.mark.parametrize(
    ("fault", "reason", "said"),
    [
        (quoted, "LookupFailed", "lookup failed: GET /x: HTTP 500"),
        (hangs, "LookupTimedOut", "timeout: no answer within 0.05 s"),
        (quoting, "InternalError", "unexpected error in a review: ValueError < test_app.py:"),
    ],
)
async def test_what_went_wrong_is_told_with_the_uid_of_the_review(caplog, fault, reason, said):
    caplog.set_level("INFO")
    # Time enough for the faults that are to be told as themselves.
    await send(review(), fault=fault, deadline_seconds=0.05 if fault is hangs else 60)
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert "hunter2" not in "".join(lines)
    warning, about = (json.loads(line) for line in lines if '"u-1"' in line)
    assert warning["message"].startswith(said)
    for line in (warning, about):
        assert (line["uid"], line["reason"]) == ("u-1", reason)
        assert (line["namespace"], line["object"]) == ("shop", "web")


async def test_a_body_that_does_not_come_in_time_is_let_go():
    async def slow():
        yield b"{"
        await asyncio.Event().wait()

    async with httpx.AsyncClient(
        transport=StreamingTransport(webhook(body_seconds=0.05)), base_url="https://webhook"
    ) as client:
        answer = await client.post("/validate", content=slow())
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"


class StreamingTransport(httpx.AsyncBaseTransport):
    """Hands an application the body as it comes."""

    def __init__(self, app):
        self._app = app

    async def handle_async_request(self, request):
        said = {}
        chunks = aiter(request.stream)

        async def receive():
            try:
                return {"type": "http.request", "body": await anext(chunks), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event):
            said.update(event)

        scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "query_string": b"",
            "headers": [],
        }
        await self._app(scope, receive, send)
        return httpx.Response(said["status"], headers=said["headers"], content=said["body"])


async def test_bodies_together_have_a_limit_too_and_what_is_done_counts_no_more():
    body = json.dumps(review()).encode()
    assert (await send(body, held_bytes=1000)).status_code == 200
    assert (await send(body + b" " * 1000, held_bytes=1000)).status_code == 503
    bodies = Bodies(1000)

    class Request:
        async def stream(self):
            yield b"x" * 800

    async def twice():
        return len(await bodies.read(Request())) + len(await bodies.read(Request()))

    assert await twice() == 1600


FIELDS = st.sampled_from(
    [
        "annotations",
        "author",
        "compensatingControls",
        "conditions",
        "decisions",
        "durationDays",
        "evidence",
        "evidenceDigest",
        "finalizers",
        "generation",
        "labels",
        "metadata",
        "name",
        "observedGeneration",
        "ownerReferences",
        "rationale",
        "requestRef",
        "review",
        "sequence",
        "state",
        "submittedBy",
        "targets",
        "template",
        "username",
        "verdict",
    ]
)
WORDS = st.sampled_from(["Approved", "Rejected", "Revoked", "UnderReview", "web", "1", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner),
    max_leaves=12,
)
OBJECTS = st.dictionaries(FIELDS, JSON, max_size=6)
OURS = ["deploymentintents", "cabrequests", "cabexceptions"]


@given(
    resource=st.sampled_from([("apps", "deployments"), *(("cabgate.dev", name) for name in OURS)]),
    subresource=st.sampled_from(["", "status", "scale"]),
    operation=st.sampled_from(["CREATE", "UPDATE", "DELETE", "CONNECT", "other"]),
    path=st.sampled_from(["/validate", "/mutate"]),
    spec=OBJECTS | JSON,
    status=OBJECTS | JSON,
    old=OBJECTS | JSON,
    metadata=OBJECTS | JSON,
)
async def test_whatever_the_objects_hold_there_is_an_answer(
    resource, subresource, operation, path, spec, status, old, metadata
):
    obj = {"apiVersion": "x/v1", "kind": "X", "metadata": metadata, "spec": spec, "status": status}
    body = review(
        resource={"group": resource[0], "version": "v1", "resource": resource[1]},
        subResource=subresource,
        operation=operation,
        object=obj,
        oldObject={**obj, "spec": old, "status": old} if isinstance(old, dict) else old,
    )
    answer = await send(body, path)
    assert answer.status_code in (200, 400)
    if answer.status_code == 200 and not answer.json()["response"]["allowed"]:
        message = answer.json()["response"]["status"]["message"]
        assert not message.startswith("InternalError"), message


@given(JSON)
async def test_any_json_gets_an_answer(body):
    assert (await send(body)).status_code in (200, 400)


MADE_UP = [
    review(
        resource={"group": group, "version": "v1", "resource": f"made-up-{number}"},
        subResource=subresource,
        object={"apiVersion": f"{group or 'v1'}", "kind": kind, "metadata": {"name": "web"}},
    )
    for number, (group, subresource, kind) in enumerate(
        (group, subresource, kind)
        for group in ("apps", "cabgate.dev", "", "example.com")
        for subresource in ("", "status", "ephemeralcontainers", "made-up")
        for kind in ("Deployment", "CABRequest", "Pod", "MadeUp")
    )
]


async def test_resources_that_somebody_makes_up_make_no_series():
    """A series stays for as long as the process lives."""
    metrics = Metrics()
    transport = httpx.ASGITransport(webhook(metrics=metrics))
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        for path in ("/validate", "/mutate"):
            for body in MADE_UP:
                await client.post(path, json=body)
    labels = {
        sample.labels["resource"]
        for family in metrics.registry.collect()
        if family.name == "cabgate_admission_reviews"
        for sample in family.samples
    }
    assert "other" in labels
    assert not [label for label in labels if "made-up" in label]
