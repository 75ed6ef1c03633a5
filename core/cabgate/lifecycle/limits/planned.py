# SPDX-License-Identifier: Apache-2.0
"""Intervals of a freeze before it is written: of a weekly rule, and of what is still ahead."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from cabgate.api.changefreeze import MAX_INTERVALS
from cabgate.lifecycle.limits.freezes import Interval, merged

WEEK = timedelta(days=7)


@dataclass(frozen=True, order=True)
class WeeklyTime:
    """A time of each week."""

    day: int
    """0 for Monday, 6 for Sunday."""
    at: time
    """By the clock on the wall."""


@dataclass(frozen=True)
class Weekly:
    """From one time of each week until the next such time of another, by the clock on the wall of a
    zone, whatever that is in UTC."""

    begins: WeeklyTime
    ends: WeeklyTime
    zone: tzinfo


def intervals_of(week: Weekly, after: datetime, before: datetime) -> Iterator[Interval]:
    """Those that end after a moment and begin before another, in UTC.

    A time that the clock skips is counted by the offset of before it was set, and of one that it
    shows twice the first is meant, as RFC 5545 has it for calendars. What is left of no length by
    that is no interval.
    """
    first = after.astimezone(week.zone).date() - 2 * WEEK
    monday = first - timedelta(days=first.weekday())
    next_week = WEEK if week.ends <= week.begins else timedelta(0)
    while True:
        begins = _moment(monday, week.begins, week.zone)
        ends = _moment(monday + next_week, week.ends, week.zone)
        if begins >= before:
            return
        if begins < ends and after < ends:
            yield Interval(begins, ends)
        monday += WEEK


def ahead(intervals: Iterable[Interval], after: datetime, before: datetime) -> list[Interval]:
    """Some intervals without those that end by a moment or begin at another or later, merged. Each
    is whole: one that has begun keeps its beginning."""
    return [each for each in merged(intervals) if after < each.ends and each.begins < before]


def in_parts(intervals: Sequence[Interval], most: int = MAX_INTERVALS) -> list[Sequence[Interval]]:
    """The intervals, as many to each freeze as it may have."""
    return [intervals[at : at + most] for at in range(0, len(intervals), most)]


def _moment(monday: date, of: WeeklyTime, zone: tzinfo) -> datetime:
    day = monday + timedelta(days=of.day)
    return datetime.combine(day, of.at, zone).astimezone(UTC)
