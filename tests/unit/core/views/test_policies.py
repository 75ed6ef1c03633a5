# SPDX-License-Identifier: Apache-2.0
"""What is said beforehand that a policy asks for is what a request is opened with."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api.changepolicy import ChangePolicy
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.views.policies import policy_answer
from cabgate_samples.models import intent
from cabgate_samples.objects import BAD, GOOD, MIDDLING
from support.examples import examples
from support.policies import change_policy

RULES = st.fixed_dictionaries(
    {"count": st.integers(1, 10), "verb": st.sampled_from(["approve", "approve-senior"])},
    optional={
        "when": st.fixed_dictionaries(
            {},
            optional={
                "scoreFrom": st.sampled_from(["0.00", "20.00", "50.01", "65.00", "80.00"]),
                "ringFrom": st.integers(0, 4),
            },
        )
    },
)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(RULES, min_size=1, max_size=4),
    st.sampled_from([GOOD, MIDDLING, BAD]),
    st.integers(0, 4),
)
def test_it_is_what_a_request_of_that_score_is_opened_with(rules, evidence, ring):
    policy = ChangePolicy.model_validate(change_policy("board", *rules))
    request = request_for(intent(evidence), ring, policy=policy)
    score = Decimal(request.spec.assessment.score)
    found = policy_answer(policy, DEFAULT_RISK_MODEL, score, ring)
    assert found.gate == request.spec.assessment.gate
    frozen = {(each.count, each.verb) for each in request.spec.terms.approvals}
    asked = {(each.count, each.verb) for each in found.approvals}
    if found.gate != "ManualReview":
        assert not asked
    else:
        assert asked == (frozen or {(1, "approve")})


@pytest.mark.parametrize(
    ("score", "gate", "words"),
    [
        ("50.00", "AutoApprove", "nobody"),
        ("50.01", "ManualReview", "1 person with the verb approve, none of whom"),
        ("75.00", "ManualReview", "1 person with the verb approve, none of whom"),
        ("75.01", "ExceptionRequired", "an exception"),
    ],
)
def test_without_a_policy_one_approval_is_enough(score, gate, words):
    found = policy_answer(None, DEFAULT_RISK_MODEL, Decimal(score), 2)
    assert (found.gate, found.policy) == (gate, "")
    assert found.needs.startswith(words)
