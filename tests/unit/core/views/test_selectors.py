# SPDX-License-Identifier: Apache-2.0
"""Which objects the lists of the views leave out: none that a view would show."""

from typing import Any

import pytest

from cabgate.api.exception import ExceptionState
from cabgate.api.request import RequestState
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.views.queue import queue
from cabgate.views.selectors import APPROVED_REQUESTS, LIVE_EXCEPTIONS, WAITING_REQUESTS
from cabgate_samples.models import NOW, by_person, by_system, request
from unit.core.views.builders import whole

CONDITIONS = [{"name": "dba", "description": "there", "attestation": "Required"}]
REACHED: dict[RequestState, tuple[str, list[dict[str, Any]]]] = {
    RequestState.SUBMITTED: ("ManualReview", []),
    RequestState.UNDER_REVIEW: ("ManualReview", [by_person("UnderReview")]),
    RequestState.AUTO_APPROVED: ("AutoApprove", [by_system("AutoApproved")]),
    RequestState.APPROVED: ("ManualReview", [by_person("Approved")]),
    RequestState.CONDITIONALLY_APPROVED: (
        "ManualReview",
        [by_person("ConditionallyApproved", conditions=CONDITIONS)],
    ),
    RequestState.REJECTED: ("ManualReview", [by_person("Rejected")]),
    RequestState.EXCEPTION_REQUIRED: ("ExceptionRequired", []),
    RequestState.SUPERSEDED: ("ManualReview", [by_system("Superseded")]),
    RequestState.REVOKED: ("ManualReview", [by_person("Approved"), by_person("Revoked")]),
}


def left_out(selector: str) -> set[str]:
    return {part.removeprefix("status.state!=") for part in selector.split(",")}


@pytest.mark.parametrize("state", RequestState)
def test_a_request_is_left_out_only_if_it_waits_for_nobody(state: RequestState) -> None:
    gate, decisions = REACHED[state]
    [made] = whole(request(gate, *decisions))
    assert made.standing.state is state
    waits = bool(queue([made.stored], [], NOW))
    assert (state in left_out(WAITING_REQUESTS)) == (not waits)


def test_the_lists_leave_out_states_that_there_are() -> None:
    assert left_out(APPROVED_REQUESTS) == set(RequestState) - APPROVED_STATES
    assert left_out(LIVE_EXCEPTIONS) == set(ExceptionState) - {"Pending", "Approved"}
