# SPDX-License-Identifier: Apache-2.0
"""Intervals of weekly times, by the clock on the wall of a zone."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.lifecycle.limits.freezes import Interval, merged
from cabgate.lifecycle.limits.planned import Weekly, WeeklyTime, ahead, in_parts, intervals_of
from support.zones import CHANGES, ZONES

HOUR = timedelta(hours=1)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)


def week(begins: str, ends: str, zone: str) -> Weekly:
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    times = (each.split() for each in (begins, ends))
    return Weekly(*(WeeklyTime(days.index(d), time.fromisoformat(at)) for d, at in times),
                  ZoneInfo(zone))  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_zones_set_their_clocks_in_these_years() -> None:
    """Without that the tables below would show nothing."""
    assert {zone: len(days) for zone, days in CHANGES.items()} == dict.fromkeys(ZONES, 6)


@pytest.mark.parametrize("zone", ZONES)
def test_every_weekend_of_three_years_is_as_zoneinfo_has_it(zone: str) -> None:
    found = list(intervals_of(week("Fri 16:00", "Mon 08:00", zone), BEGIN, END))
    place = ZoneInfo(zone)
    fridays = [date(2025, 12, 26) + timedelta(days=7 * n) for n in range(160)]
    expected = [
        Interval(
            datetime(friday.year, friday.month, friday.day, 16, tzinfo=place).astimezone(UTC),
            datetime.combine(friday + timedelta(days=3), time(8), place).astimezone(UTC),
        )
        for friday in fridays
    ]
    assert found == [each for each in expected if each.ends > BEGIN and each.begins < END]


@pytest.mark.parametrize(("zone", "day"), [(z, d) for z in ZONES for d in CHANGES[z]])
def test_a_weekend_in_which_the_clock_is_set_is_an_hour_longer_or_shorter(
    zone: str, day: date
) -> None:
    place = ZoneInfo(zone)
    around = datetime.combine(day, time(12), place)
    before, after = around - timedelta(days=2), around + timedelta(days=2)
    change = after.utcoffset() - before.utcoffset()  # type: ignore[operator]
    assert abs(change) == HOUR
    begins = day - timedelta(days=2)
    rule = Weekly(
        WeeklyTime(begins.weekday(), time(16)),
        WeeklyTime((day + timedelta(days=1)).weekday(), time(8)),
        place,
    )
    [found] = [each for each in intervals_of(rule, BEGIN, END) if each.holds(around)]
    assert found.ends - found.begins == 64 * HOUR - change
    assert found.begins.astimezone(place).time() == time(16)
    assert found.ends.astimezone(place).time() == time(8)


@given(
    st.sampled_from(ZONES),
    *[st.integers(0, 7 * 96 - 1) for _ in range(2)],
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 1)),
)
def test_a_moment_is_in_an_interval_as_the_wall_clock_says(
    zone: str, begins: int, ends: int, moment: datetime
) -> None:
    """But for the hours around which a clock is set, when the wall says one time twice or never."""
    if begins == ends:
        return
    at = moment.replace(microsecond=0, tzinfo=UTC)
    wall = at.astimezone(ZoneInfo(zone))
    if any(abs((wall.date() - day).days) <= 1 for day in CHANGES[zone]):
        return
    first, last = (WeeklyTime(of // 96, time(of % 96 // 4, of % 4 * 15)) for of in (begins, ends))
    now = WeeklyTime(wall.weekday(), wall.time())
    within = first <= now < last if first < last else now >= first or now < last
    found = intervals_of(Weekly(first, last, ZoneInfo(zone)), at - HOUR, at + HOUR)
    assert any(each.holds(at) for each in found) is within


def test_a_time_that_the_clock_skips_or_shows_twice_is_as_calendars_have_it() -> None:
    spring = (utc("2026-03-28"), utc("2026-03-30"))
    autumn = (utc("2026-10-24"), utc("2026-10-26"))
    skipped = week("Sun 02:30", "Sun 05:00", "Europe/Berlin")
    assert list(intervals_of(skipped, *spring)) == [
        Interval(utc("2026-03-29T01:30"), utc("2026-03-29T03:00"))
    ]
    twice = week("Sun 02:30", "Sun 05:00", "Europe/Berlin")
    assert list(intervals_of(twice, *autumn)) == [
        Interval(utc("2026-10-25T00:30"), utc("2026-10-25T04:00"))
    ]
    # 02:30 of that day is later than 03:00: what is left is no time.
    assert list(intervals_of(week("Sun 02:30", "Sun 03:00", "Europe/Berlin"), *spring)) == []


@pytest.mark.parametrize(
    ("after", "before", "number"),
    [
        ("2026-12-04T14:59", "2026-12-11T15:00", 1),
        ("2026-12-04T14:59", "2026-12-11T15:01", 2),
        ("2026-12-07T06:59", "2026-12-08T00:00", 1),
        ("2026-12-07T07:00", "2026-12-08T00:00", 0),
    ],
)
def test_what_has_ended_and_what_is_too_late_is_left_out(
    after: str, before: str, number: int
) -> None:
    rule = week("Fri 16:00", "Mon 08:00", "Europe/Berlin")
    assert len(list(intervals_of(rule, utc(after), utc(before)))) == number
    everything = list(intervals_of(rule, BEGIN, END))
    assert len(ahead(everything, utc(after), utc(before))) == number


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(-3, 12)), max_size=20)


@given(spans, st.integers(0, 80))
def test_what_is_merged_is_the_same_time_without_overlaps(given_: Any, hour: int) -> None:
    intervals = [Interval(BEGIN + HOUR * b, BEGIN + HOUR * (b + n)) for b, n in given_]
    found = list(merged(intervals))
    now = BEGIN + HOUR * hour
    assert any(each.holds(now) for each in found) is any(each.holds(now) for each in intervals)
    assert all(one.ends < other.begins for one, other in pairwise(found))


def test_what_is_merged_keeps_each_title_once() -> None:
    a = Interval(BEGIN, BEGIN + 2 * HOUR, ("a",))
    b = Interval(BEGIN + HOUR, BEGIN + 3 * HOUR, ("b",))
    assert list(merged([b, a, a])) == [Interval(BEGIN, BEGIN + 3 * HOUR, ("a", "b"))]


@pytest.mark.parametrize(("number", "sizes"), [(1, [1]), (400, [400]), (401, [400, 1]),
                                               (1000, [400, 400, 200])])  # fmt: skip
def test_a_freeze_takes_four_hundred(number: int, sizes: list[int]) -> None:
    every = [Interval(BEGIN + 2 * n * HOUR, BEGIN + (2 * n + 1) * HOUR) for n in range(number)]
    parts = in_parts(every)
    assert [len(each) for each in parts] == sizes
    assert [one for part in parts for one in part] == every
