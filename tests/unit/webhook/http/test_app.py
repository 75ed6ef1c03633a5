# SPDX-License-Identifier: Apache-2.0
"""The application's answers: to what is no review, to faults and to deadlines."""

import asyncio
import json

import httpx
import pytest

from cabgate_kube.process.bodies import Bodies
from cabgate_webhook.admission.requests import MAX_BODY_BYTES
from unit.webhook.http.applications import hangs, review, send, webhook


async def broken():
    raise ZeroDivisionError("a bug")


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
    bodies = Bodies(MAX_BODY_BYTES, 1000)

    class Request:
        async def stream(self):
            yield b"x" * 800

    async def twice():
        return len(await bodies.read(Request())) + len(await bodies.read(Request()))

    assert await twice() == 1600
