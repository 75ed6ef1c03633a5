# SPDX-License-Identifier: Apache-2.0
"""Figures of what became of changes once they were rolled out."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.base import rfc3339
from cabgate.api.outcome import RolloutOutcome
from cabgate.reports.report import By, Report, band_of, report
from cabgate.reports.rollouts import ROLLED_BACK_WITHIN, changes_of, outcomes_in
from unit.core.reports.test_figures import BEGIN, END, Ledger, at

HOUR = 3600


def outcome(
    began: float,
    about: str | None,
    *,
    workload: str = "shop/web",
    image: str | None = None,
    template: str | None = None,
    ring: int = 2,
    release: str | None = None,
    **status: Any,
) -> RolloutOutcome:
    """An outcome that began so many days after the report does; `about` is the request, which by
    default has an image of its own."""
    namespace, _, name = workload.partition("/")
    spec: dict[str, Any] = {
        "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "images": [image or f"web:{about}"],
        "template": template,
        "ring": ring,
        "intentName": name,
    }
    spec |= (
        {} if about is None else {"requestName": about, "release": release or f"release-of-{name}"}
    )
    moments = {key: rfc3339(at(status.pop(key))) for key in ("endedAt",) if key in status}
    return RolloutOutcome.model_validate(
        {
            "metadata": {
                "name": f"{name}-{began}",
                "namespace": namespace,
                "uid": f"{workload}-{began}",
                "creationTimestamp": rfc3339(at(began)),
            },
            "spec": spec,
            "status": {**status, **moments},
        }
    )


def incident(days: float, severity: int = 1) -> dict[str, Any]:
    entry = {"at": rfc3339(at(days)), "by": "alertmanager"}
    return {"id": f"INC-{days}", "severity": severity, "source": "pager", **entry}


def down(days: float) -> dict[str, Any]:
    return {"from": rfc3339(at(days)), "reason": "Unavailable"}


def of(*outcomes: RolloutOutcome, ledger: Ledger | None = None, by: By | None = None) -> Report:
    return report((ledger or Ledger()).records, BEGIN, END, by, outcomes)


def numbers(*outcomes: RolloutOutcome, **more: Any) -> dict[str, Any]:
    return {name: value.number for name, value in of(*outcomes, **more).total.values.items()}


@pytest.fixture
def ledger() -> Ledger:
    found = Ledger()
    found.add("shop/web-1", "AutoApproved", 1, opened=0.5, score="20.00", gate="AutoApprove")
    found.add("shop/web-2", "Approved", 11, "rita", opened=10, score="60.00", gate="ManualReview")
    found.add("shop/api-1", "Approved", 12, "rita", opened=11, score="50.00", gate="AutoApprove")
    return found


STORY = (
    outcome(1.5, "web-1", result="Replaced", endedAt=12),
    outcome(
        12,
        "web-2",
        result="RolledBack",
        endedAt=13,
        incidents=[incident(12.5)],
        interruptions=[down(12.75)],
    ),
    outcome(13, None, result="Replaced", endedAt=20),
    outcome(14, "api-1", workload="shop/api"),
)
"""Two changes of one workload of which the second failed and was rolled back, one of another."""


def test_a_story_that_is_known_by_heart(ledger: Ledger) -> None:
    found = of(*STORY, ledger=ledger).total.values
    assert found["rolledOut"].number == 3
    assert found["rolledOut"].records == ("shop/api-14", "shop/web-1.5", "shop/web-12")
    assert found["deploymentFrequency"].number == Fraction(3, 92)
    assert found["changesFailed"].records == ("shop/web-12",)
    assert found["changeFailureRate"].number == Fraction(1, 3)
    assert found["leadTimeP50"].number == 2 * 24 * HOUR
    assert found["leadTimeMax"].number == 3 * 24 * HOUR
    assert found["timeToRestoreMax"].number == 12 * HOUR  # from the incident on


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.NAMESPACE, {"shop": (3, 1)}),
        (By.RING, {"2": (3, 1), "unknown": (0, 0)}),
        (By.INTENT, {"shop/api": (1, 0), "shop/web": (2, 1), "unknown": (0, 0)}),
        (By.RELEASE, {"release-of-api": (1, 0), "release-of-web": (2, 1)}),
        (By.TIER, {"AutoApprove": (2, 0), "ManualReview": (1, 1)}),
        (By.SCORE, {"0 to 25": (1, 0), "25.01 to 50": (1, 0), "50.01 to 75": (1, 1)}),
    ],
)
def test_changes_are_told_apart_by_what_their_requests_say(
    ledger: Ledger, by: By, expected: dict[str, tuple[int, int]]
) -> None:
    groups = of(*STORY, ledger=ledger, by=by).groups
    assert {
        g.name: (g.values["rolledOut"].number, g.values["changesFailed"].number) for g in groups
    } == expected
    if by is By.RELEASE:
        assert groups[1].values["decisions"].number == 2


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        ({}, False),
        ({"result": "Replaced", "endedAt": 30}, False),
        ({"result": "Succeeded", "endedAt": 30}, False),
        ({"result": "Failed", "endedAt": 30}, True),
        ({"result": "RolledBack", "endedAt": 1 + ROLLED_BACK_WITHIN.days}, True),
        ({"result": "RolledBack", "endedAt": 1.1 + ROLLED_BACK_WITHIN.days}, False),
        ({"incidents": [incident(2, severity=2)]}, True),
        ({"incidents": [incident(2, severity=3)]}, False),
    ],
)
def test_a_change_failed_if_its_outcome_says_so(status: dict[str, Any], failed: bool) -> None:
    assert numbers(outcome(1, "web-1", **status))["changesFailed"] == failed


def test_what_a_request_let_in_twice_is_one_change_and_failed_if_either_did() -> None:
    other = f"r1:sha256:{'1' * 64}"  # other variables, same images
    first = outcome(1, "web-1", result="Replaced", endedAt=2)
    second = outcome(2, "web-1", template=other, result="Failed", endedAt=4,
                     interruptions=[down(3)])  # fmt: skip
    found = numbers(first, second, outcome(4, "web-2"))
    assert (found["rolledOut"], found["changesFailed"]) == (2, 1)
    assert found["timeToRestoreMax"] == 24 * HOUR


def test_what_was_not_replaced_or_failed_at_no_known_time_restores_nothing() -> None:
    still = outcome(1, "web-1", incidents=[incident(2)])
    assert numbers(still)["timeToRestoreP50"] is None
    quiet = outcome(1, "web-1", result="RolledBack", endedAt=2)
    assert numbers(quiet, outcome(2, None))["timeToRestoreP50"] is None


def test_an_outage_that_was_over_is_not_when_it_failed() -> None:
    over = {**down(1.5), "until": rfc3339(at(2))}
    failed = outcome(1, "web-1", incidents=[incident(5)], interruptions=[over])
    assert numbers(failed, outcome(6, "web-2"))["timeToRestoreMax"] == 24 * HOUR


def test_an_incident_that_is_reported_of_what_was_replaced_long_ago_restores_nothing() -> None:
    old = outcome(1, "web-1", result="Replaced", endedAt=2, incidents=[incident(5)])
    found = numbers(old, outcome(2, "web-2"))
    assert (found["changesFailed"], found["timeToRestoreP50"]) == (1, None)


REPLACED = {"result": "Replaced", "endedAt": 9}
"""How an outcome ends, too, after which the same runs on in another ring, release or intent."""


def test_what_runs_on_in_another_ring_is_not_replaced_and_has_no_other_seven_days() -> None:
    bad = outcome(1, "web-1", **REPLACED, incidents=[incident(2)])
    raised = outcome(3, "web-1", ring=3, **REPLACED)
    found = numbers(bad, raised, outcome(10, "web-2"))
    assert (found["rolledOut"], found["timeToRestoreMax"]) == (2, 8 * 24 * HOUR)
    late = outcome(6, "web-1", ring=3, result="RolledBack", endedAt=11)
    assert numbers(outcome(1, "web-1", **REPLACED), late)["changesFailed"] == 0
    assert numbers(late)["changesFailed"] == 1


def test_new_evidence_for_what_runs_already_rolls_nothing_out() -> None:
    first = outcome(1, "web-1", image="web:1", **REPLACED)
    again = outcome(5, "web-2", image="web:1", ring=3)
    assert numbers(first, again)["rolledOut"] == 1
    for gone in ({}, {"result": "Succeeded", "endedAt": 2}):  # and came back with it
        assert numbers(outcome(1, "web-1", image="web:1", **gone), again)["rolledOut"] == 2


def test_lead_time_begins_with_the_request_and_not_with_its_exception(ledger: Ledger) -> None:
    said = {"requestName": "web-1", "reason": "outage", "durationDays": 30}
    ledger.add("shop/web-1", "Approved", 19, "sec", kind="CABException", opened=19, exception=said)
    found = numbers(outcome(20, "web-1"), ledger=ledger)
    assert found["leadTimeMax"] == 19.5 * 24 * HOUR


def test_an_exception_is_of_the_release_of_its_request(ledger: Ledger) -> None:
    said = {"requestName": "web-1", "reason": "outage", "durationDays": 30}
    ledger.add("shop/leave", "Approved", 19, "sec", kind="CABException", opened=19, exception=said)
    old = outcome(1, "web-1", release="before", **REPLACED)
    for outcomes in ([old, outcome(4, "web-1")], [outcome(4, "web-1"), old]):
        groups = {g.name: g.values for g in of(*outcomes, ledger=ledger, by=By.RELEASE).groups}
        assert groups["release-of-web"]["exceptionsGranted"].number == 1


def test_a_namespace_that_was_made_anew_has_changes_of_its_own() -> None:
    ledger = Ledger()
    for uid, day in (("u-1", 1), ("u-9", 40)):
        ledger.add("shop/web-1", "Approved", day, "rita", opened=day, uid=uid)
    gone = outcome(3, "web-1")
    found = numbers(gone, outcome(42, "web-1"), ledger=ledger)
    assert (found["rolledOut"], found["leadTimeMax"]) == (2, 2 * 24 * HOUR)


@pytest.mark.parametrize("metadata", ["x", ["a"], None, {"name": 3}])
def test_what_cannot_be_read_is_told_of_whatever_it_is(metadata: Any) -> None:
    found, unread = outcomes_in([{"metadata": metadata, "spec": {}}])
    assert found == []
    assert unread[0].startswith("RolloutOutcome ")


def test_what_began_before_the_report_or_after_it_is_of_another_one() -> None:
    assert numbers(outcome(-1, "web-0"), outcome(92, "web-9"))["rolledOut"] == 0


def test_of_several_contents_of_an_outcome_the_last_counts_in_whatever_order() -> None:
    begun = outcome(1, "web-1", pods={"seen": 1})
    grown = outcome(1, "web-1", pods={"seen": 3}, interruptions=[down(2)])
    ended = outcome(1, "web-1", pods={"seen": 3}, result="Failed", endedAt=3)
    for contents in ([begun, grown, ended], [ended, grown, begun]):
        (change,) = changes_of(contents, [])
        assert change.outcome == ended


def test_without_outcomes_nothing_is_said_of_rollouts(ledger: Ledger) -> None:
    found = report(ledger.records, BEGIN, END, By.TIER)
    for group in (found.total, *found.groups):
        assert group.values["rolledOut"].number is group.values["changeFailureRate"].number is None


@pytest.mark.parametrize(
    ("score", "band"),
    [("0.00", "0 to 25"), ("25.00", "0 to 25"), ("25.01", "25.01 to 50"), ("50.00", "25.01 to 50"),
     ("75.01", "75.01 to 100"), ("100.00", "75.01 to 100")],
)  # fmt: skip
def test_a_band_ends_where_a_tier_of_the_built_in_model_does(score: str, band: str) -> None:
    ledger = Ledger()
    record = ledger.add("shop/web", "Approved", 1, "rita", score=score)
    assert record.spec.score == score
    assert [g.name for g in report(ledger.records, BEGIN, END, By.SCORE).groups] == [band]
    assert band == band_of(score)


@given(
    st.lists(
        st.tuples(
            st.integers(-5, 95),
            st.sampled_from(["shop/web", "shop/api", "bank/web"]),
            st.sampled_from([None, "one", "two", "three"]),
            st.sampled_from([None, "Failed", "Replaced", "Succeeded"]),
            st.integers(1, 4) | st.none(),
        ),
        max_size=25,
        unique_by=lambda each: each[:2],
    )
)
def test_random_outcomes_are_counted_as_one_would_by_hand(story: Any) -> None:
    outcomes = []
    begun: dict[Any, int] = {}
    bad = set()
    for began, workload, request, result, severity in story:
        status: dict[str, Any] = {"result": result, "endedAt": began + 1} if result else {}
        status |= {"incidents": [incident(began, severity)]} if severity else {}
        outcomes.append(outcome(began, request, workload=workload, **status))
        if request is not None:
            key = (workload, request)
            begun[key] = min(begun.get(key, began), began)
            if result == "Failed" or severity in (1, 2):
                bad.add(key)
    within = {key for key, began in begun.items() if 0 <= began < (END - BEGIN) / timedelta(days=1)}
    found = numbers(*outcomes)
    assert (found["rolledOut"], found["changesFailed"]) == (len(within), len(within & bad))
    share = Fraction(len(within & bad), len(within)) if within else None
    assert found["changeFailureRate"] == share
