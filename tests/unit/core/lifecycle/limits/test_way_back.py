# SPDX-License-Identifier: Apache-2.0
"""Retention leaves the way back to what ran until a moment ago, however old its approval is."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import CABRequest, RequestState
from cabgate.lifecycle.limits.retention import removable
from cabgate.review.identity import User
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, by_person, by_system, intent, request, target
from cabgate_samples.objects import GOOD
from unit.core.standings import check_request_status

MINUTE = timedelta(minutes=1)
OPERATOR = User("system:serviceaccount:cabgate:operator")


def declared(version, **fields):
    return intent(GOOD, [target("web", f"web:{version}")], **fields)


def asked(found: CABRequest, at) -> CABRequest:
    status = found.status.model_copy(update={"asked_at": at})
    return found.model_copy(update={"status": status})


def approved(version, at, again=None) -> CABRequest:
    entry = by_person("Approved", at)
    return asked(request("", entry, of=declared(version), name=f"r{version}"), again or at)


def gone(requests, live, kept=2):
    return {r.metadata.name for r in removable(requests, [], {"checkout": live}, NOW, kept)}


def test_what_was_gone_back_to_is_no_longer_the_oldest():
    """Ten releases, back to the first, and then the eleventh, which is bad."""
    made = [approved(n, NOW + n * MINUTE) for n in range(1, 11)]
    back = approved(1, NOW + MINUTE, NOW + 11 * MINUTE)
    bad = approved(11, NOW + 12 * MINUTE)
    found = [back, *made[1:], bad]
    assert gone(found, declared(11), kept=10) == {"r2"}
    assert gone(found, declared(11), kept=1) == {f"r{n}" for n in range(2, 11)}


def test_without_a_time_of_asking_the_decision_counts():
    """As an older release left it."""
    made = [asked(approved(n, NOW + n * MINUTE), None) for n in range(1, 5)]
    assert gone(made, declared(4)) == {"r1", "r2"}


@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=25),
    st.integers(1, 4),
    st.booleans(),
)
def test_the_way_back_is_there_whatever_is_declared_in_turn(versions, kept, by_score):
    """Each version is approved where it is not, and retention looks after each change."""
    there: dict[str, CABRequest] = {}
    before: str | None = None
    present: str | None = None
    order: list[str] = []
    for step, version in enumerate(versions):
        at, name = NOW + step * MINUTE, f"r{version}"
        if name != present:
            before, present = present, name
        if name not in there:
            decision = by_system("AutoApproved", at) if by_score else by_person("Approved", at)
            there[name] = request("", decision, of=declared(version), name=name)
        there[name] = asked(there[name], at)
        order = [name, *(each for each in order if each != name)]
        for removed in gone(list(there.values()), declared(version), kept):
            del there[removed]
        assert before is None or before in there
        assert present in there
        # So many releases of those that were asked for last.
        assert set(order[:kept]) <= there.keys()
        assert len(there) <= max(kept, 2)


@pytest.mark.parametrize("minutes", [-60, 60])
def test_the_operator_says_the_present_time_alone(minutes):
    before = request("AutoApprove", of=declared(1))

    def write(at, old=before):
        new = asked(old, at)
        status = new.status.model_copy(update={"state": RequestState.SUBMITTED})
        new = new.model_copy(update={"status": status})
        check_request_status(old, new, OPERATOR, current=True, model=None, now=NOW)

    write(NOW)
    write(None)
    stands = asked(before, NOW + minutes * MINUTE)
    write(NOW + minutes * MINUTE, stands)
    write(NOW, stands)
    with pytest.raises(Refusal, match=r"status\.askedAt"):
        write(NOW + minutes * MINUTE)
    with pytest.raises(Refusal, match=r"status\.askedAt"):
        write(None, stands)
