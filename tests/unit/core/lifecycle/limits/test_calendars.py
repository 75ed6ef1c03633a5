# SPDX-License-Identifier: Apache-2.0
"""Until when calendars of freezes reach, and which of them somebody is to be told of."""

from datetime import timedelta
from typing import Any

from cabgate.lifecycle.limits.calendars import TOLD_FOR, calendar_ends
from cabgate.lifecycle.limits.freezes import read_freezes
from cabgate_samples.models import NOW
from support.freezes import DAY, freeze, interval

WEEKENDS = [interval(-DAY, DAY), interval(6 * DAY, 8 * DAY)]
LATER = [interval(6 * DAY, 8 * DAY), interval(13 * DAY, 15 * DAY)]
IN_SHOP = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}


def ends(*freezes: Any, now: Any = NOW) -> dict[str, Any]:
    return {each.name: each.ends for each in calendar_ends(read_freezes(freezes), now)}


def test_a_calendar_ends_with_its_last_interval() -> None:
    assert ends(freeze("weekends", *WEEKENDS)) == {"weekends": NOW + 8 * DAY}
    assert ends(freeze("hours", interval(), kind="Window")) == {"hours": NOW + DAY}


def test_one_interval_is_no_calendar_and_what_cannot_be_read_has_no_end() -> None:
    assert ends(freeze("christmas", interval())) == {}
    assert ends(freeze("two", interval(-DAY, DAY), interval(DAY, 2 * DAY))) == {}, "without a gap"
    assert ends(freeze("strange", *WEEKENDS, kind="Window", title=7)) == {}
    assert ends(freeze("empty", "no interval")) == {}


def test_one_that_another_continues_for_all_that_it_is_about_is_not_told_of() -> None:
    old, new = freeze("old", *WEEKENDS), freeze("new", *LATER)
    assert ends(old, new) == {"new": NOW + 15 * DAY}
    for narrower in (
        freeze("new", *LATER, kind="Window"),
        freeze("new", *LATER, ringFrom=3),
        freeze("new", *LATER, terms=[IN_SHOP]),
    ):
        assert ends(old, narrower)["old"] == NOW + 8 * DAY
    part = freeze("old", *WEEKENDS, ringFrom=4, terms=[IN_SHOP])
    assert "old" not in ends(part, new)
    assert "old" not in ends(part, freeze("new", *LATER, ringFrom=3, terms=[IN_SHOP]))


def test_what_is_over_is_told_of_for_a_month_and_a_window_for_as_long_as_it_is_there() -> None:
    over = NOW + 8 * DAY
    weekends, hours = freeze("weekends", *WEEKENDS), freeze("hours", *WEEKENDS, kind="Window")
    assert set(ends(weekends, hours, now=over + TOLD_FOR)) == {"weekends", "hours"}
    late = over + TOLD_FOR + timedelta(seconds=1)
    assert set(ends(weekends, hours, now=late)) == {"hours"}
