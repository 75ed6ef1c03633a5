# SPDX-License-Identifier: Apache-2.0
"""What the webhook answers: a refusal is a 403, and nothing in it makes a tool delete an object."""

import base64
import json

import pytest

from cabgate.text.foreign import PHRASES
from cabgate_webhook.admission.requests import AdmissionAnswer, answer_body


def response(answer):
    return json.loads(answer_body("u", answer))["response"]


@pytest.mark.parametrize("phrase", PHRASES, ids=[phrase.words for phrase in PHRASES])
def test_no_answer_has_a_phrase_that_tools_act_on(phrase):
    said = f"a workload of x: {phrase.words}"
    made = response(
        AdmissionAnswer(allowed=False, reason="MalformedObject", message=said, warnings=[said])
    )
    assert made["status"]["code"] == 403
    assert made["status"]["reason"] == "Forbidden"
    for text in (made["status"]["message"], *made["warnings"]):
        assert phrase.words not in text
        assert text.startswith("a workload of x: ")


def test_a_patch_is_left_as_it_is():
    patch = [{"op": "add", "path": "/status", "value": {"rationale": "is immutable"}}]
    made = response(AdmissionAnswer(allowed=True, reason="ReviewStamped", patch=patch))
    assert json.loads(base64.b64decode(made["patch"])) == patch
