# SPDX-License-Identifier: Apache-2.0
"""The figures of `cabgate report`, with what waits now and what ends soon."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import tostring

from markupsafe import Markup

from cabgate.api.outcome import RolloutOutcome
from cabgate.ledger.queries import Query, RawObject, answers
from cabgate.reports.figures import FIGURES, GLASS
from cabgate.reports.lives import APPROVED, DECIDED
from cabgate.reports.page import VERDICTS
from cabgate.reports.plots import VIOLET, Series, bars
from cabgate.reports.report import Report, report
from cabgate.reports.texts import missing_text, of_section, sections, shown
from cabgate.text.inert import inert
from cabgate.views.queue import QueueRow

AGES = (
    ("under 1 day", timedelta(days=1)),
    ("1 to 3 days", timedelta(days=3)),
    ("3 to 7 days", timedelta(days=7)),
    ("7 days and more", timedelta.max),
)
"""Classes of age of what waits, each with its upper end."""

HEADLINES = ("decisions", "approvalRate", "systemShare", "openedToDecidedP50", "glassNotReviewed")
"""Figures that stand at the top."""

ENDING = 10
"""Exceptions that are named of those that end next."""

WEEK = timedelta(days=7)


def dashboard(
    rows: Sequence[QueueRow],
    raws: Iterable[RawObject] | None,
    outcomes: Sequence[RolloutOutcome] | None,
    since: datetime,
    until: datetime,
) -> dict[str, Any]:
    """What the dashboard shows: of rows that wait, of the records of the ledger and of outcomes, or
    None where those may not be read."""
    values: dict[str, Any] = {"ages": _ages(rows), "waiting": len(rows), "notes": []}
    if raws is None:
        return {**values, "report": None}
    found = answers(raws, Query())
    made = report([record for record, _ in found.found], since, until, outcomes=outcomes)
    notes = [inert(f"{e.where} cannot be read and is not counted: {e.why}") for e in found.unread]
    return {
        **values,
        "report": made,
        "notes": [*notes, *map(missing_text, made.missing)],
        "headlines": _headlines(made),
        "decided": _decided(made),
        "in_force": _in_force(made),
        "weeks": _weeks(made),
        "in_force_weeks": _in_force_weeks(made),
        "ending": _ending(made, until),
        "sections": _sections(made),
    }


def _ages(rows: Sequence[QueueRow]) -> list[tuple[str, int, int]]:
    """Each class of age with how many wait, and that in hundredths of the largest."""
    counted = Counter(
        next(name for name, end in AGES if row.age < end or end == timedelta.max) for row in rows
    )
    most = max(counted.values(), default=0) or 1
    return [(name, counted[name], round(100 * counted[name] / most)) for name, _ in AGES]


def _headlines(made: Report) -> list[tuple[str, str, str]]:
    by_name = {figure.name: figure for figure in FIGURES}
    return [
        (
            f"{GLASS}: {f.title}" if f.section == GLASS else f.title,
            shown(made.total.values[f.name], f.unit),
            f.meaning,
        )
        for name in HEADLINES
        if (f := by_name.get(name)) is not None
    ]


def _decided(made: Report) -> Markup:
    scope = made.total.scope
    series = [
        Series(name, colour, [numbers[verdict] for numbers in scope.decisions_by_day])
        for verdict, name, colour in VERDICTS
    ]
    return _markup(bars("Decisions", scope.days, series, sum))


def _in_force(made: Report) -> Markup:
    scope = made.total.scope
    series = [Series("in force", VIOLET, scope.exceptions_by_day)]
    return _markup(bars("Exceptions in force", scope.days, series, max))


def _markup(plot: Any) -> Markup:
    # A tree of our own, whose texts ElementTree escapes.
    return Markup(tostring(plot, encoding="unicode"))  # noqa: S704


def _weeks(made: Report) -> list[tuple[str, int, int]]:
    """Each week with its decisions and approvals."""
    scope = made.total.scope
    days: list[Mapping[str, int]] = list(scope.decisions_by_day)
    found = []
    for week in _of_weeks(days):
        decided, approved = (
            sum(day[verdict] for day in days[week] for verdict in verdicts)
            for verdicts in (DECIDED, APPROVED)
        )
        found.append((f"{scope.days[week.start]:%Y-%m-%d}", decided, approved))
    return found


def _in_force_weeks(made: Report) -> list[tuple[str, int]]:
    """Each week with the most exceptions that were in force on one of its days."""
    scope = made.total.scope
    days = scope.exceptions_by_day
    return [(f"{scope.days[week.start]:%Y-%m-%d}", max(days[week])) for week in _of_weeks(days)]


def _of_weeks(days: Sequence[object]) -> list[slice]:
    """The weeks of some days, the latest first; the first may be shorter."""
    ends = range(len(days), 0, -WEEK.days)
    return [slice(max(0, end - WEEK.days), end) for end in ends]


def _ending(made: Report, now: datetime) -> list[dict[str, str]]:
    """The exceptions in force that end next."""
    lives = [each for each in made.total.scope.in_force if each.in_force and each.in_force[1] > now]
    lives.sort(key=lambda each: each.in_force[1] if each.in_force else now)
    return [
        {
            "namespace": inert(each.namespace),
            "name": inert(each.entries[0].spec.subject.name),
            "ends": f"{each.in_force[1]:%Y-%m-%d %H:%M}" if each.in_force else "",
        }
        for each in lives[:ENDING]
    ]


def _sections(made: Report) -> list[tuple[str, list[tuple[str, str, str]]]]:
    return [
        (
            title,
            [(f.title, shown(made.total.values[f.name], f.unit), f.meaning)
             for f in of_section(title)],
        )
        for title in sections()
    ]  # fmt: skip
