# SPDX-License-Identifier: Apache-2.0
"""Which freezes hold at a moment, since when and until when."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import ChangeFreeze
from cabgate.api.base import rfc3339
from cabgate.api.changefreeze import NAME_LABEL
from cabgate.lifecycle.limits.freezes import (
    freezes_in_force,
    in_force,
    may_hold,
    not_overridden,
    overridden_already,
    read_freezes,
)
from cabgate_samples.models import NOW
from support.freezes import DAY, freeze, interval

LABELS = {"kubernetes.io/metadata.name": "shop", "cabgate.dev/change-policy": "board"}
HOUR = timedelta(hours=1)
IN_SHOP = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "pay"]}
NOT_BOARD = {"key": "cabgate.dev/change-policy", "operator": "NotIn", "values": ["board"]}


def held(*freezes: Any, ring: int = 3, now: Any = NOW, labels: Any = LABELS) -> list[str]:
    return [each.name for each in freezes_in_force(freezes, labels, ring, now)]


def of(*intervals: Any, **more: Any) -> Any:
    (found,) = freezes_in_force([freeze("one", *intervals, **more)], LABELS, 3, NOW)
    return found


@pytest.mark.parametrize(
    ("begins", "ends", "holds"),
    [
        (timedelta(0), HOUR, True),
        (-HOUR, timedelta(0), False),
        (timedelta(seconds=1), HOUR, False),
        (-HOUR, timedelta(seconds=1), True),
    ],
)
def test_it_holds_from_its_first_second_and_not_in_its_last(
    begins: Any, ends: Any, holds: bool
) -> None:
    assert bool(held(freeze("one", interval(begins, ends)))) is holds


@pytest.mark.parametrize(
    ("spec", "ring", "holds"),
    [
        ({}, 2, True),
        ({"ringFrom": 3}, 2, False),
        ({"ringFrom": 3}, 3, True),
        ({"terms": [IN_SHOP]}, 3, True),
        ({"terms": [{**IN_SHOP, "values": ["pay"]}]}, 3, False),
        ({"terms": [{**IN_SHOP, "operator": "NotIn"}]}, 3, False),
        ({"terms": [NOT_BOARD]}, 3, False),
        ({"terms": [IN_SHOP, NOT_BOARD]}, 3, False),
        ({"terms": [{**NOT_BOARD, "values": ["other"]}]}, 3, True),
    ],
)
def test_it_is_about_the_rings_and_namespaces_that_it_names(
    spec: Any, ring: int, holds: bool
) -> None:
    assert bool(held(freeze("one", **spec), ring=ring)) is holds


def test_intervals_without_a_gap_are_one() -> None:
    found = of(interval(HOUR, DAY), interval(-DAY, -HOUR), interval(-HOUR, HOUR))
    assert (found.since, found.until) == (NOW - DAY, NOW + DAY)
    apart = of(interval(2 * HOUR, DAY), interval(-DAY, -2 * HOUR), interval(-HOUR, HOUR))
    assert (apart.since, apart.until) == (NOW - HOUR, NOW + HOUR)


def test_it_begins_when_it_was_declared_where_that_was_later() -> None:
    assert of(created=NOW - HOUR).since == NOW - HOUR


def test_outside_of_every_window_each_of_them_holds() -> None:
    morning = freeze("morning", interval(-3 * HOUR, -2 * HOUR), kind="Window")
    evening = freeze("evening", interval(5 * HOUR, 6 * HOUR), kind="Window")
    found = freezes_in_force([morning, evening], LABELS, 3, NOW)
    assert [each.name for each in found] == ["evening", "morning"]
    assert {each.since for each in found} == {NOW - 2 * HOUR}
    assert {each.until for each in found} == {NOW + 5 * HOUR}
    assert held(morning, evening, freeze("now", interval(), kind="Window")) == []
    assert of(interval(-3 * HOUR, -2 * HOUR), kind="Window").until is None


def test_a_freeze_holds_in_an_open_window_too() -> None:
    assert held(freeze("open", kind="Window"), freeze("shut")) == ["shut"]


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "Thaw"},
        {"kind": "Freeze", "title": 7},
        {"ringFrom": 9},
        {"terms": [{**IN_SHOP, "operator": "Like"}]},
        {"terms": [{**IN_SHOP, "values": ["pay"], "unless": "x"}]},
        {"onlyWhen": "the moon is full"},
    ],
)
def test_one_that_cannot_be_read_is_a_freeze_for_its_intervals(spec: Any) -> None:
    held_now = freeze("new", **spec)
    assert held(held_now, ring=2) == ["new"]
    over = freeze("new", interval(-DAY, -HOUR), {"from": "soon", "until": "later"}, 7, **spec)
    assert held(over) == []
    assert held({"metadata": {"name": "empty"}}, {"metadata": None, "spec": 1}) == []


SINCE, TO = rfc3339(NOW - HOUR), rfc3339(NOW + HOUR)


@pytest.mark.parametrize(
    ("part", "before", "now", "after", "until"),
    [
        ({"from": SINCE}, [], ["new"], ["new"], None),
        ({"from": SINCE, "until": "2026-03-01"}, [], ["new"], ["new"], None),
        ({"from": SINCE, "for": "8h"}, [], ["new"], ["new"], None),
        ({"until": TO}, ["new"], ["new"], [], NOW + HOUR),
        ({"from": "each Friday", "until": TO}, ["new"], ["new"], [], NOW + HOUR),
        ({"weekly": "Fri 16:00-Mon 08:00"}, [], [], [], None),
        ({"from": None, "until": 7}, [], [], [], None),
    ],
)
def test_an_interval_of_which_one_end_is_not_known_is_frozen_on_that_side(
    part: Any, before: Any, now: Any, after: Any, until: Any
) -> None:
    """What lets nobody know when it ends lets nobody roll out as if it had ended."""
    new = freeze("new", interval(-9 * DAY, -8 * DAY), part, created=NOW - 20 * DAY)
    found = [held(new, now=at) for at in (NOW - 2 * HOUR, NOW, NOW + 99 * DAY)]
    assert found == [before, now, after]
    assert [each.until for each in freezes_in_force([new], LABELS, 3, NOW)] == [until] * len(now)


@pytest.mark.parametrize("more", [{"title": 7}, {"unless": "x"}, {"ringFrom": "x"}])
@pytest.mark.parametrize("now", [NOW, NOW + 3 * DAY, NOW + 999 * DAY])
def test_a_window_that_cannot_be_read_is_shut_at_any_time_where_it_is_about(
    more: Any, now: Any
) -> None:
    strange = freeze("strange", kind="Window", terms=[IN_SHOP], **more)
    other = freeze("other", interval(-DAY, 9999 * DAY), kind="Window")
    assert held(strange, other, now=now) == ["strange"]
    assert freezes_in_force([strange], {**LABELS, NAME_LABEL: "far"}, 3, now) == []
    blind = freeze("blind", kind="Window", terms=[{**IN_SHOP, "unless": "x"}])
    assert [each.name for each in freezes_in_force([blind], {}, 3, now)] == ["blind"]
    (found,) = freezes_in_force([strange], LABELS, 3, now)
    assert (found.until, found.title) == (
        None,
        "strange, which this release of cabgate cannot read",
    )
    assert not_overridden([found], {"strange": NOW}) == []


def test_one_override_of_an_interval_is_enough() -> None:
    def done(spec: Any, given: Any, **labels: str) -> list[str]:
        return overridden_already(read_freezes([spec]), labels, {"one": NOW + given}, NOW)

    weekend, ahead = interval(-DAY, -HOUR), interval(HOUR, DAY)
    for spec in (freeze("one", weekend), freeze("one", weekend, ahead)):
        assert done(spec, -2 * HOUR) == []
        assert done(spec, -HOUR) == ["one"]
    assert done(freeze("one", interval(-DAY, DAY), created=NOW - HOUR), -2 * HOUR) == []
    night = freeze("one", weekend, ahead, kind="Window")
    assert done(night, -25 * HOUR) == []
    assert done(night, -DAY) == ["one"]
    assert overridden_already(read_freezes([night]), {}, {"other": NOW}, NOW) == []


def test_an_override_of_a_freeze_that_is_about_other_namespaces_is_not_repeated_either() -> None:
    far = read_freezes([freeze("one", terms=[IN_SHOP])])
    assert overridden_already(far, {NAME_LABEL: "pay"}, {"one": NOW}, NOW) == ["one"]


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 20)), min_size=1, max_size=9),
    st.integers(-80, 0),
    st.sampled_from(["Freeze", "Window"]),
)
def test_whoever_is_kept_back_can_override(spans: Any, given_at: int, kind: str) -> None:
    intervals = [interval(HOUR * begin, HOUR * (begin + length)) for begin, length in spans]
    known = read_freezes([freeze("one", *intervals, kind=kind, created=NOW - 30 * DAY)])
    overrides = {"one": NOW + HOUR * given_at}
    if not_overridden(in_force(known, LABELS, 3, NOW), overrides):
        assert overridden_already(known, LABELS, overrides, NOW) == []


def test_an_override_is_of_the_freeze_that_was_there_when_it_was_given() -> None:
    found = [of(created=NOW - HOUR)]
    assert not_overridden(found, {}) == found
    assert not_overridden(found, {"other": NOW}) == found
    assert not_overridden(found, {"one": NOW - 2 * HOUR}) == found
    assert not_overridden(found, {"one": NOW - HOUR}) == []


def test_an_override_is_of_one_interval() -> None:
    weekend, next_one = interval(-50 * HOUR, -48 * HOUR), interval(-HOUR, HOUR)
    (found,) = freezes_in_force([freeze("one", weekend, next_one)], {}, 2, NOW)
    assert not_overridden([found], {"one": NOW - 49 * HOUR}) == [found]
    assert not_overridden([found], {"one": NOW - 2 * HOUR}) == []
    night = freeze("one", weekend, interval(9 * HOUR, 10 * HOUR), kind="Window")
    (closed,) = freezes_in_force([night], {}, 2, NOW)
    assert not_overridden([closed], {"one": NOW - 51 * HOUR}) == [closed]
    assert not_overridden([closed], {"one": NOW - HOUR}) == []


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 20)), min_size=1, max_size=30),
    st.integers(-60, 80),
)
def test_freeze_and_window_of_the_same_intervals_are_opposites(spans: Any, hour: int) -> None:
    intervals = [interval(HOUR * begin, HOUR * (begin + length)) for begin, length in spans]
    now = NOW + HOUR * hour
    within = any(begin <= hour < begin + length for begin, length in spans)
    old = {"created": NOW - 30 * DAY}
    assert bool(held(freeze("a", *intervals, **old), now=now)) is within
    assert bool(held(freeze("a", *intervals, kind="Window", **old), now=now)) is not within
    for each in freezes_in_force([freeze("a", *intervals, **old)], LABELS, 3, now):
        assert each.since <= now < each.until  # type: ignore[operator]
        assert held(freeze("a", *intervals, **old), now=each.until) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Freeze", "Window"]),
            st.integers(-5, 5),
            st.integers(1, 5),
            st.integers(2, 4),
            st.sampled_from([[], [IN_SHOP]]),
        ),
        max_size=6,
    ),
    st.integers(0, 5),
    st.sampled_from([LABELS, {}]),
)
def test_where_no_freeze_may_hold_none_does(
    spans: Any, ring: int, labels: Mapping[str, str]
) -> None:
    freezes = [
        freeze(
            str(number),
            interval(HOUR * begin, HOUR * (begin + length)),
            kind=kind,
            ringFrom=ring_from,
            terms=terms,
        )
        for number, (kind, begin, length, ring_from, terms) in enumerate(spans)
    ]
    alone = [each for each in freezes if held({**each, "spec": _for_all(each["spec"])}, now=NOW)]
    assert may_hold(read_freezes(freezes), NOW) is bool(alone)
    if freezes_in_force(freezes, labels, ring, NOW):
        assert alone


def _for_all(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: spec[key] for key in spec if key not in ("ringFrom", "namespaceSelector")}


def test_a_stored_freeze_is_as_it_was_written() -> None:
    written = freeze("one", {**interval(), "title": "Friday"}, ringFrom=3, terms=[IN_SHOP])
    stored = ChangeFreeze.model_validate(written).to_dict()
    assert stored["spec"] == written["spec"]
    assert written["spec"]["intervals"][0]["from"] == rfc3339(NOW - DAY)
