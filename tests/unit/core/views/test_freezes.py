# SPDX-License-Identifier: Apache-2.0
"""The calendar: what the gate's own rule says now, and at each moment of the coming weeks."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.base import rfc3339
from cabgate.rollout.installation import InstallationSettings
from cabgate.views.freezes import calendar, held_freezes
from cabgate_samples.models import NOW
from support.freezes import DAY, freeze, interval

POLICY = {"cabgate.dev/change-policy": "board"}
PLACES = {
    "shop": {**POLICY, "cabgate.dev/ring": "2"},
    "pay": {**POLICY, "cabgate.dev/ring": "4"},
    "dev": {"cabgate.dev/ring": "2"},  # no policy: no freeze holds there
}
SETTINGS = InstallationSettings()
WEEKS = 42 * DAY
NOT_SHOP = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}


def shown(*freezes, places=PLACES, now=NOW):
    return calendar(freezes, places, SETTINGS, now, now + WEEKS)


def test_what_holds_now_is_what_freeze_list_says():
    freezes = [freeze(), freeze("later", interval(2 * DAY, 3 * DAY))]
    found = shown(*freezes)
    assert list(found.now) == held_freezes(freezes, PLACES, SETTINGS, NOW)
    assert [each.namespaces for each in found.now] == [("pay",), ("shop",)]
    assert [(each.name, each.rings) for each in found.now] == [
        ("christmas", (4,)), ("christmas", (2, 3, 4)),
    ]  # fmt: skip


def test_what_comes_begins_later_in_its_order_and_each_once():
    weekends = freeze("weekends", *(interval(n * DAY, (n + 2) * DAY) for n in (3, 10, 17)))
    found = shown(weekends, freeze("stocktaking", interval(4 * DAY, 5 * DAY), terms=[NOT_SHOP]))
    assert found.now == ()
    assert [(each.name, each.namespaces) for each in found.coming] == [
        ("weekends", ("pay",)), ("weekends", ("shop",)), ("stocktaking", ("pay",)),
        ("weekends", ("pay",)), ("weekends", ("shop",)),
        ("weekends", ("pay",)), ("weekends", ("shop",)),
    ]  # fmt: skip
    assert found.coming[2].since == rfc3339(NOW + 4 * DAY)
    assert found.coming[2].override.name == "stocktaking"


def test_what_begins_after_the_last_week_is_left_out():
    assert shown(freeze("far", interval(WEEKS, WEEKS + DAY))).coming == ()
    assert len(shown(freeze("near", interval(WEEKS - DAY, WEEKS + DAY))).coming) == 2


def test_a_window_is_open_within_its_intervals_and_frozen_around_them():
    window = freeze(
        "tuesdays", interval(2 * DAY, 3 * DAY), interval(9 * DAY, 10 * DAY), kind="Window",
        title="Tuesdays",
    )  # fmt: skip
    found = shown(window, places={"shop": PLACES["shop"]})
    assert [(each.since, each.until) for each in found.windows] == [
        (rfc3339(NOW + begins * DAY), rfc3339(NOW + (begins + 1) * DAY)) for begins in (2, 9)
    ]
    assert found.windows[0].rings == (2, 3, 4)
    assert found.outside == {"tuesdays"}
    assert [each.until for each in found.now] == [rfc3339(NOW + 2 * DAY)]
    assert [(each.since, each.until) for each in found.coming] == [
        (rfc3339(NOW + 3 * DAY), rfc3339(NOW + 9 * DAY)), (rfc3339(NOW + 10 * DAY), None),
    ]  # fmt: skip


def test_an_open_window_is_said_beside_a_freeze_within_it():
    window = freeze("office", interval(-DAY, 9 * DAY), kind="Window")
    found = shown(window, freeze(), places={"pay": PLACES["pay"]})
    assert [each.name for each in found.now] == ["christmas"]
    assert [(each.name, each.namespaces, each.rings) for each in found.windows] == [
        ("office", ("pay",), (4,))
    ]


def test_one_that_says_more_than_is_known_is_for_everybody():
    found = shown(freeze("odd", interval(DAY, 2 * DAY), terms=[NOT_SHOP], invented="x"))
    assert [each.namespaces for each in found.coming] == [("pay",), ("shop",)]


def test_where_no_namespace_carries_a_policy_nothing_is_frozen():
    found = shown(freeze(), places={"dev": PLACES["dev"]})
    assert (found.now, found.coming, found.windows) == ((), (), ())


SHIFT = timedelta(hours=8)

spans = st.lists(st.tuples(st.integers(-6, 27), st.integers(1, 9)), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["Freeze", "Window"]), spans), max_size=3))
def test_at_each_moment_it_says_what_the_gates_rule_says(drawn):
    freezes = [
        freeze(
            f"f-{number}",
            *(interval(begins * SHIFT, (begins + length) * SHIFT) for begins, length in of),
            kind=kind,
        )
        for number, (kind, of) in enumerate(drawn)
    ]
    until = NOW + 10 * DAY
    found = calendar(freezes, PLACES, SETTINGS, NOW, until)
    for number in range(30):
        at = NOW + number * SHIFT
        text = rfc3339(at)
        there = {
            each
            for each in (*found.now, *found.coming)
            if each.since <= text and (each.until is None or text < each.until)
        }
        assert there == set(held_freezes(freezes, PLACES, SETTINGS, at))


@pytest.mark.parametrize("excluded", ["shop", "pay"])
def test_what_the_installation_excludes_is_never_frozen(excluded):
    settings = InstallationSettings(excluded=frozenset({excluded}))
    found = calendar([freeze()], PLACES, settings, NOW, NOW + WEEKS)
    assert excluded not in [name for each in found.now for name in each.namespaces]
