# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit map`: privileged actions in the API server's audit log, as a SIEM reads them."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from cabgate.siem.actions import action_event
from cabgate.siem.formats import Format, encoded
from cabgate_cli.commands.options import audit_log_option
from cabgate_cli.errors import BadInput, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.audit_log import events_by_line
from cabgate_cli.input.files.documents import shown_path
from cabgate_cli.output.objects import write


@click.command(
    "map",
    epilog="""\b
Examples:
  cabgate audit map -f /var/log/kubernetes/audit.log --cluster prod
  tail -F /var/log/kubernetes/audit.log | cabgate audit map -f - --cluster prod --format ocsf
"""
    + of_command(cluster=False),
)
@audit_log_option
@click.option(
    "--cluster", metavar="NAME", required=True, help="Name of the cluster, as the relay has it."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in Format]),
    default=Format.CLOUDEVENTS.value,
    show_default=True,
    help="Format of the events.",
)
def audit_map(files: tuple[str, ...], cluster: str, form: str) -> None:
    """Print privileged actions as events of a SIEM, one a line.

    Lowered rings and loosened modes, changed risk models, change policies and signers, a pruned
    ledger, deleted records, changed positions of sinks, changed admission configuration and
    resource definitions of cabgate: what no record of the ledger tells of.
    Decisions are sent by the relay. The same line of the log gives the same bytes, with the id
    CLUSTER/_audit/DIGEST. examples/siem/audit-policy.yaml is an audit policy that has them all.
    A line that is no event is named on standard error and skipped; the exit code is 2 then.
    """
    skipped = 0
    for path in files:
        for number, events in events_by_line(path):
            lines = None if events is None else _mapped(cluster, Format(form), events)
            if lines is None:
                skipped += 1
                note(f"{shown_path(path)}, line {number}: skipped: no event that can be read")
                continue
            for line in lines:
                write(line + "\n")
    if skipped:
        raise BadInput(
            f"{skipped} lines were skipped, each named above: what they tell of is not "
            "in the output, look at them by hand"
        )


def _mapped(cluster: str, form: Format, events: Iterable[Mapping[str, Any]]) -> list[str] | None:
    """The privileged actions among the events of a line; None if one cannot be written."""
    try:
        found = [action_event(cluster, event) for event in events]
        return [encoded(each, form).decode() for each in found if each is not None]
    except RecursionError:
        return None
