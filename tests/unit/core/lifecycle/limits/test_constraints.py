# SPDX-License-Identifier: Apache-2.0
"""What an exception is limited to, by its team or its reviewer, and what a rollout makes of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.base import rfc3339
from cabgate.api.exception import Constraints
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.constraints import check_future, violation
from cabgate.lifecycle.state.states import expires_at, state_of
from cabgate.rollout.rollout import Scale
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, by_person, by_system, exception, request, rollout
from unit.core.standings import decide

RISKY = request("ExceptionRequired")
HOUR = timedelta(hours=1)


def window(opens: datetime, closes: datetime) -> dict[str, str]:
    return {"from": rfc3339(opens), "until": rfc3339(closes)}


def judged(
    constraints: dict[str, Any] | None = None,
    review: dict[str, Any] | None = None,
    *,
    replicas: int | None = 1,
    ring: int = 2,
    now: datetime = NOW,
) -> Reason:
    """The reason of a rollout under an exception that its team and its reviewer limit so."""
    entry = by_person("Approved", NOW - HOUR / 2, **({"constraints": review} if review else {}))
    leave = exception(RISKY, entry, constraints=constraints)
    return decide(replace(rollout(), scale=Scale(replicas)), ring, [RISKY], [leave], now).reason


ADMITTED, BEYOND, ENDED = (
    Reason.EXCEPTION_ACTIVE,
    Reason.CONSTRAINT_VIOLATED,
    Reason.EXCEPTION_ENDED,
)


@pytest.mark.parametrize(
    ("limit", "replicas", "reason"),
    [(3, 0, ADMITTED), (3, 3, ADMITTED), (3, 4, BEYOND), (3, None, BEYOND), (1, 1, ADMITTED)],
)
@pytest.mark.parametrize("by", ["team", "reviewer"])
def test_replicas(limit: int, replicas: int | None, reason: Reason, by: str) -> None:
    said = {"maxReplicas": limit}
    own, review = (said, None) if by == "team" else (None, said)
    assert judged(own, review, replicas=replicas) is reason


@pytest.mark.parametrize(
    ("limit", "ring", "reason"), [(2, 2, ADMITTED), (2, 3, BEYOND), (4, 4, ADMITTED)]
)
def test_rings(limit: int, ring: int, reason: Reason) -> None:
    assert judged({"maxRing": limit}, ring=ring) is reason
    assert judged(None, {"maxRing": limit}, ring=ring) is reason


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (timedelta(0), BEYOND),
        (HOUR - timedelta(seconds=1), BEYOND),
        (HOUR, ADMITTED),
        (2 * HOUR - timedelta(seconds=1), ADMITTED),
        (2 * HOUR, BEYOND),
        (3 * HOUR, ADMITTED),
        (4 * HOUR, BEYOND),
    ],
)
def test_windows(after: timedelta, reason: Reason) -> None:
    windows = [window(NOW + HOUR, NOW + 2 * HOUR), window(NOW + 3 * HOUR, NOW + 4 * HOUR)]
    assert judged({"windows": windows}, now=NOW + after) is reason
    assert judged(None, {"windows": windows}, now=NOW + after) is reason


def test_it_ends_at_the_earliest_of_all_that_end_it() -> None:
    sooner, later = rfc3339(NOW + HOUR), rfc3339(NOW + 2 * HOUR)
    for own, review in [(sooner, later), (later, sooner), (sooner, None), (None, sooner)]:
        said = [{"until": each} if each else None for each in (own, review)]
        assert judged(*said, now=NOW + HOUR - timedelta(seconds=1)) is ADMITTED
        assert judged(*said, now=NOW + HOUR) is ENDED


def test_an_end_after_its_days_lengthens_nothing() -> None:
    far = {"until": rfc3339(NOW + timedelta(days=400))}
    leave = exception(RISKY, by_person("Approved", constraints=far), constraints=far, days=1)
    assert expires_at(leave) == NOW - HOUR + timedelta(days=1)


def test_the_end_of_an_approval_that_is_taken_back_is_taken_back() -> None:
    soon = {"until": rfc3339(NOW + HOUR)}
    leave = exception(
        RISKY, by_person("Approved", constraints=soon), by_system("Reopened", NOW - HOUR / 4)
    )
    assert expires_at(leave) == NOW - HOUR + timedelta(days=30)
    assert state_of(leave, NOW + 2 * HOUR) == "Pending"


def test_the_system_ends_it_at_its_earlier_end_and_nobody_revokes_it_after() -> None:
    soon = {"until": rfc3339(NOW)}
    approved = by_person("Approved", NOW - HOUR / 2, constraints=soon)
    ended = exception(RISKY, approved, by_system("Expired", NOW))
    assert [state_of(ended, NOW - HOUR / 4), state_of(ended, NOW)] == ["Expired", "Expired"]
    revoked = exception(RISKY, approved, by_person("Revoked", NOW))
    assert state_of(revoked, NOW) == "Expired"


def test_another_exception_that_the_rollout_keeps_to_admits_it() -> None:
    narrow = exception(RISKY, by_person("Approved"), name="a", constraints={"maxReplicas": 1})
    wide = exception(RISKY, by_person("Approved"), name="b", constraints={"maxReplicas": 9})
    what = replace(rollout(), scale=Scale(5))
    for leaves in ([narrow, wide], [wide, narrow]):
        found = decide(what, 2, [RISKY], leaves, NOW)
        assert (found.reason, found.basis.exception and found.basis.exception.metadata.name) == (
            ADMITTED,
            "b",
        )


def test_an_approved_request_is_under_no_constraint() -> None:
    approved = request("ManualReview", by_person("Approved"))
    what = replace(rollout(), scale=Scale(1000))
    assert decide(what, 4, [approved], [], NOW).allowed


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "maxReplicas": st.integers(1, 5),
        "maxRing": st.integers(2, 4),
        "windows": st.lists(
            st.tuples(st.integers(-5, 4), st.integers(1, 4)).map(
                lambda each: window(NOW + each[0] * HOUR, NOW + (each[0] + each[1]) * HOUR)
            ),
            max_size=3,
        ),
    },
)


@given(LIMITS, LIMITS, st.none() | st.integers(0, 6), st.integers(2, 4))
def test_the_narrower_of_both_holds(
    own: dict[str, Any], review: dict[str, Any], replicas: int | None, ring: int
) -> None:
    """What both admit is admitted, and nothing that one of them does not."""
    both = judged(own, review, replicas=replicas, ring=ring) is ADMITTED
    each = [judged(said, replicas=replicas, ring=ring) is ADMITTED for said in (own, review)]
    assert both == all(each)


def test_what_was_not_asked_is_not_held_against_a_rollout() -> None:
    """Of what an intent declares nobody knows the replicas."""
    said = [Constraints.model_validate({"maxReplicas": 1, "maxRing": 2})]
    assert violation(said, rollout(), None, NOW) is None


@pytest.mark.parametrize(
    ("constraints", "field"),
    [
        ({"until": rfc3339(NOW)}, "until"),
        ({"windows": [window(NOW - 2 * HOUR, NOW)]}, "windows"),
    ],
)
def test_what_leaves_no_time_is_refused_with_its_path(
    constraints: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refusal, match=rf"^Invalid: spec\.constraints\.{field}: (is|are all) over"):
        check_future(Constraints.model_validate(constraints), "spec.constraints", NOW)
