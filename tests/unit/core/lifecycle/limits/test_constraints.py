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
from cabgate.rollout.workloads import kind_of, rollout_of
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, by_person, by_system, exception, request, rollout
from unit.core.standings import decide

RISKY = request("ExceptionRequired")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


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
    [
        (3, -1, BEYOND),
        (3, 0, ADMITTED),
        (3, 3, ADMITTED),
        (3, 4, BEYOND),
        (3, None, BEYOND),
        (1, 1, ADMITTED),
    ],
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
            min_size=1,
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
    assert violation(said, rollout(), None, NOW, NOW + DAY) is None


def test_it_never_opens_where_its_end_or_the_other_windows_come_first() -> None:
    later = {"windows": [window(NOW + 2 * DAY, NOW + 3 * DAY)]}
    apart = {"windows": [window(NOW + DAY, NOW + 2 * DAY)]}
    both = [Constraints.model_validate(each) for each in (later, apart)]
    alone, found = violation(both[:1], rollout(), 2, NOW, NOW + 9 * DAY), None
    assert alone is not None
    assert alone.opens == NOW + 2 * DAY
    for said, end in [(both, NOW + 9 * DAY), (both[:1], NOW + 2 * DAY)]:
        found = violation(said, rollout(), 2, NOW, end)
        assert found is not None
        assert found.opens is None


@pytest.mark.parametrize(
    ("strategy", "replicas"),
    [
        ({}, 2),
        ({"canary": {"steps": [{"setCanaryScale": {"replicas": 7}}]}}, 7),
        ({"blueGreen": {"previewReplicaCount": 9}}, 9),
        ({"canary": {"steps": [{"experiment": {"templates": [{"replicas": 5}]}}]}}, 5),
        ({"canary": {"steps": [{"setCanaryScale": {"replicas": 1}}]}}, 2),
    ],
)
def test_the_steps_of_an_argo_rollout_count(strategy: dict[str, Any], replicas: int) -> None:
    kind = kind_of("argoproj.io/v1alpha1", "Rollout")
    assert kind is not None
    spec = {
        "replicas": 2,
        "strategy": strategy,
        "template": {"spec": {"containers": [{"image": "a"}]}},
    }
    found = rollout_of(kind, "shop", {"metadata": {"name": "web"}, "spec": spec})
    assert found.scale == Scale(replicas)


@pytest.mark.parametrize(
    ("kind", "said", "replicas"),
    [
        ("Deployment", {}, 1),
        ("Deployment", {"replicas": 4}, 4),
        ("Deployment", {"replicas": "4"}, None),
        ("Deployment", {"replicas": True}, None),
        ("Deployment", {"replicas": 4.0}, None),
        ("DaemonSet", {}, None),
    ],
)
def test_a_manifest_says_what_the_api_server_makes_of_it(
    kind: str, said: dict[str, Any], replicas: int | None
) -> None:
    known = kind_of("apps/v1", kind)
    assert known is not None
    obj = {
        "metadata": {"name": "web"},
        "spec": {**said, "template": {"spec": {"containers": [{"image": "a"}]}}},
    }
    assert rollout_of(known, "shop", obj).scale == Scale(replicas)


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
