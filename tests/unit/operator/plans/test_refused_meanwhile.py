# SPDX-License-Identifier: Apache-2.0
"""A request that a score would approve, opened before one of its images was refused: reopened, or
overtaken. Neither the operator approves it, nor does the webhook let it."""

from datetime import timedelta

import pytest

from cabgate.review.identity import User
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal
from cabgate_operator.plans.requests import System
from cabgate_samples.models import NOW, by_person, by_system, intent, noticed, request, target
from unit.core.standings import check_request_status
from unit.operator.standings import plan_request

OPERATOR = "system:serviceaccount:cabgate:operator"
SYSTEM = System(OPERATOR, NOW)
REFUSED = request(
    "ManualReview", by_person("Rejected"), targets=[target("checkout", "bad", "x")], name="refused"
)
LATER = noticed(
    request(
        "ManualReview",
        by_person("Approved", NOW - timedelta(minutes=1)),
        targets=[target("checkout", "bad", "y")],
        name="later",
    )
)
TARGETS = [target("checkout", "bad")]


@pytest.mark.parametrize("before", [[], [by_system("Superseded")]])
def test_it_is_not_approved_by_score(before):
    waiting = request("AutoApprove", *before, targets=TARGETS)
    live = intent(targets=TARGETS)
    plan = plan_request(waiting, live, [], SYSTEM, [REFUSED, waiting], model=DEFAULT_RISK_MODEL)
    assert plan.state == "Submitted"
    [held] = plan.held
    assert held.name == "EarlierVerdict"
    assert "request refused was rejected by rita" in held.explanation


def test_it_is_once_a_person_has_approved_the_image():
    waiting = request("AutoApprove", targets=TARGETS)
    plan = plan_request(
        waiting,
        intent(targets=TARGETS),
        [],
        SYSTEM,
        [REFUSED, LATER, waiting],
        model=DEFAULT_RISK_MODEL,
    )
    assert plan.state == "AutoApproved"
    assert plan.held == ()


@pytest.mark.parametrize(("others", "refused"), [([REFUSED], True), ([REFUSED, LATER], False)])
def test_the_webhook_holds_it_too(others, refused):
    waiting = request("AutoApprove", targets=TARGETS)
    plan = plan_request(waiting, intent(targets=TARGETS), [], SYSTEM, model=DEFAULT_RISK_MODEL)
    status = plan.request.stored.status.model_copy(update={"state": plan.state, "decided_at": NOW})
    written = plan.request.stored.model_copy(update={"status": status})

    def check():
        check_request_status(
            waiting,
            written,
            User(OPERATOR),
            current=True,
            model=DEFAULT_RISK_MODEL,
            now=NOW,
            others=others,
        )

    if refused:
        with pytest.raises(
            Refusal, match="a person decides on this request now: EarlierVerdict: request refused"
        ):
            check()
    else:
        check()
