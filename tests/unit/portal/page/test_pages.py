# SPDX-License-Identifier: Apache-2.0
"""What a reviewer gets of each page, and what becomes of what they send."""

import json
import re

import pytest

from cabgate.gate.commands import review_of
from cabgate_kube.transport import ConnectionFailed, HttpAnswer
from cabgate_samples.decisions import numbered
from cabgate_samples.models import by_person, exception
from cabgate_samples.objects import BAD, workload
from unit.portal.fake_api import status
from unit.portal.page.opened import Opened, as_stored


@pytest.fixture
async def opened():
    return await Opened().open()


async def test_what_waits_leads_to_its_request_and_that_to_a_decision(opened):
    queue = await opened.get("/queue")
    assert queue.status_code == 200, queue.text
    link = f'href="{opened.session.base}{opened.path}"'
    assert link in queue.text
    page = await opened.get(opened.path)
    assert page.status_code == 200, page.text
    assert opened.digest in page.text
    assert 'value="approve"' in page.text
    assert 'value="approve"' not in queue.text
    fields = await opened.form()
    sent = await opened.post({**fields, "rationale": "tests are green", "verb": "approve"})
    assert sent.status_code == 303, sent.text
    assert sent.headers["location"].endswith(f"{opened.path}?recorded=Approved")
    _, target = next(call for call in opened.api.calls if call[0] == "PATCH")
    assert target.partition("?")[0].endswith("/status")
    review = {
        "verdict": "Approved",
        "rationale": "tests are green",
        "evidenceDigest": opened.digest,
    }
    body = next(each for each in opened.api.bodies if b'"review"' in each)
    assert json.loads(body) == json.loads(review_of(review, opened.object["metadata"]["uid"]))
    assert opened.api.wrong == []
    assert set(opened.api.tokens) == {""}


async def test_a_stale_form_sends_nothing_and_loses_nothing(opened):
    fields = await opened.form()
    old = "v1:sha256:" + "0" * 64
    for stale in ({"digest": old}, {"uid": "another"}, {"digest": ""}):
        typed = {**fields, **stale, "rationale": "typed for an hour", "verb": "approve"}
        typed |= {"condition1.name": "watch", "condition1.description": "Watch it"}
        answer = await opened.post(typed)
        assert answer.status_code == 409
        assert "typed for an hour" in answer.text
        assert 'value="watch"' in answer.text
        assert "What changed since you looked" in answer.text
        assert (await opened.form())["digest"] == opened.digest
    assert not [each for each in opened.api.calls if each[0] == "PATCH"]


async def test_what_changed_since_is_shown(opened):
    before = json.loads(json.dumps(opened.object))
    before["metadata"]["name"] = "checkout-before"
    before["spec"]["evidenceDigest"] = old = "v1:sha256:" + "1" * 64
    before["spec"]["targets"][0]["images"] = ["registry.example.com/shop/checkout:1.4.1"]
    opened.api.put("cabrequests", before)
    fields = await opened.form()
    answer = await opened.post({**fields, "digest": old, "rationale": "x", "verb": "approve"})
    assert answer.status_code == 409
    assert "checkout:1.4.1" in answer.text.partition("What changed since you looked")[2]


@pytest.mark.parametrize(
    ("answers", "code", "words"),
    [
        ([HttpAnswer(403, status(403, "Forbidden", "SelfApproval: you submitted it"))],
         403, "SelfApproval: you submitted it"),
        ([HttpAnswer(409, status(409, "Conflict", "was changed"))], 409, "was changed"),
        ([HttpAnswer(401, status(401, "Unauthorized", "Unauthorized"))], 401, "Unauthorized"),
        ([HttpAnswer(429, status(429, "TooManyRequests", "slow down"))], 429, "slow down"),
        ([ConnectionFailed("gone")], 502, "It may have been recorded"),
    ],
)  # fmt: skip
async def test_what_the_api_server_says_is_shown_and_nothing_typed_is_lost(
    opened, monkeypatch, answers, code, words
):
    fields = await opened.form()
    before = opened.api._answer

    def answer(method, path, body):
        if method == "PATCH":
            (found,) = answers
            if isinstance(found, Exception):
                raise found
            return found
        return before(method, path, body)

    monkeypatch.setattr(opened.api, "_answer", answer)
    found = await opened.post({**fields, "rationale": "typed for an hour", "verb": "reject"})
    assert found.status_code == code
    assert words in found.text
    assert "typed for an hour" in found.text
    assert len([each for each in opened.api.calls if each[0] == "PATCH"]) == 1


async def test_signed_out_in_the_middle_loses_nothing(opened):
    fields = await opened.form()
    opened.api.answers = [HttpAnswer(401, status(401, "Unauthorized", "Unauthorized"))] * 30
    typed = {**fields, "rationale": "typed for <an> hour", "verb": "approve"}
    found = await opened.post(typed)
    assert found.status_code == 401
    assert "typed for &lt;an&gt; hour" in found.text
    assert f'value="{opened.digest}"' in found.text
    assert "Sign in as you do for kubectl" in found.text
    opened.api.answers = []
    again = await opened.post(typed)
    assert again.status_code == 303


async def test_a_decision_says_why(opened):
    fields = await opened.form()
    for nothing in ("", "   ", "...", "<why>"):
        answer = await opened.post({**fields, "rationale": nothing, "verb": "approve"})
        assert answer.status_code == 422
        assert "recorded for good" in answer.text
    assert (await opened.post({**fields, "verb": "take"})).status_code == 303
    text = (await opened.get(opened.path)).text
    assert "</textarea>" in text
    assert text.partition("<textarea")[2].partition(">\n")[2].startswith("</textarea>")


async def test_conditions_are_those_of_the_command_line(opened):
    fields = await opened.form()
    wrong = {"condition1.name": "watch"}
    answer = await opened.post({**fields, **wrong, "rationale": "ok then", "verb": "approve"})
    assert answer.status_code == 422
    typed = {
        "condition2.name": "watch",
        "condition2.description": "Watch errors",
        "condition2.notBefore": "2026-03-02T08:00:00Z",
        "condition2.attestation": "Required",
    }
    answer = await opened.post({**fields, **typed, "rationale": "ok then", "verb": "approve"})
    assert answer.status_code == 303, answer.text
    review = json.loads(opened.api.bodies[-1])["status"]["review"]
    assert review["verdict"] == "ConditionallyApproved"
    assert review["conditions"] == [
        {
            "name": "watch",
            "description": "Watch errors",
            "notBefore": "2026-03-02T08:00:00Z",
            "attestation": "Required",
        }
    ]


async def test_polling_costs_no_page_where_nothing_changed(opened):
    for path in ("/queue/rows", f"{opened.path}/state"):
        first = await opened.get(path)
        assert first.status_code == 200
        tag = first.headers["etag"]
        again = await opened.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        opened.object["metadata"]["uid"] += "-another"
        opened.object["spec"]["targets"][0]["name"] += "-another"
        news = await opened.get(path, headers={"If-None-Match": tag})
        assert news.status_code == 200
        assert news.headers["etag"] != tag


async def test_the_dashboard_and_the_ledger_say_so_where_there_is_nothing(opened):
    for path, words in (("/ledger", "No record fits"), ("/dashboard", "waiting now")):
        found = await opened.get(path)
        assert found.status_code == 200, found.text
        assert words in found.text
    (opened.api.objects).clear()
    assert "Nothing waits" in (await opened.get("/queue")).text
    assert "Nothing of yours waits" in (await opened.get("/queue?mine=1")).text


async def test_what_may_not_be_read_everywhere_can_be_asked_for_in_one_namespace(opened):
    opened.api.answers = [HttpAnswer(403, status(403, "Forbidden", "cabrequests is forbidden"))] * 9
    found = await opened.get("/queue")
    assert found.status_code == 403
    assert "cabrequests is forbidden" in found.text
    assert 'name="namespace"' in found.text


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/requests/%2e%2e", "/requests/shop", "/requests/shop.x%2f..%2fy",
        "/static/%2e%2e", "/static/page.py", "/requests/shop.missing", "/queue?namespace=a/b",
        "/ledger?correlation=,",
        "/ledger?namespace=%2e%2e", "/dashboard?namespace=a%2Cb",
    ],
)  # fmt: skip
async def test_what_is_no_page_is_answered_by_one(opened, path):
    answer = await opened.get(path)
    assert answer.status_code in (400, 404)
    assert "<h1>" in answer.text
    assert opened.api.wrong == []


async def test_a_workload_is_judged_as_the_gate_would(opened):
    opened.api.objects["/api/v1/namespaces/shop"] = {
        "metadata": {"name": "shop", "labels": {"cabgate.dev/ring": "2"}}
    }
    images = opened.object["spec"]["targets"][0]["images"]
    opened.api.objects["/apis/apps/v1/namespaces/shop/deployments/checkout"] = workload(
        "shop", name="checkout", images=images
    )
    assert "Name a namespace and a workload" in (await opened.get("/workload")).text
    found = await opened.get("/workload?namespace=shop&workload=deployment/checkout")
    assert found.status_code == 200, found.text
    assert "ReviewPending" in found.text
    assert opened.path in found.text
    assert "Not all of it could be shown" in found.text  # the installation is not there
    for query, code in (
        ("namespace=shop&workload=deployment/missing", 404),
        ("namespace=shop&workload=secret/x", 400),
        ("namespace=shop&workload=%2e%2e/x", 400),
        ("workload=deployment/checkout", 400),
    ):
        answer = await opened.get(f"/workload?{query}")
        assert answer.status_code == code
        assert "<form" in answer.text
    assert opened.api.wrong == []


async def test_an_exception_is_decided_on_its_own_page_and_by_its_uid():
    opened = await Opened(evidence=BAD).open()
    asked = as_stored("CABException", exception(opened.request))
    asked["spec"]["submittedBy"] = opened.object["spec"]["submittedBy"]
    opened.api.put("cabexceptions", asked)
    path = "/exceptions/shop.leave"
    assert path in (await opened.get("/queue")).text
    of_request = (await opened.get(opened.path)).text
    assert path in of_request
    assert 'name="verb"' not in of_request
    page = (await opened.get(path)).text
    assert 'value="approve"' in page
    assert 'value="take"' not in page
    assert "On approval conditions" not in page
    fields = await opened.form(path)
    assert fields["uid"] == asked["metadata"]["uid"]
    sent = {**fields, "rationale": "The flag is off", "verb": "approve"}
    for wrong in ({"uid": "of-another"}, {"digest": "v1:sha256:" + "0" * 64}):
        assert (await opened.post({**sent, **wrong}, path)).status_code == 409
    conditions = {"condition1.name": "a", "condition1.description": "b"}
    assert (await opened.post({**sent, **conditions}, path)).status_code == 400
    for name, typed in (("maxReplicas", "two"), ("maxReplicas", "\u00b2"), ("maxRing", "-1"),
                        ("maxReplicas", "9" * 30), ("until", "tomorrow"), ("window1.from", "x")
    ):  # fmt: skip
        answer = await opened.post({**sent, name: typed}, path)
        assert answer.status_code == 422
        assert f'value="{typed}"' in answer.text
    assert not [each for each in opened.api.calls if each[0] == "PATCH"]
    limited = {
        "maxReplicas": "2", "maxRing": " 3 ", "until": "2026-03-02T20:00:00Z", "window1.from": "",
        "window2.from": "2026-03-01T20:00:00Z", "window2.until": "2026-03-01T22:00:00Z",
    }  # fmt: skip
    assert (await opened.post({**sent, **limited}, path)).status_code == 303
    assert json.loads(opened.api.bodies[-1])["status"]["review"]["constraints"] == {
        "maxReplicas": 2,
        "maxRing": 3,
        "until": "2026-03-02T20:00:00Z",
        "windows": [{"from": "2026-03-01T20:00:00Z", "until": "2026-03-01T22:00:00Z"}],
    }
    answer = await opened.post(sent, path)
    assert answer.status_code == 303, answer.text
    body = json.loads(opened.api.bodies[-1])
    assert "constraints" not in body["status"]["review"]
    assert body["metadata"]["uid"] == fields["uid"]
    assert body["status"]["review"]["verdict"] == "Approved"


async def test_a_request_takes_no_limits(opened):
    fields = {**await opened.form(), "rationale": "x1", "verb": "approve", "maxReplicas": "2"}
    assert (await opened.post(fields)).status_code == 400


def decide(opened, *decisions):
    """Store decisions with the request."""
    entries = numbered(decisions, opened.digest)
    opened.object["status"] = {**opened.object.get("status", {}), "decisions": entries}


async def test_that_it_is_recorded_is_said_only_of_what_is(opened):
    words, asked = "is recorded, in your name", f"{opened.path}?recorded="
    assert words not in (await opened.get(f"{asked}Approved")).text
    decide(opened, by_person("Approved"))
    assert words in (await opened.get(f"{asked}Approved")).text
    for other in ("Rejected", "", "<b>", "Revoked"):
        assert words not in (await opened.get(f"{asked}{other}")).text
    opened.api.username = "ann"
    assert words not in (await opened.get(f"{asked}Approved")).text
    opened.api.username = "rita"
    decide(opened, by_person("Approved"), by_person("Revoked"))
    assert words not in (await opened.get(f"{asked}Approved")).text


@pytest.mark.parametrize(
    ("ticked", "images"),
    [
        ({}, None),
        ({"revoked": "asked"}, None),
        ({"revoked": "all"}, ["*"]),
        ({"revoked": "these", "images": ["a", "b"]}, ["a", "b"]),
        ({"revoked": "these"}, ...),
        ({"revoked": "these", "images": ["*"]}, ...),
        ({"revoked": "these", "images": ["*", "a"]}, ...),
        ({"revoked": "all", "images": ["a"]}, ...),
        ({"revoked": "asked", "images": ["a"]}, ...),
        ({"images": ["*"]}, ...),
        ({"images": ["a"]}, ...),
        ({"revoked": "some"}, ...),
    ],
)
async def test_what_is_revoked_is_what_was_chosen(opened, ticked, images):
    decide(opened, by_person("Approved"))
    fields = await opened.form()
    sent = await opened.post({**fields, **ticked, "rationale": "CVE-2026-1", "verb": "revoke"})
    if images is ...:
        assert sent.status_code == 422
        assert "ImagesUnclear" in sent.text
        assert not [each for each in opened.api.calls if each[0] == "PATCH"]
        checked = re.findall(r'name="(?:revoked|images)" value="([^"]*)" checked', sent.text)
        assert "all" not in checked or ticked.get("revoked") == "all"
    else:
        assert sent.status_code == 303, sent.text
        assert json.loads(opened.api.bodies[-1])["status"]["review"].get("images") == images


async def test_nothing_is_ticked_that_was_not_chosen(opened):
    decide(opened, by_person("Approved"))
    text = (await opened.get(opened.path)).text
    ticked = re.findall(r'<input type="(?:radio|checkbox)"[^>]* value="([^"]*)" checked', text)
    assert ticked == ["asked"]
    typed = {**await opened.form(), "revoked": "these", "rationale": "", "verb": "revoke"}
    image = opened.object["spec"]["targets"][0]["images"][0]
    text = (await opened.post({**typed, "images": [image]})).text
    ticked = re.findall(r'<input type="(?:radio|checkbox)"[^>]* value="([^"]*)" checked', text)
    assert ticked == ["these", image]


async def test_what_nobody_sees_in_the_reason_of_a_refusal_is_written_out(opened, monkeypatch):
    fields = await opened.form()
    causes = [{"reason": "Self\u202eApproval", "field": "x\u202e", "message": "m\u202e"}]
    refusal = HttpAnswer(
        403, status(403, "For\u202ebidden", "no\u202e", causes=causes), audit_id="a\u202e".encode()
    )
    before = opened.api._answer
    monkeypatch.setattr(
        *(opened.api, "_answer"),
        lambda method, path, body: refusal if method == "PATCH" else before(method, path, body),
    )
    sent = await opened.post({**fields, "rationale": "ok then", "verb": "approve"})
    assert sent.status_code == 403
    assert "Self\\u202eApproval" in sent.text
    assert "\u202e" not in sent.text
    opened.api.answers = [refusal] * 9
    for path in ("/queue", opened.path, "/workload?namespace=shop&workload=deployment/x"):
        assert "\u202e" not in (await opened.get(path)).text
        opened.api.answers = [refusal] * 9


async def test_what_kubectl_does_not_pass_on_is_not_told_as_a_right_that_is_lacking(opened):
    opened.api.answers = [HttpAnswer(403, b"Forbidden\n")] * 9
    text = (await opened.get("/queue")).text
    assert "kubectl proxy" in text
    assert "Ask for that right" not in text


async def test_an_approval_can_be_revoked_whatever_else_comes_next(opened):
    """Also while one of its conditions waits to be attested, and once its team has moved on."""
    path = f'action="{opened.session.base}{opened.path}"'
    to_attest = [{"name": "dba", "description": "the DBA is there", "attestation": "Required"}]
    decide(opened, by_person("ConditionallyApproved", conditions=to_attest))
    text = (await opened.get(opened.path)).text.partition(path)[2]
    assert 'name="verb" value="attest"' in text
    assert 'name="verb" value="revoke"' in text
    fields = await opened.form()
    sent = {**fields, "condition": "dba", "rationale": "It broke", "verb": "revoke"}
    assert (await opened.post(sent)).status_code == 303
    assert json.loads(opened.api.bodies[-1])["status"]["review"]["verdict"] == "Revoked"
    decide(opened, by_person("Approved"))
    asked = as_stored("CABException", exception(opened.request, by_person("Approved")))
    opened.api.put("cabexceptions", asked)
    text = (await opened.get(opened.path)).text.partition(path)[2]
    assert 'name="verb" value="revoke"' in text
    decide(opened, by_person("Rejected"))
    assert 'name="verb" value="revoke"' not in (await opened.get(opened.path)).text
