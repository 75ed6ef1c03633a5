# SPDX-License-Identifier: Apache-2.0
"""Where an exception stands is told once, and says what its decisions say at any moment."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.exception import ExceptionState, ExceptionVerdict
from cabgate.gate.candidates import describe
from cabgate.gate.decide import candidates, decide
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state import standing, states
from cabgate.lifecycle.state.standing import ExceptionStanding, standing_of
from cabgate.lifecycle.state.states import approval_of, expires_at, state_of
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from unit.operator.support import BAD, ME, NOW, exception, request

VERDICTS = [verdict.value for verdict in ExceptionVerdict]
ENTRIES = st.tuples(st.sampled_from(VERDICTS), st.sampled_from(["sid", ME]))
REQUEST = request(BAD)
TARGET = REQUEST.spec.targets[0]
ROLLOUT = Rollout("team", Workload.of(TARGET), tuple(TARGET.images))


@given(
    entries=st.lists(
        st.tuples(st.sampled_from(VERDICTS), st.sampled_from(["sid", ME])), max_size=5
    ),
    minutes=st.integers(-10, 3 * 24 * 60),
)
def test_it_says_what_the_exception_says(entries: list[tuple[str, str]], minutes: int) -> None:
    leave, moment = exception(REQUEST, *entries), NOW + timedelta(minutes=minutes)
    stands = ExceptionStanding.of(leave)
    assert stands.state_at(moment) is state_of(leave, moment)
    assert stands.approval == approval_of(leave)
    assert stands.expires_at == expires_at(leave)


def test_it_ends_to_the_second() -> None:
    stands = ExceptionStanding.of(exception(REQUEST, ("Approved", "sid")))
    second = timedelta(seconds=1)
    assert stands.state_at(stands.expires_at - second) is ExceptionState.APPROVED
    assert stands.state_at(stands.expires_at) is ExceptionState.EXPIRED


@pytest.mark.parametrize(
    ("entries", "reason"),
    [([("Approved", "sid")], Reason.EXCEPTION_ACTIVE), ([], Reason.EXCEPTION_PENDING)],
)
def test_a_decision_and_its_explanation_replay_none(entries, reason, monkeypatch) -> None:
    leaves = [ExceptionStanding.of(exception(REQUEST, *entries))] * 3
    requests = [standing_of(REQUEST)]

    def replayed(_: object) -> None:
        raise AssertionError("its decisions are gone through again")

    for module in (states, standing):
        monkeypatch.setattr(module, "exception_history", replayed)
    assert decide(ROLLOUT, 3, requests, leaves, NOW).reason is reason
    for look in candidates(ROLLOUT, requests, leaves, NOW):
        assert describe(look, ROLLOUT, leaves, NOW)
