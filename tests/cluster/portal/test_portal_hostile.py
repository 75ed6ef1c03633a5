# SPDX-License-Identifier: Apache-2.0
"""Hostile texts in each text field that the REST API takes, beside the real API server: which are
taken, which are refused and by whom, and that what was taken comes back with nothing hidden in
it."""

import copy
import json

import pytest

from cabgate.text.inert import inert
from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, intent
from support.portal import People

MARKUP = "<script>alert(1)</script> javascript:alert(1)"
BIDI = "approved \u202ebackwards"
UNSEEN = "ab\u200bcd"
TEXTS = (MARKUP, BIDI, UNSEEN)

PROSE = {MARKUP: True, BIDI: False, UNSEEN: True}
"""What is written in sentences: what nobody sees is written out where it is shown."""

LINE = {MARKUP: True, BIDI: False, UNSEEN: False}
"""What is compared, or read as one line."""

WORD = {MARKUP: False, BIDI: False, UNSEEN: False}
"""What has a form."""

INTENT = {
    "spec.summary": PROSE,
    "spec.correlationID": WORD,
    "spec.release": WORD,
    "spec.requester": LINE,
    "spec.targets[0].apiVersion": WORD,
    "spec.targets[0].kind": WORD,
    "spec.targets[0].name": WORD,
    "spec.targets[0].images[0]": WORD,
    "spec.targets[0].template": WORD,
    "spec.evidence.artifacts[0].name": LINE,
    "spec.evidence.artifacts[0].uri": LINE,
    "spec.evidence.artifacts[0].images[0]": WORD,
    "spec.evidence.artifacts[0].sha256": WORD,
    "spec.evidence.artifacts[0].origin": WORD,
    "spec.evidence.testResults.uri": LINE,
    "spec.evidence.testResults.sha256": WORD,
    "spec.evidence.scanResults.scanner": LINE,
    "spec.evidence.scanResults.uri": LINE,
    "spec.evidence.manualTesting.status": WORD,
    "spec.evidence.manualTesting.by": LINE,
    "spec.evidence.manualTesting.uri": LINE,
    "spec.evidence.rollbackPlan.uri": LINE,
    "spec.evidence.deploymentPlan.uri": LINE,
    "metadata.name": WORD,
    "metadata.labels.hostile": WORD,
    "metadata.annotations.hostile": {MARKUP: True, BIDI: True, UNSEEN: True},
}

EXCEPTION = {
    "spec.requestRef.name": WORD,
    "spec.reason": PROSE,
    "spec.compensatingControls[0]": PROSE,
    "spec.constraints.until": WORD,
    "spec.constraints.windows[0].from": WORD,
}

REQUEST_REVIEW = {
    "approve": {
        "rationale": PROSE,
        "evidenceDigest": WORD,
        "conditions[0].name": WORD,
        "conditions[0].description": PROSE,
        "conditions[0].notBefore": WORD,
        "conditions[0].attestation": WORD,
    },
    "reject": {"rationale": PROSE},
    "take": {"rationale": PROSE},
    "attest": {"condition": WORD},
    "revoke": {"rationale": PROSE, "images[0]": WORD},
}
"""What is revoked is an image of the request, and no other text."""

EXCEPTION_REVIEW = {
    "approve": {"rationale": PROSE, "constraints.until": WORD, "constraints.windows[0].from": WORD},
    "reject": {"rationale": PROSE},
}


@pytest.fixture(scope="module")
def people(gate, portal, people_tokens):
    made = People(gate, portal, {who: people_tokens[who] for who in ("tess", "rita", "sam")})
    yield made
    made.close()


def steps(path):
    """The keys of a path, and numbers for places in lists."""
    return [int(each) if each.isdigit() else each
            for each in path.replace("[", ".").replace("]", "").split(".")]  # fmt: skip


def put(body, path, text):
    """A body with a text at a path."""
    made = copy.deepcopy(body)
    at, (*way, last) = made, steps(path)
    for key, following in zip(way, steps(path)[1:], strict=True):
        if isinstance(at, dict):
            at.setdefault(key, [{}] if isinstance(following, int) else {})
        at = at[key]
    at[last] = text
    return made


def answers(people, who, path, body, fields):
    """For each field and each text whether it was taken; what is refused says which field it is."""
    wrong = []
    for field, expected in fields.items():
        for text in TEXTS:
            answer = people(who, "POST", f"{path}?dryRun=true", put(body, field, text))
            assert answer.status_code in (200, 201, 400, 403, 404, 422), (field, answer.text)
            assert answer.content.isascii(), field
            if answer.is_success is not expected[text]:
                wrong.append(f"{path} {field} {text!r}: {answer.status_code} {answer.text}")
            elif not answer.is_success:
                # Of labels the API server names no key.
                name = next(each for each in reversed(steps(field)) if each not in (0, "hostile"))
                said = answer.json()
                if name not in said.get("field", "") + said["detail"]:
                    wrong.append(f"{path} {field} {text!r} is not named: {answer.text}")
    return wrong


def test_each_field_of_what_is_submitted_takes_what_it_is_for(people):
    shop = people.shop()
    which, _ = people.submitted(shop, BAD, "bad", "ExceptionRequired")
    new = intent(shop, name="new", evidence=MIDDLING, images=("new:1",))
    wrong = answers(people, "tess", "/submit", new, INTENT)
    asked = exception(shop, which.partition(".")[2], name="asked")
    wrong += answers(people, "tess", "/exceptions", asked, EXCEPTION)
    assert not wrong, "\n".join(wrong)


def test_each_field_of_a_decision_takes_what_it_is_for(people):
    shop = people.shop()
    which, digest = people.submitted(shop)
    bad, of_bad = people.submitted(shop, BAD, "bad", "ExceptionRequired")
    asked = people("tess", "POST", "/exceptions", exception(shop, bad.partition(".")[2]))
    assert asked.status_code == 201, asked.text
    people.gate.wait_state("cabexception", "leave", shop, "Pending")
    done, of_done = people.submitted(shop, name="done")
    agreed = {"evidenceDigest": of_done, "rationale": "As agreed"}
    assert people("rita", "POST", f"/{done}/approve", agreed).status_code == 200
    said = {"evidenceDigest": digest, "rationale": "tried"}
    condition = {"name": "watch", "description": "Watch it"}
    wrong = []
    for verb, fields in REQUEST_REVIEW.items():
        who, path, body = "rita", f"/{which}/{verb}", said
        if verb == "revoke":
            who, path, body = "sam", f"/{done}/revoke", agreed
        for field, expected in fields.items():
            more = {"conditions": [condition]} if field.startswith("conditions") else {}
            more |= {"images": ["done:1"]} if field.startswith("images") else {}
            wrong += answers(people, who, path, {**body, **more}, {field: expected})
    of_leave = {"evidenceDigest": of_bad, "rationale": "tried", "uid": asked.json()["uid"]}
    window = {"from": "2027-03-01T20:00:00Z", "until": "2027-03-01T22:00:00Z"}
    for verb, fields in EXCEPTION_REVIEW.items():
        for field, expected in fields.items():
            body = {
                **of_leave,
                **({"constraints": {"windows": [window]}} if "win" in field else {}),
            }
            path = f"/exceptions/{shop}.leave/{verb}"
            wrong += answers(people, "sam", path, body, {field: expected})
    assert not wrong, "\n".join(wrong)


def test_what_was_taken_comes_back_as_text_with_nothing_hidden(people):
    shop, prose = people.shop(), f"{MARKUP} {UNSEEN}"
    body = intent(shop, evidence=MIDDLING, images=("web:1",), summary=prose)
    for field in ("artifacts[0].uri", "scanResults.uri", "rollbackPlan.uri"):
        body = put(body, f"spec.evidence.{field}", "javascript:alert(1)")
    assert people("tess", "POST", "/submit", body).status_code == 201
    name = people.gate.request_of(shop, "web", "Submitted")["metadata"]["name"]
    which = f"{shop}.{name}"
    view = people("rita", "GET", f"/{which}").json()["view"]
    decision = {
        "evidenceDigest": view["evidenceDigest"],
        "rationale": prose,
        "conditions": [{"name": "watch", "description": prose}],
    }
    decided = people("rita", "POST", f"/{which}/approve", decision)
    assert decided.status_code == 200, decided.text
    shown = people("rita", "GET", f"/{which}")
    assert shown.headers["content-type"] == "application/json"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.content.isascii()
    view = shown.json()["view"]
    assert view["summary"] == inert(prose) == f"{MARKUP} ab\\u200bcd"
    assert "javascript:alert(1)" in json.dumps(view["evidence"])
    for path in (f"/{which}", f"/{which}/decisions"):
        text = json.dumps(people("tess", "GET", path).json(), ensure_ascii=False)
        assert MARKUP in text
        assert UNSEEN not in text
    assert people("rita", "GET", f"/{which}/decisions").json()["items"][0]["rationale"] == (
        inert(prose)
    )

    def recorded():
        records = people.gate.cluster.api.call("GET", "/apis/cabgate.dev/v1alpha1/cabdecisions")
        return [
            each["spec"]["rationale"]
            for each in records["items"]
            if (each["spec"]["subject"]["namespace"], each["spec"]["verdict"])
            == (shop, "ConditionallyApproved")
        ]

    # The ledger keeps it as it was written: its digest is of that.
    assert wait_until(recorded, "the ledger has the approval") == [prose]
