# SPDX-License-Identifier: Apache-2.0
"""Probes, metrics and lines of the log."""

import json

import httpx
import pytest

from cabgate_kube.process.health import pages_app
from cabgate_kube.process.logs import JsonFormatter
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.http.probes import Readiness, pages_of
from cabgate_webhook.metrics import Metrics
from unit.webhook.http.applications import FaultyApi, hangs, review, send, unreachable, webhook


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
    line = next(line for line in text.splitlines() if line.startswith("cabgate_admission_requests"))
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
        (
            quoting,
            "InternalError",
            "unexpected error in an admission request: ValueError < test_probes.py:",
        ),
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
