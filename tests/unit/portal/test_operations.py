# SPDX-License-Identifier: Apache-2.0
"""What a pipeline and a reviewer get of each operation."""

import json

import pytest

from cabgate.api import CABRequest
from cabgate.gate.commands import review_of
from cabgate.review.identity import User
from cabgate.views.plain import plain
from cabgate.views.queue import queue
from cabgate_kube.transport import HttpAnswer
from cabgate_portal.limits import CallLimits
from cabgate_samples.decisions import numbered
from cabgate_samples.models import NOW, by_person, exception
from unit.portal.fake_api import status
from unit.portal.portals import Made, manifest, stored


@pytest.fixture
def made():
    return Made()


@pytest.fixture
def waiting(made):
    """The id of a request that waits, and its evidence digest."""
    obj, digest = stored()
    made.api.put("cabrequests", obj)
    return f"{obj['metadata']['namespace']}.{obj['metadata']['name']}", digest


async def test_what_is_submitted_is_new_once(made):
    first = await made.call("POST", "/submit", json=manifest())
    assert first.status_code == 201, first.text
    assert first.json()["intent"] == "shop.checkout"
    assert first.json()["outcome"] == "open"
    assert first.json()["auditId"] == "a-1"
    again = await made.call("POST", "/submit", json=manifest())
    assert again.status_code == 200
    changed = manifest(summary="another")
    assert (await made.call("POST", "/submit", json=changed)).status_code == 201


async def test_the_unversioned_paths_are_the_same(made, waiting):
    name, _ = waiting
    for path in ("/pending", "/my-requests", f"/{name}", "/requests"):
        versioned = await made.call("GET", path)
        unversioned = await made.call("GET", f"/api/cab{path}")
        assert versioned.status_code == unversioned.status_code == 200
        assert versioned.json() == unversioned.json()


async def test_a_dry_run_says_so_to_the_api_server(made):
    for query in ("dryRun", "dryRun=true", "dryRun=All"):
        made.api.calls.clear()
        await made.call("POST", f"/submit?{query}", json=manifest())
        assert "dryRun=All" in made.api.calls[-1][1]
    await made.call("POST", "/submit?dryRun=false", json=manifest())
    assert "dryRun" not in made.api.calls[-1][1]


async def test_a_request_is_shown_with_its_tag(made, waiting):
    name, digest = waiting
    found = await made.call("GET", f"/{name}")
    assert found.status_code == 200, found.text
    view = found.json()["view"]
    assert view["evidenceDigest"] == digest
    assert view["factors"]
    assert found.json()["outcome"] == "open"
    tag = found.headers["etag"]
    again = await made.call("GET", f"/{name}", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""
    made.api.username = "somebody-else"
    found = await made.call("GET", f"/{name}/decisions")
    assert found.json() == {"id": name, "items": []}


async def test_what_waits_is_what_kubectl_cab_lists(made, waiting):
    name, _ = waiting
    (stored_request,) = made.api.objects.values()
    request = CABRequest.model_validate(stored_request)
    (row,) = plain(queue([request], [], NOW, User("rita")))
    (found,) = (await made.call("GET", "/pending")).json()["items"]
    assert found == {"id": name, **row}
    assert found["needed"]
    assert (await made.call("GET", "/my-requests")).json()["items"] == []


@pytest.mark.parametrize(
    ("verb", "verdict", "more"),
    [
        ("approve", "Approved", {}),
        (
            "approve",
            "ConditionallyApproved",
            {"conditions": [{"name": "watch", "description": "Watch it"}]},
        ),
        ("reject", "Rejected", {}),
        ("take", "UnderReview", {}),
        ("attest", "Attested", {"condition": "watch"}),
        ("revoke", "Revoked", {"images": ["*"]}),
    ],
)
async def test_a_decision_is_the_patch_of_the_command_line(made, waiting, verb, verdict, more):
    name, digest = waiting
    body = {"evidenceDigest": digest, "rationale": "tried", "uid": "u-9", **more}
    answer = await made.call("POST", f"/{name}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    review = {"verdict": verdict, **more, "rationale": "tried", "evidenceDigest": digest}
    assert json.loads(made.api.bodies[-1]) == json.loads(review_of(review, "u-9"))
    assert len(made.api.calls) == 1


@pytest.mark.parametrize("verb", ["approve", "reject", "take", "attest", "revoke"])
async def test_nothing_is_decided_without_a_digest(made, waiting, verb):
    name, _ = waiting
    more = {"rationale": "x", **({"condition": "watch"} if verb == "attest" else {})}
    for digest in ({}, {"evidenceDigest": ""}, {"evidenceDigest": "v1:sha256:12"}):
        answer = await made.call("POST", f"/{name}/{verb}", json={**more, **digest})
        assert answer.status_code == 400
        assert answer.json()["field"] == "evidenceDigest"
    assert made.api.calls == []


@pytest.mark.parametrize("verb", ["approve", "reject", "revoke"])
async def test_an_exception_is_decided_by_its_uid(made, waiting, verb):
    _, digest = waiting
    body = {"evidenceDigest": digest, "rationale": "tried"}
    answer = await made.call("POST", f"/exceptions/shop.leave/{verb}", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "uid")
    assert made.api.calls == []


LIMITS = {
    "maxReplicas": 2,
    "maxRing": 3,
    "until": "2026-03-02T20:00:00Z",
    "windows": [{"from": "2026-03-01T20:00:00Z", "until": "2026-03-01T22:00:00Z"}],
}


@pytest.fixture
def leave(made, waiting):
    """An exception that waits, limited by its team, and what its decision names."""
    (stored_request,) = made.api.objects.values()
    asked = exception(CABRequest.model_validate(stored_request))
    obj = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABException", **asked.to_dict()}
    obj["metadata"]["uid"] = "u-9"
    obj["spec"]["constraints"] = {"maxReplicas": 5}
    made.api.put("cabexceptions", obj)
    return obj, {"evidenceDigest": waiting[1], "rationale": "tried", "uid": "u-9"}


async def test_an_exception_is_tightened_as_by_the_command_line(made, leave):
    _, body = leave
    for limits in (LIMITS, {"maxReplicas": 2}):
        where = "/exceptions/shop.leave/approve"
        answer = await made.call("POST", where, json={**body, "constraints": limits})
        assert answer.status_code == 200, answer.text
        review = {
            "verdict": "Approved", "constraints": limits, "rationale": "tried",
            "evidenceDigest": body["evidenceDigest"],
        }  # fmt: skip
        assert json.loads(made.api.bodies[-1]) == json.loads(review_of(review, "u-9"))


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"maxReplica": 2}, "constraints.maxReplica"),
        ({"maxReplicas": 2, "maxrings": 3}, "constraints.maxrings"),
        ({"windows": [{**LIMITS["windows"][0], "until ": "x"}]}, "constraints.windows.0.until "),
        ({"maxReplicas": 0}, "constraints.maxReplicas"),
        ({"maxRing": 9}, "constraints.maxRing"),
        ({"until": "tomorrow"}, "constraints.until"),
        ({"windows": [LIMITS["windows"][0]] * 6}, "constraints.windows"),
    ],
)
async def test_no_limit_is_dropped_that_somebody_mistyped(made, leave, limits, field):
    """The API server's schema drops a field of another name: it would be no limit."""
    where, body = "/exceptions/shop.leave/approve", {**leave[1], "constraints": limits}
    answer = await made.call("POST", where, json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert made.api.calls == []


async def test_nor_is_a_part_of_a_condition(made, waiting):
    name, digest = waiting
    condition = {"name": "watch", "description": "Watch it", "notafter": "2026-03-02T20:00:00Z"}
    body = {"evidenceDigest": digest, "rationale": "tried", "conditions": [condition]}
    answer = await made.call("POST", f"/{name}/approve", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "conditions.0.notafter")
    assert made.api.calls == []


@pytest.mark.parametrize("verb", ["reject", "revoke"])
async def test_an_approval_alone_is_given_within_limits(made, leave, verb):
    where, body = f"/exceptions/shop.leave/{verb}", {**leave[1], "constraints": LIMITS}
    answer = await made.call("POST", where, json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "constraints")


async def test_the_list_of_exceptions_has_all_that_limits_them(made, leave):
    obj, body = leave
    (found,) = (await made.call("GET", "/exceptions")).json()["items"]
    assert found["constraints"] == [{"maxReplicas": 5}]
    entry = numbered([by_person("Approved", constraints=LIMITS)], body["evidenceDigest"])
    obj["status"] = {"decisions": entry}
    (found,) = (await made.call("GET", "/exceptions")).json()["items"]
    assert found["constraints"] == [{"maxReplicas": 5}, LIMITS]


@pytest.mark.parametrize(
    ("code", "reason", "answered"),
    [
        (400, "BadRequest", 400),
        (401, "Unauthorized", 401),
        (403, "Forbidden", 403),
        (404, "NotFound", 404),
        (409, "Conflict", 409),
        (410, "Expired", 410),
        (422, "Invalid", 422),
        (429, "TooManyRequests", 429),
        (503, "ServiceUnavailable", 503),
    ],
)
async def test_what_the_api_server_refuses_is_a_problem(made, waiting, code, reason, answered):
    name, digest = waiting
    body = status(code, reason, "because", causes=[{"reason": "R", "field": "f", "message": "m"}])
    made.api.answers = [HttpAnswer(code, body, b"7", b"a-2")]
    answer = await made.call("POST", f"/{name}/take", json={"evidenceDigest": digest})
    assert answer.status_code == answered
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["field"], problem["detail"]) == ("R", "f", "because")
    assert problem["auditId"] == "a-2"
    assert answer.headers["retry-after"] == "7"
    assert ("www-authenticate" in answer.headers) == (code == 401)


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b"[" * 9999, b'{"details": 1}'])
async def test_whatever_a_proxy_answers_is_a_problem(made, waiting, body):
    name, _ = waiting
    for code in (200, 302, 404, 500):
        made.api.answers = [HttpAnswer(code, body)] * 9
        answer = await made.call("GET", f"/{name}/decisions")
        assert answer.status_code in (404, 422, 502)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_list_goes_on_by_the_api_servers_continue(made):
    page = {"items": [stored()[0]], "metadata": {"continue": "further&x=1"}}
    made.api.answers = [HttpAnswer(200, json.dumps(page).encode())]
    found = (await made.call("GET", "/requests?limit=1")).json()
    assert found["continue"] == "further&x=1"
    assert len(found["items"]) == 1
    await made.call("GET", "/requests", params={"continue": found["continue"], "limit": 1})
    assert "continue=further%26x%3D1" in made.api.calls[-1][1]
    assert made.api.wrong == []


async def test_a_call_waits_until_it_is_decided_or_the_time_is_up(made):
    intent = manifest()
    await made.call("POST", "/submit", json=intent)
    (path,) = made.api.objects
    ready = {"type": "Ready", "status": "True", "message": "approved", "reason": "Approved",
             "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
    made.api.objects[path]["status"] = {"observedGeneration": 1, "conditions": [ready]}
    where = "/status?namespace=shop&intent=checkout"
    found = await made.call("GET", f"{where}&wait=60")
    assert (found.json()["outcome"], found.json()["message"]) == ("approved", "approved")
    made.api.objects[path]["status"] = {}
    found = await made.call("GET", f"{where}&wait=0")
    assert found.json()["outcome"] == "open"
    found = await made.call("GET", f"{where}&wait=61")
    assert (found.status_code, found.json()["field"]) == (400, "wait")


async def test_a_token_that_calls_too_often_is_told_when_to_come_back():
    made = Made(limits=CallLimits(1.0, clock=lambda: 0.0))
    codes = [(await made.call("GET", "/pending")).status_code for _ in range(6)]
    assert codes == [200, 200, 200, 200, 429, 429]
    answer = await made.call("GET", "/pending")
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "TooManyCalls"
    assert (await made.call("GET", "/pending", token="another")).status_code == 200
