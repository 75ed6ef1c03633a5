# SPDX-License-Identifier: Apache-2.0
"""Score and gate of a request follow from its evidence by the risk model that it names, whichever
that is, as long as somebody has it."""

import copy
from decimal import Decimal

from cabgate.api import CABRequest
from cabgate.api.base import ObjectMeta
from cabgate.ledger.assessments import by_digest, without_model
from cabgate.ledger.verification import verify
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_samples.models import intent
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.ledger.histories import PUBLIC, raw

SPEC = DEFAULT_RISK_MODEL.spec.model_copy(
    update={"version": "7", "auto_approve_up_to": Decimal("10.00")}
)
STRICT = DEFAULT_RISK_MODEL.model_copy(update={"metadata": ObjectMeta(name="strict"), "spec": SPEC})


def scored(evidence, model=STRICT):
    return raw(request_for(intent(evidence), 2, [], model), "u-1")


def found(subject, *models):
    return [each.message for each in verify([], [subject], [], PUBLIC, models=models)]


def forged(subject, **assessment):
    changed = copy.deepcopy(subject)
    changed["spec"]["assessment"] |= assessment
    return changed


def test_what_another_model_scored_is_computed_anew_by_it():
    stored = STRICT.to_dict()
    right = scored(MIDDLING)
    assert right["spec"]["assessment"]["riskModel"]["name"] == "strict"
    assert found(right, stored) == []
    [message] = found(forged(right, score="1.00"), stored)
    assert message.startswith("score 1.00 does not follow from its evidence")
    [message] = found(forged(right, gate="AutoApprove"), stored)
    assert message.startswith("gate AutoApprove does not follow from its evidence")


def test_a_model_of_the_name_with_other_content_is_another_one():
    other = copy.deepcopy(STRICT.to_dict())
    other["spec"]["version"] = "8"
    assert found(forged(scored(MIDDLING), score="1.00"), other) == []


def test_what_is_no_model_is_passed_over():
    for broken in ({}, {"metadata": {"name": "strict"}}, {"spec": 1}, {"metadata": None}):
        assert found(scored(MIDDLING), broken) == []


def test_requests_whose_model_nobody_has_are_told_of():
    subjects = [scored(MIDDLING), scored(GOOD, DEFAULT_RISK_MODEL), {"kind": "CABRequest"}]
    assert without_model(subjects, by_digest([])) == {"strict": 1}
    assert without_model(subjects, by_digest([STRICT.to_dict()])) == {}
    assert CABRequest.model_validate(subjects[1]).spec.assessment.risk_model.name == "default"
