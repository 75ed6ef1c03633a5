# SPDX-License-Identifier: Apache-2.0
"""Until when the calendars of freezes reach: after that a Freeze holds no more, and a Window never
opens again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cabgate.api.changefreeze import FreezeKind
from cabgate.lifecycle.limits.freezes import KnownFreeze, merged
from cabgate.text.moments import LATEST

TOLD_FOR = timedelta(days=30)
"""How long after its end a calendar of a Freeze is told of; one of a Window is as long as it is
there, for as long it keeps everything back."""


@dataclass(frozen=True, slots=True)
class CalendarEnd:
    """Until when a freeze is planned that nothing continues."""

    name: str
    kind: FreezeKind
    ends: datetime


def calendar_ends(freezes: Iterable[KnownFreeze], now: datetime) -> list[CalendarEnd]:
    """The ends of the calendars among some freezes, by name: of each Window, and of each Freeze of
    several intervals. One that another freeze of its kind continues, for all that it is about, has
    none; nor has a Freeze of one interval, which is over when it is over."""
    known = [each for each in freezes if each.intervals]
    found = []
    for each in sorted(known, key=lambda freeze: freeze.name):
        ends = _end(each)
        window = each.kind is FreezeKind.WINDOW
        calendar = window or len(list(merged(each.intervals))) > 1
        over = not window and now - ends > TOLD_FOR
        if calendar and not over and ends != LATEST and not _continued(each, known):
            found.append(CalendarEnd(each.name, each.kind, ends))
    return found


def _continued(freeze: KnownFreeze, others: Iterable[KnownFreeze]) -> bool:
    return any(
        other.kind is freeze.kind
        and _end(freeze) < _end(other)
        and other.ring_from <= freeze.ring_from
        and other.selector in (None, freeze.selector)
        for other in others
    )


def _end(freeze: KnownFreeze) -> datetime:
    return max(each.ends for each in freeze.intervals)
