# SPDX-License-Identifier: Apache-2.0
"""`cabgate report`: what was decided over a time, from a cluster or from exports."""

from datetime import UTC, datetime, timedelta

import click

from cabgate.api import decision
from cabgate.ledger.queries import Query, answers
from cabgate.reports.page import as_html
from cabgate.reports.report import By, Report
from cabgate.reports.report import report as made
from cabgate.reports.texts import as_csv, as_data, as_text, missing_text
from cabgate_cli.commands.options import cluster_options, export_option
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.ledger_evidence import from_files
from cabgate_cli.output.objects import write, write_machine

SPAN = timedelta(days=90)
"""How long a report goes back that does not say since when."""

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])


@click.command(
    epilog="""\b
Examples:
  cabgate report --since 2026-07-01 --until 2026-10-01
  cabgate report --by namespace -o html > quarter.html
  cabgate report -f ledger-2025.jsonl -f ledger-2026.jsonl --since 2025-10-01 -o csv
"""
    + of_command("done, also if nothing was decided")
)
@export_option
@click.option("--since", type=_MOMENT, help="From then on, UTC; default: 90 days before the end.")
@click.option("--until", type=_MOMENT, help="To before then, UTC; default: now.")
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
@cluster_options
def report(
    files: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    by: str | None,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Count what was decided over a time.

    How much, by whom, how fast, and what went past the gate, as records of the ledger say. Nothing
    is checked: `cabgate ledger verify` does that.
    """
    if files and (kubeconfig or context):
        raise click.UsageError("-f reads files, --kubeconfig and --context a cluster: not both")
    end = datetime.now(UTC) if until is None else until.replace(tzinfo=UTC)
    begin = end - SPAN if since is None else since.replace(tzinfo=UTC)
    if begin >= end:
        raise click.UsageError("--since has to be before --until")
    found = answers(_records(files, kubeconfig, context), Query())
    for each in found.unread:
        note(f"{each.where} cannot be read and is not counted: {each.why}. {each.advice}")
    records = [record for record, _ in found.found]
    _print(made(records, begin, end, None if by is None else By(by)), output)


def _records(
    files: tuple[str, ...], kubeconfig: str | None, context: str | None
) -> list[dict[str, object]]:
    if files:
        return list(from_files(files).objects[decision.PLURAL])
    from cabgate_cli.input.cluster.ledger_source import LedgerSource

    return LedgerSource(kubeconfig, context).objects(decision.PLURAL)


def _print(found: Report, output: str) -> None:
    for each in found.missing:
        note(missing_text(each))
    if output in ("json", "yaml"):
        write_machine(as_data(found), output)
    else:
        write({"text": as_text, "csv": as_csv, "html": as_html}[output](found))
