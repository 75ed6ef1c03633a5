# SPDX-License-Identifier: Apache-2.0
"""The calendar: what is frozen now and in the coming weeks, by the function of `cabgate freeze
list`, in the namespaces that the reader may see."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.rollout.installation import InstallationSettings
from cabgate.text.inert import inert
from cabgate.text.moments import rfc3339
from cabgate.views.freezes import (
    Calendar,
    HeldFreeze,
    OpenWindow,
    calendar,
    namespaces_text,
    nothing_frozen,
    override_advice,
    rings_text,
)
from cabgate_kube.process.tasks import gathered
from cabgate_kube.resources import CHANGE_FREEZES, NAMESPACES
from cabgate_portal.checking import installation_of, labels_of
from cabgate_portal.problems import Problem
from cabgate_portal.reading import Notes, Reader

WEEKS = 6
"""How far it looks ahead, the week of today among them."""

NAMESPACE_NEEDED = (
    "Name a namespace above: you may not list those of the cluster. You need the right to get it."
)
"""What to do for who may not look into all namespaces."""

SHOWN_HERE = (403, 404, 422)
"""Statuses that another namespace may not have: told on the page, beside its form."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Day:
    """A day of the calendar, UTC."""

    date: str
    number: str
    """Of the month; of its first day with the name of the month."""
    today: bool
    past: bool
    frozen: Sequence[str]
    """Titles of what is frozen at some time of it."""
    open: Sequence[str]
    """Titles of the windows that are open at some time of it."""


async def calendar_of(reader: Reader, namespace: str) -> dict[str, Any]:
    """What the page shows: of one namespace, or of all that carry a change policy where it is
    empty. What keeps all of it from being shown is in `problem`."""
    notes, now = Notes(), reader.clock()
    values: dict[str, Any] = {"problem": None, "problem_text": "", "found": None, "weeks": WEEKS}
    try:
        places, freezes, settings = await gathered(
            _places(reader, namespace),
            reader.api.all(CHANGE_FREEZES),
            installation_of(reader, notes),
        )
    except Problem as problem:
        if problem.status not in SHOWN_HERE:
            raise
        return {**values, "problem": problem, "problem_text": inert(problem.detail), "notes": ()}
    monday = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday -= monday.weekday() * _DAY
    until = monday + WEEKS * 7 * _DAY
    how = settings or InstallationSettings()
    # Of thousands of namespaces and intervals it takes a good part of a second.
    found = await asyncio.to_thread(calendar, freezes, places, how, now, until)
    return {
        **values,
        "notes": notes.texts,
        "found": found,
        "now": [_shown(each, found) for each in found.now],
        "coming": _coming(found),
        "nothing": inert(nothing_frozen(places, how, now)).replace("n", "N", 1),
        "grid": _grid(found, monday, now),
        "until": f"{until - _DAY:%Y-%m-%d}",
    }


async def _places(reader: Reader, namespace: str) -> Mapping[str, Mapping[str, str]]:
    """The labels of the namespaces that are asked about, by name. Raises `Problem`."""
    if namespace:
        return {namespace: labels_of(await reader.api.get(NAMESPACES, "", namespace))}
    try:
        items = await reader.api.all(NAMESPACES, labels=POLICY_LABEL)
    except Problem as problem:
        if problem.status != 403:
            raise
        raise Problem(
            *(403, "NamespaceNeeded", problem.detail), next_step=NAMESPACE_NEEDED
        ) from None
    return {str(each["metadata"]["name"]): labels_of(each) for each in items}


def _coming(found: Calendar) -> list[dict[str, Any]]:
    """What begins later, and windows that are open, by their beginning."""
    every: list[HeldFreeze | OpenWindow] = [*found.coming, *found.windows]
    every.sort(key=lambda each: (each.since, each.name))
    return [_shown(each, found) for each in every]


def _shown(each: HeldFreeze | OpenWindow, found: Calendar) -> dict[str, Any]:
    return {
        "open": isinstance(each, OpenWindow),
        "name": inert(each.name),
        "title": _title(each, found),
        "since": each.since,
        "since_text": _text(each.since),
        "until": each.until or "",
        "until_text": _text(each.until) if each.until else "no end that is known",
        "rings": rings_text(each.rings),
        "several_rings": len(each.rings) > 1,
        "namespaces": inert(namespaces_text(each.namespaces)),
        "advice": inert(override_advice(each)) if isinstance(each, HeldFreeze) else "",
    }


def _text(moment: str) -> str:
    """A moment with its day of the week."""
    return f"{datetime.fromisoformat(moment):%a %Y-%m-%d %H:%M}"


def _grid(found: Calendar, monday: datetime, now: datetime) -> list[list[Day]]:
    """The days of the weeks."""
    days = [_day(found, monday + number * _DAY, now) for number in range(WEEKS * 7)]
    return [days[at : at + 7] for at in range(0, len(days), 7)]


def _day(found: Calendar, begins: datetime, now: datetime) -> Day:
    ends = begins + _DAY
    # What was before now is not asked for.
    since, until = rfc3339(max(begins, now)), rfc3339(ends)
    past = ends <= now
    frozen = () if past else _titles(found, (*found.now, *found.coming), since, until)
    opened = () if past else _titles(found, found.windows, since, until)
    number = f"{begins:%b} {begins.day}" if begins.day == 1 else str(begins.day)
    return Day(f"{begins:%Y-%m-%d}", number, begins <= now < ends, past, frozen, opened)


def _titles(
    found: Calendar, every: Iterable[HeldFreeze | OpenWindow], since: str, until: str
) -> tuple[str, ...]:
    """The titles of those that hold at some time between two moments, each once."""
    there = (
        _title(each, found)
        for each in every
        if each.since < until and (each.until is None or since < each.until)
    )
    return tuple(dict.fromkeys(there))


def _title(each: HeldFreeze | OpenWindow, found: Calendar) -> str:
    """What people call it; where a window is closed, that it is."""
    closed = isinstance(each, HeldFreeze) and each.name in found.outside
    return f"outside of {inert(each.title)}" if closed else inert(each.title)
