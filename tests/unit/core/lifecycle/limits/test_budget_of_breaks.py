# SPDX-License-Identifier: Apache-2.0
"""What the breaks of a workload left is in nobody's way: nothing removes it, so nobody could make
room."""

import pytest

from cabgate.lifecycle.limits.budget import MAX_OF_REQUEST_BYTES, MAX_OF_WORKLOAD_BYTES
from cabgate.lifecycle.limits.retention import removable
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, by_person, by_system, request, retrospective
from unit.core.standings import check_opening

NEXT = request("ManualReview")


BROKEN = retrospective(by_system("GlassBroken"))


def breaks(size, count):
    return [(BROKEN, size)] * count


@pytest.mark.parametrize("size", [3_000, 40_000])
def test_a_workload_that_was_broken_often_gets_a_request_like_any_other(size):
    count = 1 + max(MAX_OF_WORKLOAD_BYTES, MAX_OF_REQUEST_BYTES) // size
    check_opening(NEXT, breaks(size, min(count, 700)))


def test_what_intents_declare_is_counted_as_before():
    beside = request("ManualReview", name="beside")
    with pytest.raises(Refusal) as refused:
        check_opening(NEXT, [*breaks(3_000, 3), (beside, MAX_OF_WORKLOAD_BYTES)])
    assert refused.value.reason is RefusalReason.BUDGET_USED_UP
    assert f"the largest {beside.metadata.name}" in str(refused.value)


def test_no_trace_of_a_break_goes():
    decided = [
        retrospective(by_system("GlassBroken"), by_person(verdict))
        for verdict in ("Approved", "Rejected")
    ]
    assert removable([*decided, retrospective(by_system("GlassBroken"))], [], {}, NOW, kept=0) == []
