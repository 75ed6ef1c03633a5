# SPDX-License-Identifier: Apache-2.0
"""How a request was decided, for a pipeline that waits for it."""

from typing import Any

import pytest

from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.waiting import Outcome
from cabgate_samples.models import NOW, by_person, by_system, exception, request
from unit.core.standings import outcome_of_request

WATCH = [{"name": "watch", "description": "somebody watches"}]


@pytest.mark.parametrize(
    ("gate", "decisions", "outcome"),
    [
        ("ManualReview", [], Outcome.OPEN),
        ("ManualReview", [by_person("UnderReview")], Outcome.OPEN),
        ("ManualReview", [by_person("Approved")], Outcome.APPROVED),
        ("ManualReview", [by_person("ConditionallyApproved", conditions=WATCH)], Outcome.APPROVED),
        ("AutoApprove", [by_system("AutoApproved")], Outcome.APPROVED),
        ("ManualReview", [by_person("Rejected")], Outcome.REFUSED),
        ("ManualReview", [by_person("Approved"), by_person("Revoked")], Outcome.REFUSED),
        ("ManualReview", [by_system("Superseded")], Outcome.REFUSED),
        ("ExceptionRequired", [], Outcome.OPEN),
    ],
)
def test_by_its_own_decisions(gate: str, decisions: list[dict[str, Any]], outcome: Outcome) -> None:
    assert outcome_of_request(standing_of(request(gate, *decisions)), [], NOW) is outcome


@pytest.mark.parametrize(
    ("decisions", "outcome"),
    [([], Outcome.OPEN), ([by_person("Approved")], Outcome.APPROVED),
     ([by_person("Rejected")], Outcome.OPEN)],
)  # fmt: skip
def test_by_an_exception_for_it(decisions: list[dict[str, Any]], outcome: Outcome) -> None:
    asked = request("ExceptionRequired")
    leave = exception(asked, *decisions)
    assert outcome_of_request(standing_of(asked), [leave], NOW) is outcome
