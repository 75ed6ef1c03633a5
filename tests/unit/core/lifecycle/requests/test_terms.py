# SPDX-License-Identifier: Apache-2.0
"""Which change policy holds, and what a request is opened under."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.selectable import NoneHolds
from cabgate.lifecycle.requests.opening import request_for
from cabgate.lifecycle.requests.terms import (
    choose_policy,
    policy_problems,
    terms_for,
)
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.system import check_created
from cabgate_samples.models import intent
from cabgate_samples.objects import MIDDLING
from support.policies import change_policy

LABEL = "cabgate.dev/change-policy"
STRICT, LAX = change_policy("strict"), change_policy("lax", {"count": 1, "verb": "approve"})
ABOVE = [
    {"when": {"scoreFrom": "50.01"}, "count": 1, "verb": "approve"},
    {"when": {"scoreFrom": "65.00"}, "count": 2, "verb": "approve"},
    {"when": {"ringFrom": 4}, "count": 1, "verb": "approve-senior"},
]


def with_spec(**more):
    return {**STRICT, "spec": {**STRICT["spec"], **more}}


def test_the_label_chooses_else_the_default_else_there_is_none():
    marked = change_policy("usual", default=True)
    assert choose_policy({}, []) is None
    assert choose_policy({}, [STRICT]) is None
    assert choose_policy({}, [STRICT, marked]).name == "usual"
    assert choose_policy({LABEL: "strict"}, [STRICT, marked]).name == "strict"


def test_a_score_may_begin_with_a_zero():
    rule = {"when": {"scoreFrom": "05.00"}, "count": 2, "verb": "approve"}
    assert choose_policy({LABEL: "strict"}, [with_spec(approvals=[rule])]).name == "strict"


UNSURE = {
    "names none that is there": ({LABEL: "gone"}, [STRICT], "ChangePolicyMissing"),
    "names nothing": ({LABEL: ""}, [STRICT], "ChangePolicyMissing"),
    "two are the default": (
        {},
        [change_policy("a", default=True), change_policy("b", default=True)],
        "ChangePolicyAmbiguous",
    ),
    "it has a rule of a newer release": (
        {LABEL: "strict"},
        [with_spec(promotion=[{"ring": 3}])],
        "ChangePolicyInvalid",
    ),
    "a rule says more than this release knows": (
        {LABEL: "strict"},
        [with_spec(approvals=[{"count": 1, "verb": "approve", "holdsOn": "Monday"}])],
        "ChangePolicyInvalid",
    ),
    "a rule is about what this release does not know": (
        {LABEL: "strict"},
        [with_spec(approvals=[{"when": {"kind": "Job"}, "count": 2, "verb": "approve"}])],
        "ChangePolicyInvalid",
    ),
    "a step of escalation says more than this release knows": (
        {LABEL: "strict"},
        [with_spec(escalation=[{"after": "1h", "level": 1, "decides": True}])],
        "ChangePolicyInvalid",
    ),
    "a step of escalation would let everybody decide": (
        {LABEL: "strict"},
        [with_spec(escalation=[{"after": "1h", "level": 1, "alsoDecides": "approve"}])],
        "ChangePolicyInvalid",
    ),
    "it cannot be read": (
        {LABEL: "strict"},
        [with_spec(approvals=[{"count": 0, "verb": "approve"}])],
        "ChangePolicyInvalid",
    ),
}


@pytest.mark.parametrize(("labels", "policies", "reason"), UNSURE.values(), ids=UNSURE)
def test_a_doubt_about_the_policy_opens_nothing(labels, policies, reason):
    found = choose_policy(labels, policies)
    assert isinstance(found, NoneHolds)
    assert found.reason == reason
    wanted = intent(MIDDLING)
    with pytest.raises(Refusal) as refused:
        check_created(request_for(wanted, 2), wanted, [], DEFAULT_RISK_MODEL, policy=found, ring=2)
    assert "nobody knows who has to approve" in refused.value.detail


@pytest.mark.parametrize(
    ("score", "ring", "needs"),
    [
        ("50.00", 2, []),
        ("50.01", 2, [("approve", 1)]),
        ("64.99", 3, [("approve", 1)]),
        ("65.00", 3, [("approve", 2)]),
        ("50.00", 4, [("approve-senior", 1)]),
        ("100.00", 4, [("approve", 2), ("approve-senior", 1)]),
    ],
)
def test_the_rules_that_are_about_a_request_are_frozen_each_verb_once(score, ring, needs):
    policy = ChangePolicy.model_validate(change_policy("board", *ABOVE, version="2"))
    terms = terms_for(policy, Decimal(score), ring)
    assert [(each.verb, each.count) for each in terms.approvals] == needs
    assert (terms.policy.name, terms.policy.version) == ("board", "2")
    assert terms.policy.digest == policy.digest


def weakened(made, **terms):
    spec = made.spec
    less = spec.terms.model_copy(update=terms) if terms else None
    return made.model_copy(update={"spec": spec.model_copy(update={"terms": less})})


def test_an_operator_weakens_nothing():
    policy = ChangePolicy.model_validate(
        change_policy("board", *ABOVE, STRICT["spec"]["approvals"][0])
    )
    lax = ChangePolicy.model_validate(LAX)
    wanted = intent(MIDDLING)

    def refused(made, ring=4):
        with pytest.raises(Refusal) as found:
            check_created(made, wanted, [], DEFAULT_RISK_MODEL, policy=policy, ring=ring)
        lost = found.value.field == "spec.requires"
        reason = RefusalReason.UNKNOWN_REQUIREMENT if lost else RefusalReason.WRONG_CONTENT
        assert found.value.reason is reason
        return found.value.field

    made = request_for(wanted, 4, policy=policy)
    check_created(made, wanted, [], DEFAULT_RISK_MODEL, policy=policy, ring=4)
    assert refused(weakened(made)) == "spec.requires"
    assert refused(weakened(made, approvals=made.spec.terms.approvals[:1])) == "spec.terms"
    # Its floor is lacking too, which is told first.
    assert refused(request_for(wanted, 4)) == "spec.assessment"
    assert refused(request_for(wanted, 4, policy=lax)) == "spec.assessment"
    assert refused(request_for(wanted, 2, policy=policy)) == "spec.ring"
    silent = made.model_copy(update={"spec": made.spec.model_copy(update={"requires": []})})
    assert refused(silent) == "spec.requires"


def test_what_a_policy_cannot_mean_is_refused_with_its_place():
    policy = ChangePolicy.model_validate(change_policy("twice", *ABOVE, ABOVE[0]))
    assert [each.field for each in policy_problems(policy)] == ["spec.approvals[3]"]
    odd = change_policy("odd")
    odd["metadata"]["labels"] = {"cabgate.dev/default-change-policy": "yes"}
    assert [each.field for each in policy_problems(ChangePolicy.model_validate(odd))] == [
        "metadata.labels[cabgate.dev/default-change-policy]"
    ]


PAGE = Path(__file__).resolve().parents[5] / "docs" / "change-policies.md"


def test_the_policy_of_the_page_asks_for_what_the_page_says():
    block = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    policy = choose_policy({LABEL: "board-2"}, [yaml.safe_load(block)])
    assert policy_problems(policy) == []
    needs = {each.verb: each.count for each in terms_for(policy, Decimal("65.00"), 4).approvals}
    assert needs == {"approve": 2, "approve-senior": 1}
    assert terms_for(policy, Decimal("50.00"), 3).approvals == []
    steps = {each.level: each.after_seconds for each in terms_for(policy, 65, 4).escalation}
    assert steps == {1: 24 * 3600, 2: 48 * 3600}
    assert [each.level for each in terms_for(policy, 55, 2).escalation] == [2]


def test_the_example_is_the_policy_of_the_page():
    block = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    example = PAGE.parents[1] / "examples" / "change-policy" / "policy.yaml"
    assert yaml.safe_load(example.read_text()) == yaml.safe_load(block)
