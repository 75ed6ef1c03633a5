# SPDX-License-Identifier: Apache-2.0
"""What is denied is told to programs too: each problem with its code and field."""

import json

import pytest
from pydantic import BaseModel

from cabgate.text.refusal import Cause, Refusal, RefusalReason, check_all
from cabgate_webhook.admission.requests import (
    MAX_CAUSES,
    AdmissionAnswer,
    answer_body,
    read_admission,
)
from cabgate_webhook.http.app import answered

REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u",
        "resource": {"group": "cabgate.dev", "resource": "deploymentintents"},
        "operation": "CREATE",
        "userInfo": {"username": "ann"},
    },
}


def refuse(field, message="no", reason=RefusalReason.INVALID):
    def check():
        raise Refusal(reason, message, field)

    return check


async def causes_of(raised):
    async def handler(_):
        raise raised

    answer = await answered(read_admission(json.dumps(REVIEW).encode()), handler)
    status = json.loads(answer_body("u", answer))["response"]["status"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    return status["message"], status["details"]["causes"]


async def test_a_refusal_is_its_one_cause():
    message, causes = await causes_of(Refusal(RefusalReason.DIGEST_REQUIRED, "no digest", "spec.x"))
    assert message == "DigestRequired: spec.x: no digest"
    assert causes == [{"reason": "DigestRequired", "field": "spec.x", "message": "no digest"}]


async def test_all_problems_are_told_at_once():
    with pytest.raises(Refusal) as caught:
        check_all(
            refuse("spec.a", "no image"),
            lambda: None,
            refuse("spec.b", "no kind", RefusalReason.TARGET_NOT_GATED),
        )
    message, causes = await causes_of(caught.value)
    assert message == "Invalid: spec.a: no image; spec.b: no kind"
    assert [(each["reason"], each["field"]) for each in causes] == [
        ("Invalid", "spec.a"),
        ("TargetNotGated", "spec.b"),
    ]


def test_where_nothing_is_refused_nothing_is_raised():
    check_all(lambda: None, lambda: None)


async def test_an_object_that_is_malformed_has_a_cause_for_each_field():
    class Model(BaseModel):
        a: int
        b: int

    try:
        Model.model_validate({"a": "x"})
    except ValueError as error:
        message, causes = await causes_of(error)
    assert message.startswith("Invalid: a: ")
    assert [each["field"] for each in causes] == ["a", "b"]


def test_a_denial_of_the_gate_is_a_cause_without_a_field():
    answer = AdmissionAnswer(allowed=False, reason="NoRequest", message="NoRequest: write one")
    status = json.loads(answer_body("u", answer))["response"]["status"]
    assert status["details"]["causes"] == [
        {"reason": "NoRequest", "field": "", "message": "write one"}
    ]


async def test_however_many_problems_there_are_the_answer_is_small():
    with pytest.raises(Refusal) as caught:
        check_all(*(refuse(f"spec.f[{n}]", "x" * 5000) for n in range(500)))
    message, causes = await causes_of(caught.value)
    assert len(causes) == MAX_CAUSES
    assert len(message.encode()) <= 1024
    assert max(len(each["message"]) for each in causes) <= 1024


async def test_no_cause_has_a_character_that_cannot_be_seen_or_a_phrase_of_a_tool():
    _, causes = await causes_of(
        Refusal(RefusalReason.INVALID, "a\u202eb\n field is immutable", "spec.a")
    )
    assert causes[0]["message"].isprintable()
    assert "field is immutable" not in causes[0]["message"]


def test_what_is_left_out_is_told():
    many = [Cause("Invalid", "wrong", f"spec.x[{n}]") for n in range(MAX_CAUSES + 5)]
    found = listed(AdmissionAnswer(False, "Invalid", "Invalid: wrong", causes=many))
    assert len(found) == MAX_CAUSES
    assert found[-1] == {
        "reason": "Invalid",
        "field": "",
        "message": "6 more problems, which are not listed",
    }
    assert found[-2]["field"] == f"spec.x[{MAX_CAUSES - 2}]"
    assert (
        len(listed(AdmissionAnswer(False, "Invalid", "", causes=many[:MAX_CAUSES]))) == MAX_CAUSES
    )


def test_a_long_text_is_cut_where_that_is_seen():
    [cause] = listed(
        AdmissionAnswer(False, "R", "R: x", causes=[Cause("R", "é" * 9999, "f\n" * 9999)])
    )
    assert cause["message"].endswith("é...")
    assert cause["field"].endswith("...")
    assert all(len(cause[key].encode()) <= 1024 for key in ("message", "field"))
    assert cause["field"].isprintable()


def listed(answer):
    body = json.loads(answer_body("1", answer))
    return body["response"]["status"]["details"]["causes"]
