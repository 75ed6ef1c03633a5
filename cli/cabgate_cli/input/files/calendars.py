# SPDX-License-Identifier: Apache-2.0
"""Intervals of the events of a calendar file, iCalendar. Imported only for that."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from icalendar.prop import vDDDLists, vDDDTypes
from recurring_ical_events.errors import InvalidCalendar

from cabgate.lifecycle.limits.freezes import Interval
from cabgate.text.characters import refused_character, shows
from cabgate.text.foreign import printed, quoted
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.files.documents import Limits, read_text, shown_path

LIMITS = Limits(max_bytes=4 * 1024 * 1024)
"""How much a calendar may hold: more than the public holidays of all countries for years."""

MAX_OCCURRENCES = 50_000
"""Times of events between two moments that are read."""

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
"""How often an event may recur: one that recurs within a day freezes nobody's releases, and takes
for ever to count out."""

ONCE = (
    "UID",
    "SEQUENCE",
    "DTSTART",
    "DTEND",
    "DURATION",
    "RECURRENCE-ID",
    "RRULE",
    "STATUS",
    "SUMMARY",
)
"""What an event says once or not at all."""

LONGEST = timedelta(days=3660)
"""An event that is longer is a mistake."""

_WITHIN_A_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")
_MARGIN = timedelta(days=2)
_AT_ONCE = timedelta(days=366)


def read_calendar(
    path: str, zone: tzinfo | None, after: datetime, before: datetime
) -> list[Interval]:
    """The times of all events of a file that end after a moment or begin before another, at least.

    `zone` is that of events that last whole days or name no zone; without one it is the calendar's
    X-WR-TIMEZONE. What was cancelled and what has no length is left out. Raises `BadInput` with one
    line for each problem.
    """
    name = shown_path(path)
    text = read_text(path, LIMITS)
    try:
        calendars = icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{name}: not a calendar (iCalendar, RFC 5545): {printed(str(error))[:200]}"
        ) from None
    found: list[Interval] = []
    events = 0
    for number, calendar in enumerate(calendars):
        place = name if len(calendars) == 1 else f"{name}: calendar[{number}]"
        if calendar.name != "VCALENDAR":
            raise BadInput(f"{place}: {quoted(calendar.name)}; allowed: VCALENDAR")
        of_calendar = zone or _own_zone(calendar, place)
        _check(calendar, of_calendar, place)
        events += len(calendar.walk("VEVENT"))
        found += _occurrences(calendar, of_calendar or UTC, place, after, before)
    if not events:
        raise BadInput(f"{name}: holds no event; allowed: a calendar (iCalendar) with VEVENTs")
    empty = [each for each in found if each.ends <= each.begins]
    if empty:
        note(f"{name}: {len(empty)} times of events have no length, and are left out")
    return [each for each in found if each.begins < each.ends]


def _own_zone(calendar: Any, place: str) -> tzinfo | None:
    named = calendar.get("X-WR-TIMEZONE")
    if named is None:
        return None
    try:
        return ZoneInfo(str(named))
    except (KeyError, ValueError, OSError):
        raise BadInput(
            f"{place}: X-WR-TIMEZONE: {quoted(str(named))} is no time zone; allowed: such as "
            "Europe/Berlin, or --time-zone"
        ) from None


def _check(calendar: Any, zone: tzinfo | None, place: str) -> None:
    """Raise `BadInput` for what would be lost, or counted by another clock than was meant."""
    problems = []
    for number, event in enumerate(calendar.walk("VEVENT")):
        called = f" ({printed(str(event['SUMMARY']))[:60]})" if "SUMMARY" in event else ""
        problems += [
            f"{place}: events[{number}]{called}.{problem}" for problem in _problems(event, zone)
        ]
    if problems:
        raise BadInput(*problems)
    seen: dict[tuple[str, ...], int] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        # Of two with one UID, which are revisions of one event, only the newest is counted.
        moment = str(event["RECURRENCE-ID"].dt) if "RECURRENCE-ID" in event else ""
        key = (str(event.get("UID", number)), moment, str(event.get("SEQUENCE", 0)))
        if key in seen:
            problems.append(
                f"{place}: events[{number}].UID: {quoted(key[0])}, as events[{seen[key]}] has; "
                "allowed: one of its own, or a higher SEQUENCE"
            )
        seen[key] = number
    if problems:
        raise BadInput(*problems)


def _problems(event: Any, zone: tzinfo | None) -> Iterator[str]:
    if event.errors:
        yield from (f"{key or 'line'}: {printed(str(what))[:200]}" for key, what in event.errors)
        return
    several = [key for key in ONCE if len(_each(event.get(key))) > 1]
    yield from (f"{key}: {len(event[key])} of them; allowed: one" for key in several)
    if several:
        return
    if "DTSTART" not in event:
        yield "DTSTART: absent; allowed: when it begins"
    if "EXRULE" in event:
        yield "EXRULE: not known here (RFC 5545 has it no more); allowed: EXDATE"
    for key in ("DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE"):
        for value in _each(event.get(key)):
            found = (_problem_of_moment(moment, value, zone) for moment in _moments(value))
            problem = next(filter(None, found), "")
            if problem:
                yield f"{key}: {problem}"
                return
    yield from _problems_of_end(event)
    for rule in _each(event.get("RRULE")):
        yield from _problems_of_rule(rule)


def _problems_of_end(event: Any) -> Iterator[str]:
    """What the library would make something of: an end that is none."""
    if "DURATION" in event and not timedelta(0) <= event["DURATION"].dt <= LONGEST:
        yield f"DURATION: {quoted(str(event['DURATION'].dt))}; allowed: 0 to {LONGEST.days} days"
    if "DTSTART" not in event or "DTEND" not in event:
        return
    begins, ends = event["DTSTART"].dt, event["DTEND"].dt
    if "DURATION" in event:
        yield "DURATION: beside DTEND; allowed: one of the two"
    if isinstance(begins, datetime) is not isinstance(ends, datetime):
        yield "DTEND: a day where DTSTART is a time, or the other way round; allowed: both alike"
    elif _utc(ends, UTC) < _utc(begins, UTC):
        yield f"DTEND: {quoted(str(ends))} is earlier than DTSTART; allowed: a later one"


def _each(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _moments(value: Any) -> list[Any]:
    if isinstance(value, vDDDLists):
        values = [each.dt for each in value.dts]
    elif isinstance(value, vDDDTypes) or hasattr(value, "dt"):
        values = [value.dt]
    else:
        values = []
    return [each[0] if isinstance(each, tuple) else each for each in values]


def _problem_of_moment(moment: Any, value: Any, zone: tzinfo | None) -> str:
    """What is wrong with a moment, as that nobody knows its offset; empty where nothing is."""
    if not isinstance(moment, date) or not 1 < moment.year < 9999:
        return f"{quoted(str(moment))}; allowed: a day or a time of the years 2 to 9998"
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return ""
    named = value.params.get("TZID")
    if named is not None and isinstance(moment, datetime):
        return (
            f"TZID {quoted(str(named))}: no time zone, and the calendar does not define it; "
            "allowed: such as Europe/Berlin"
        )
    if zone is None:
        return (
            f"{quoted(str(moment))} names no time zone, nor does the calendar (X-WR-TIMEZONE); "
            "allowed: --time-zone, such as Europe/Berlin"
        )
    return ""


def _problems_of_rule(rule: Any) -> Iterator[str]:
    often = [str(each).upper() for each in _each(rule.get("FREQ"))]
    if len(often) != 1 or often[0] not in FREQUENCIES:
        yield f"RRULE.FREQ: {quoted(', '.join(often))}; allowed: {', '.join(FREQUENCIES)}"
    # Below 1 the library would count for ever.
    if any(not 1 <= int(each) <= 10_000 for each in _each(rule.get("INTERVAL"))):
        yield f"RRULE.INTERVAL: {quoted(rule['INTERVAL'])}; allowed: 1 to 10000"
    for key in _WITHIN_A_DAY:
        if len(_each(rule.get(key))) > 1:
            yield f"RRULE.{key}: several times of one day; allowed: one, or an event for each"


def _occurrences(
    calendar: Any, zone: tzinfo, place: str, after: datetime, before: datetime
) -> list[Interval]:
    found: set[Interval] = set()
    begin, end = after - _MARGIN, before + _MARGIN
    try:
        query = recurring_ical_events.of(calendar, components=["VEVENT"])
        while begin < end:
            until = min(begin + _AT_ONCE, end)
            for event in query.between(begin, until):
                if str(event.get("STATUS", "")).upper() != "CANCELLED":
                    found.add(_interval(event, zone))
            if len(found) > MAX_OCCURRENCES:
                raise BadInput(
                    f"{place}: more than {MAX_OCCURRENCES} times of events; allowed: an earlier "
                    "--until, or fewer events"
                )
            begin = until
    except (
        InvalidCalendar,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
    ) as error:
        raise BadInput(f"{place}: cannot be counted out: {printed(str(error))[:200]}") from None
    return sorted(found, key=lambda each: (each.begins, each.ends, each.titles))


def _interval(event: Any, zone: tzinfo) -> Interval:
    title = _title(str(event.get("SUMMARY", "")))
    times = (_utc(event["DTSTART"].dt, zone), _utc(event["DTEND"].dt, zone))
    return Interval(*times, (title,) if title else ())


def _utc(moment: date, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC).replace(microsecond=0)


def _title(summary: str) -> str:
    """A title that the API server takes; empty where there is none."""
    title = re.sub(r"\s+", " ", printed(summary)).strip()
    return title if shows(title) and refused_character(title, name=True) is None else ""
