# SPDX-License-Identifier: Apache-2.0
"""`cabgate report`: what was decided over a time, from a cluster, exports or an event store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from cabgate.api import outcome
from cabgate.ledger.queries import Query, answers
from cabgate.reports.page import as_html
from cabgate.reports.report import By, Report
from cabgate.reports.report import report as report_of
from cabgate.reports.rollouts import outcomes_in
from cabgate.reports.texts import as_csv, as_data, as_text, missing_text
from cabgate_cli.commands.options import MOMENT
from cabgate_cli.commands.records.ledger_options import source_options
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.ledger_contents import Source, records_and
from cabgate_cli.input.viewer import now
from cabgate_cli.output.objects import write, write_machine

SPAN = timedelta(days=90)
"""How long a report goes back that does not say since when."""


@click.command(
    epilog="""\b
Examples:
  cabgate report --since 2026-07-01 --until 2026-10-01
  cabgate report --by namespace -o html > quarter.html
  cabgate report -f ledger-2025.jsonl -f ledger-2026.jsonl --since 2025-10-01 -o csv
  cabgate report --from sqlite:////var/lib/cabgate/events.db --since 2025-10-01
"""
    + of_command("done, also if nothing was decided")
)
@source_options
@click.option("--since", type=MOMENT, help="From then on, UTC; default: 90 days before the end.")
@click.option("--until", type=MOMENT, help="End, UTC, exclusive; default: now.")
@click.option(
    "--by",
    type=click.Choice([by.value for by in By]),
    help="The figures of each of these as well.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml", "csv", "html"]),
    default="text",
    show_default=True,
    help="text is for people, html to print; json and yaml name the records behind each figure.",
)
def report(
    since: datetime | None,
    until: datetime | None,
    by: str | None,
    output: str,
    source: Source,
) -> None:
    """Count what was decided over a time.

    How much, by whom, how fast, and what went past the gate, as records of the ledger say; and what
    became of it once it was rolled out, as outcomes say. Nothing is checked: `cabgate ledger
    verify` does that.
    """
    end = until or now()
    begin = since or end - SPAN
    check_time(begin, end)
    raws, outcomes = records_and(source, outcome.KIND)
    _print(counted(raws, outcomes, begin, end, None if by is None else By(by)), output)


def check_time(begin: datetime, end: datetime) -> None:
    """Raise `click.UsageError` for a time that ends before it begins."""
    if begin >= end:
        raise click.UsageError("--since has to be before --until")


def counted(
    raws: Iterable[Mapping[str, Any]],
    outcomes: Sequence[Mapping[str, Any]],
    begin: datetime,
    end: datetime,
    by: By | None,
) -> Report:
    """The report over stored records and outcomes; a note tells of each that it lacks. Where there
    are no outcomes at all it says nothing of rollouts."""
    found = answers(raws, Query())
    for each in found.unread:
        note(f"{each.where} cannot be read and is not counted: {each.why}. {each.advice}")
    known, unread = outcomes_in(outcomes)
    for why in unread:
        note(f"{why}, and is not counted")
    records = [record for record, _ in found.found]
    made = report_of(records, begin, end, by, known if outcomes else None)
    for missing in made.missing:
        note(missing_text(missing))
    return made


def _print(found: Report, output: str) -> None:
    if output in ("json", "yaml"):
        write_machine(as_data(found), output)
    else:
        write({"text": as_text, "csv": as_csv, "html": as_html}[output](found))
