# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit denials`: which rollouts were denied, or would be in mode Enforce."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from cabgate.api.base import rfc3339
from cabgate.reports.denials import MARK, Denial, Denials, UnreadableEventError, denial_of, summed
from cabgate.rollout.modes import Mode
from cabgate.text.foreign import printed
from cabgate_cli.commands.options import MOMENT, audit_log_option, output_option
from cabgate_cli.errors import BadInput
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.files.audit_log import events_with
from cabgate_cli.input.files.documents import shown_path
from cabgate_cli.output.objects import write, write_machine
from cabgate_cli.output.views import table


@click.command(
    epilog="""\b
Examples:
  cabgate audit denials -f /var/log/kubernetes/audit.log
  zcat audit-*.log.gz | cabgate audit denials -f - --since 2026-11-01 -n shop
  cabgate audit denials -f audit.log -o json
"""
    + of_command("there is none", "there are some", cluster=False)
)
@audit_log_option
@click.option("-n", "--namespace", help="Rollouts in this namespace alone.")
@click.option("--since", type=MOMENT, help="Asked for then or later, UTC, such as 2026-01-31.")
@click.option("--until", type=MOMENT, help="Asked for before, UTC.")
@output_option
@click.pass_context
def denials(
    ctx: click.Context,
    files: tuple[str, ...],
    namespace: str | None,
    since: datetime | None,
    until: datetime | None,
    output: str,
) -> None:
    """List rollouts that were denied, or would be by Enforce.

    By workload and reason, from the API server's audit log, in which the webhook notes them. MODE
    is Audit or Warn where the rollout went through, Enforce where it was denied. Dry runs are not
    counted: they roll nothing out. The log's policy has to have the level Metadata or a higher one
    for workloads.
    """
    rows = summed(
        each
        for path in files
        for each in _denials_in(path)
        if (namespace is None or each.namespace == namespace)
        and (since is None or each.at >= since)
        and (until is None or each.at < until)
    )
    if output == "text":
        write(_text(rows))
    else:
        write_machine([_data(row) for row in rows], output)
    ctx.exit(ExitCode.NO if rows else ExitCode.OK)


def _denials_in(path: str) -> Iterator[Denial]:
    for event in events_with(MARK, path):
        try:
            found = denial_of(event)
        except UnreadableEventError as error:
            where = f"{shown_path(path)}, event {event.get('auditID', '')}"
            raise BadInput(f"{where}: no event of an audit log: {error}") from None
        if found is not None:
            yield found


_HEADINGS = ("NAMESPACE", "WORKLOAD", "REASON", "MODE", "TIMES", "LAST", "BY")


def _text(rows: list[Denials]) -> str:
    if not rows:
        return "No rollout was denied, and Enforce would have denied none.\n"
    lines = [
        (row.namespace, row.workload, row.reason, row.mode, str(row.times), rfc3339(row.last), by)
        for row in rows
        for by in [", ".join(sorted(row.users))]
    ]
    passed = [row for row in rows if row.mode is not Mode.ENFORCE]
    total = sum(row.times for row in passed)
    workloads = len({(row.namespace, row.workload) for row in passed})
    rollouts = f"{total} more rollout{'s' * (total != 1)}"
    summary = (
        f"Enforce would have denied {rollouts} of {workloads} workload{'s' * (workloads != 1)}.\n"
    )
    return (
        table([_HEADINGS, *([printed(cell) for cell in line] for line in lines)]) + "\n" + summary
    )


def _data(row: Denials) -> dict[str, Any]:
    return {
        "namespace": row.namespace,
        "workload": row.workload,
        "reason": row.reason,
        "mode": row.mode.value,
        "times": row.times,
        "first": rfc3339(row.first),
        "last": rfc3339(row.last),
        "users": sorted(row.users),
        "message": row.message,
    }
