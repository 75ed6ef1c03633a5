# SPDX-License-Identifier: Apache-2.0
"""`cabgate freeze plan`: change freezes of a calendar or a weekly rule."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import click

from cabgate import API_VERSION
from cabgate.api import ChangeFreeze
from cabgate.api.changefreeze import KIND, MAX_NAME, FreezeKind
from cabgate.lifecycle.limits.freezes import Interval
from cabgate.lifecycle.limits.planned import Weekly, ahead, in_parts, intervals_of
from cabgate.text.moments import rfc3339
from cabgate_cli.commands.freezes.freeze_options import Term, WeeklyOption, Zone
from cabgate_cli.commands.options import MOMENT, output_option
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.validation import checked
from cabgate_cli.input.names import object_name
from cabgate_cli.input.viewer import now
from cabgate_cli.output.objects import as_yaml, write, write_machine

MAX_TITLE = 128
"""Characters of the title of an interval."""

FURTHEST = timedelta(days=3660)
"""How far a plan may reach: ten years."""


@click.command(
    epilog="""\b
Examples:
  cabgate freeze plan --ics holidays.ics --until 2028-01-01 --name holidays \\
    --title 'Public holidays' --reason 'Nobody is there to mend what breaks.'
  cabgate freeze plan --weekly 'Fri 16:00-Mon 08:00 Europe/Berlin' --until 2028-01-01 \\
    --name weekends --title Weekends --reason 'Nobody is there.' --ring-from 3
  cabgate freeze plan --weekly 'Tue 09:00-Tue 12:00 Europe/Berlin' --kind Window \\
    --until 2027-07-01 --name mornings --title 'Release mornings' --reason 'All are there.'
"""
    + of_command("the freezes are printed", cluster=False)
)
@click.option(
    "--ics",
    "calendars",
    metavar="FILE",
    multiple=True,
    help="Calendar, iCalendar (RFC 5545): each event is an interval; - reads standard input. May "
    "be repeated.",
)
@click.option(
    "--weekly",
    "weeks",
    type=WeeklyOption(),
    metavar="TIMES",
    multiple=True,
    help="An interval of each week by the clock of a time zone, such as "
    "'Fri 16:00-Mon 08:00 Europe/Berlin'. May be repeated.",
)
@click.option(
    "--until",
    "before",
    type=MOMENT,
    required=True,
    help="What begins then or later is left out; UTC.",
)
@click.option(
    "--from",
    "after",
    type=MOMENT,
    help="What has ended by then is left out; UTC. Default: now.",
)
@click.option(
    "--time-zone",
    "zone",
    type=Zone(),
    metavar="ZONE",
    help="Of events that last whole days or name no zone, such as Europe/Berlin; default: the "
    "calendar's X-WR-TIMEZONE.",
)
@click.option("--name", required=True, help="Name of the ChangeFreeze; of several, its beginning.")
@click.option("--title", required=True, help="What people call it, such as 'Christmas 2026'.")
@click.option("--reason", required=True, help="Why.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in FreezeKind]),
    default=FreezeKind.FREEZE.value,
    show_default=True,
    help="Freeze: nothing new within the intervals. Window: nothing new outside of them.",
)
@click.option(
    "--ring-from",
    type=click.IntRange(2, 4),
    help="Lowest ring that it is about; default: every gated one.",
)
@click.option(
    "--namespace-selector",
    "terms",
    type=Term(),
    metavar="TERM",
    multiple=True,
    help="Which of the namespaces that carry a change policy, by kubernetes.io/metadata.name or "
    "cabgate.dev/change-policy, such as 'kubernetes.io/metadata.name notin (lab)'; default: all of "
    "these. Of several each has to hold.",
)
@output_option
def plan(
    calendars: tuple[str, ...],
    weeks: tuple[Weekly, ...],
    before: datetime,
    after: datetime | None,
    zone: tzinfo | None,
    name: str,
    title: str,
    reason: str,
    kind: str,
    ring_from: int | None,
    terms: tuple[Mapping[str, Any], ...],
    output: str,
) -> None:
    """Print the change freezes that a calendar or weekly times make.

    Intervals that overlap or follow one another become one, in UTC. A freeze has at most 400: what
    is more goes into another, whose name ends in its number. No cluster is asked.
    """
    if not calendars and not weeks:
        raise BadInput("--ics, --weekly: absent; allowed: one of them, or several")
    begin = after or now()
    if not begin < before <= begin + FURTHEST:
        raise BadInput(
            f"--until: {rfc3339(before)}; allowed: later than {rfc3339(begin)}, by at most ten "
            "years"
        )
    found = ahead(_intervals(calendars, weeks, zone, begin, before), begin, before)
    if not found:
        raise BadInput(
            f"--ics, --weekly: nothing lies between {rfc3339(begin)} and {rfc3339(before)}; "
            "allowed: at least one interval"
        )
    spec: dict[str, Any] = {"kind": kind, "title": title, "reason": reason}
    if ring_from is not None:
        spec["ringFrom"] = ring_from
    if terms:
        spec["namespaceSelector"] = {"matchExpressions": [dict(each) for each in terms]}
    parts = in_parts(found)
    made = [
        _manifest(name if len(parts) == 1 else f"{name}-{number}", spec, part)
        for number, part in enumerate(parts, 1)
    ]
    if len(parts) > 1:
        note(
            f"{len(found)} intervals are more than one freeze may have: they are {len(parts)} "
            f"freezes, {name}-1 to {name}-{len(parts)}. Apply all of them"
        )
    if kind == FreezeKind.WINDOW:
        note(
            f"after {rfc3339(found[-1].ends)} no window is open any more: nothing new is rolled "
            "out there until another is declared"
        )
    _print(made, parts, output)


def _intervals(
    calendars: Sequence[str],
    weeks: Sequence[Weekly],
    zone: tzinfo | None,
    after: datetime,
    before: datetime,
) -> list[Interval]:
    found: list[Interval] = []
    for path in calendars:
        # Imported only for a calendar: it takes longer than all the rest.
        from cabgate_cli.input.files.calendars import read_calendar

        found += read_calendar(path, zone, after, before)
    for each in weeks:
        found += intervals_of(each, after, before)
    return found


def _manifest(name: str, spec: Mapping[str, Any], part: Sequence[Interval]) -> dict[str, Any]:
    """A ChangeFreeze, as the API server takes it. Raises `BadInput` for what it would refuse."""
    problems = []
    try:
        object_name(name, "metadata.name", MAX_NAME)
    except BadInput as error:
        problems += error.problems
    content = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {**spec, "intervals": [_interval(each) for each in part]},
    }
    try:
        checked(ChangeFreeze, content)
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(*problems)
    return content


def _interval(of: Interval) -> dict[str, str]:
    made = {"from": rfc3339(of.begins), "until": rfc3339(of.ends)}
    title = ", ".join(of.titles)
    if not title:
        return made
    return {**made, "title": title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 3]}..."}


def _print(
    made: Sequence[dict[str, Any]], parts: Sequence[Sequence[Interval]], output: str
) -> None:
    if output == "text":
        pairs = zip(made, parts, strict=True)
        write("---\n".join(_header(each, part) + as_yaml(each) for each, part in pairs))
    elif len(made) == 1:
        write_machine(made[0], output)
    else:
        write_machine({"apiVersion": "v1", "kind": "List", "items": list(made)}, output)


def _header(content: Mapping[str, Any], part: Sequence[Interval]) -> str:
    return (
        f"# ChangeFreeze {content['metadata']['name']}: {len(part)} intervals, from "
        f"{rfc3339(part[0].begins)} until {rfc3339(part[-1].ends)}.\n"
        "# Its spec never changes: to change it, declare another, then delete this one.\n"
        "# Apply it: kubectl apply -f FILE\n"
    )
