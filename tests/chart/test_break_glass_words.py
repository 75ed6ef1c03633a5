# SPDX-License-Identifier: Apache-2.0
"""The words that break the glass: the API server and the operator read them alike."""

import re

from cabgate.lifecycle.requests.break_glass import EARLIER_ANNOTATION, FORM, SHOWN_FORM
from cabgate_devcluster.installed.chart import GOLDEN
from support.glass import MALFORMED
from support.templates import of


def in_cel(pattern):
    return "'" + pattern.replace("\\", "\\\\") + "'"


@of("policies/break-glass.yaml")
def test_the_policies_and_the_operator_read_the_same_words(render):
    made = render()
    policy = made.one("ValidatingAdmissionPolicy", "break-glass.cabgate.dev")["spec"]
    (reads,) = [v for v in policy["validations"] if "Malformed" in v.get("message", "")]
    assert f"a.matches({in_cel(f'^{FORM}$')})" in reads["expression"]
    assert f"a.matches({in_cel(SHOWN_FORM)})" in reads["expression"]
    stamps = made.one("MutatingAdmissionPolicy", "break-glass-stamp.cabgate.dev")["spec"]
    (left,) = [v["expression"] for v in stamps["variables"] if v["name"] == "left"]
    assert f"a.matches({in_cel(f'^{FORM}$')})" in left
    (condition,) = [c for c in stamps["matchConditions"] if c["name"] == "changes-the-glass"]
    assert f"'{EARLIER_ANNOTATION}'" in condition["expression"]


@of("webhook/validating.yaml")
def test_the_gate_lets_past_what_the_policies_take(render):
    conditions = [
        condition["expression"]
        for entry in render().webhooks().values()
        for condition in entry["matchConditions"]
        if condition["name"] == "does-not-break-the-glass"
    ]
    assert conditions
    for expression in conditions:
        assert f"a.matches({in_cel(SHOWN_FORM)})" in expression


def test_the_form_is_the_same_everywhere():
    documents = (GOLDEN / "default.yaml").read_text().split("\n---\n")
    ours = "".join(each for each in documents if "kind: CustomResourceDefinition" not in each)
    found = re.findall(r"\ba\.matches\('\^(\[A-Z.+?)\$'\)", ours)
    # Who may, the notice, the four entries of the gate, and the list of earlier breaks (twice).
    assert len(found) == 8
    assert {form.replace("\\\\", "\\") for form in found} == {FORM}
    for why in MALFORMED:
        assert re.fullmatch(FORM, why) is None
