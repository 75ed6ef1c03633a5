# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit map`: privileged actions in the API server's audit log, as a SIEM reads them."""

import click

from cabgate.siem.actions import action_event
from cabgate.siem.formats import Format, encoded
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.audit_log import events_with
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
@click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    help="Audit log of an API server; - reads standard input. May be repeated.",
)
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
    ledger, changed admission configuration of cabgate: what no record of the ledger tells of.
    Decisions are sent by the relay. The same line of the log gives the same bytes, with the id
    CLUSTER/audit/AUDIT-ID. examples/siem/audit-policy.yaml is an audit policy that has them all.
    """
    for path in files:
        for event in events_with("", path):
            found = action_event(cluster, event)
            if found is not None:
                write(encoded(found, Format(form)).decode() + "\n")
