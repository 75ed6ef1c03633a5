# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger list`: the records that answer a question, from a cluster or from exports."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from cabgate.api import exception, request
from cabgate.api.decision import CABDecision
from cabgate.ledger.queries import Answers, Query, answers
from cabgate.text.foreign import printed
from cabgate_cli.commands.options import MOMENT, output_option
from cabgate_cli.commands.records.ledger_options import source_options
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.ledger_contents import Source, records_of
from cabgate_cli.output.objects import write, write_machine


@click.command(
    "list",
    epilog="""\b
Examples:
  cabgate ledger list -n shop
  cabgate ledger list -n shop --verdict Approved --author rita --since 2026-01-01
  cabgate ledger list --image registry.example.com/shop/checkout:1.4.2 -o json
  cabgate ledger list -f ledger-2026.jsonl --correlation-id CHG-1042
"""
    + of_command("done, also if no record fits"),
)
@source_options
@click.option("-n", "--namespace", help="Records of this namespace alone.")
@click.option(
    "--kind",
    type=click.Choice([request.KIND, exception.KIND]),
    help="Records about such objects alone.",
)
@click.option("--subject", metavar="NAME", help="Name of the request or exception.")
@click.option("--intent", metavar="NAME", help="Name of the intent that the request was made from.")
@click.option("--verdict", metavar="VERDICT", help="Such as Approved, Revoked or Opened.")
@click.option("--author", metavar="USER", help="User name of who decided.")
@click.option("--submitter", metavar="USER", help="User name of who submitted, or asked.")
@click.option("--image", metavar="IMAGE", help="An image, exactly as the record names it.")
@click.option("--correlation-id", "correlation", metavar="ID", help="The correlation id.")
@click.option("--since", type=MOMENT, help="Decided then or later, UTC, such as 2026-01-31.")
@click.option("--until", type=MOMENT, help="Decided before, UTC.")
@output_option
def list_records(
    since: datetime | None,
    until: datetime | None,
    source: Source,
    output: str,
    **wanted: Any,
) -> None:
    """List the records that fit all filters.

    In the order of their chains; json and yaml have the whole records. Nothing is checked: `cabgate
    ledger verify` does that. A record that cannot be read is named, and the others are listed.
    """
    query = Query(since=since, until=until, **wanted)
    # All of them, not by a selector: one whose namespace cannot be read is to be named as well.
    answered = answers(records_of(source), query)
    if output != "text":
        raw = [raw for _, raw in answered.found]
        write_machine(raw, output)
    else:
        write(_table([record for record, _ in answered.found]))
    _tell(answered)


_HEADINGS = ("RECORD", "AT", "VERDICT", "AUTHOR", "SUBJECT", "SCORE")


def _table(records: Iterable[CABDecision]) -> str:
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for record in records:
        spec = record.spec
        at = f"{spec.at:%Y-%m-%dT%H:%M:%SZ}"
        about = f"{spec.subject.kind}/{spec.subject.name}"
        row = (record.metadata.name, at, spec.verdict, spec.author.username, about)
        # What is listed was not verified: none of it may steer a terminal.
        rows.append(tuple(printed(cell) for cell in (*row, spec.score or "-")))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ("  ".join(f"{c:{w}}" for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)
    return "".join(f"{line}\n" for line in lines)


def _tell(answered: Answers) -> None:
    if answered.cut:
        records = "1 record was" if answered.cut == 1 else f"{answered.cut} records were"
        note(
            f"{records} cut and may fit too: what the filters ask for may have stood in what is "
            "not there. Leave those filters out to see them; `cut` of a record names its fields."
        )
    for each in answered.unread:
        note(f"{each.where} cannot be read and was passed over: {each.why}. {each.advice}")
