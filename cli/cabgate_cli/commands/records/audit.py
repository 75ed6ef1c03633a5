# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit export`: everything that an audit of a time needs, in one archive."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cabgate import API_VERSION
from cabgate.api import decision, exception, outcome, request
from cabgate.api.base import rfc3339
from cabgate.api.rules import RULES
from cabgate.ledger.kept import FROZEN_REQUEST
from cabgate.reports.page import as_html
from cabgate.reports.report import By
from cabgate.reports.texts import as_csv, as_data
from cabgate_cli.commands.options import MOMENT
from cabgate_cli.commands.records.audit_denials import denials
from cabgate_cli.commands.records.audit_map import audit_map
from cabgate_cli.commands.records.ledger_options import (
    heads_option,
    keys_option,
    source_options,
)
from cabgate_cli.commands.records.ledger_verified import verification
from cabgate_cli.commands.records.report import check_time, counted
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.ledger_contents import LedgerContents, Source, gathered
from cabgate_cli.output.archive import archive, json_bytes, json_lines
from cabgate_cli.output.files import put_in_place
from cabgate_cli.output.objects import write
from cabgate_kube.installation import LEDGER_CHECKPOINTS, LEDGER_HEADS, SIGNING_KEYS

_KINDS = (
    *((of.KIND, of.PLURAL) for of in (decision, request, exception, outcome)),
    *((each.kind, each.plural) for each in RULES),
)


@click.group()
def audit() -> None:
    """Collect what an audit needs."""


audit.add_command(denials)
audit.add_command(audit_map)


@audit.command(
    "export",
    epilog="""\b
Examples:
  cabgate audit export --since 2026-07-01 --until 2026-10-01 --out audit.zip
  cabgate audit export -f ledger-2026.jsonl --keys keys.yaml --since 2026-01-01 \\
    --until 2026-07-01 --out audit.zip
  cabgate audit export --from postgresql://auditor@db.example.com/cabgate --cluster prod \\
    --keys keys.yaml --since 2026-01-01 --until 2026-07-01 --out audit.zip
  unzip audit.zip -d audit
  cabgate ledger verify -f audit/ledger.jsonl -f audit/checkpoints.json \\
    --keys audit/keys.json --heads audit/heads.json
"""
    + of_command("the archive is written", "it is written, and the ledger has findings"),
)
@source_options
@click.option("--since", type=MOMENT, required=True, help="The report is from then on, UTC.")
@click.option("--until", type=MOMENT, required=True, help="End, UTC, exclusive.")
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The archive, a ZIP; one that is there is replaced.",
)
@heads_option
@keys_option
@click.pass_context
def export(
    ctx: click.Context,
    since: datetime,
    until: datetime,
    out: Path,
    head_files: tuple[str, ...],
    key_files: tuple[str, ...],
    source: Source,
) -> None:
    """Write what an audit needs into one archive.

    Records, what they are about, what became of rollouts, keys, published heads, the verification
    and a report. All records are in it, since a chain verifies from its beginning; the report is of
    the time that is given. The same input gives the same bytes. Requests and exceptions are in it
    as they are, with their evidence: keep it as you would keep these. Of an event store requests
    are in it as they were opened, with all contents that risk models, change policies and evidence
    signers had.
    """
    check_time(since, until)
    evidence, keys = gathered(source, head_files, key_files, outcomes=True)
    findings = evidence.findings(keys)
    verified = verification(evidence, keys, findings)
    content = _files(evidence, since, until) | {
        "verification.json": json_bytes(verified),
        "keys.json": _config_map(SIGNING_KEYS, keys.pems),
    }
    about = {"since": rfc3339(since), "until": rfc3339(until), "clean": not findings}
    put_in_place(str(out), archive(content, about))
    write(f"wrote {out}: {len(evidence.objects[decision.PLURAL])} records\n")
    if findings:
        note(f"the ledger has {len(findings)} findings: verification.json has them")
    ctx.exit(ExitCode.NO if findings else ExitCode.OK)


def _files(evidence: LedgerContents, begin: datetime, end: datetime) -> dict[str, bytes]:
    records, outcomes = (evidence.objects[kind.PLURAL] for kind in (decision, outcome))
    made = counted(records, outcomes, begin, end, By.NAMESPACE)
    return {
        "ledger.jsonl": b"".join(
            json_lines({"apiVersion": API_VERSION, **each, "kind": kind} for each in objects)
            for kind, objects in (
                *((kind, evidence.objects[plural]) for kind, plural in _KINDS),
                (FROZEN_REQUEST, evidence.frozen),
            )
        ),
        "heads.json": _published(LEDGER_HEADS, evidence.heads),
        "checkpoints.json": _published(LEDGER_CHECKPOINTS, evidence.checkpoints),
        "report.json": json_bytes(as_data(made)),
        "report.csv": as_csv(made).encode(),
        "report.html": as_html(made).encode(),
    }


def _published(name: str, published: Sequence[tuple[str, object]]) -> bytes:
    """What was published for each namespace: a ConfigMap for each copy, since two copies of one
    chain are two points that it has to go through."""
    copies: list[dict[str, str]] = []
    for namespace, what in sorted({(namespace, str(what)) for namespace, what in published}):
        free = next((copy for copy in copies if namespace not in copy), None)
        if free is None:
            copies.append(free := {})
        free[namespace] = what
    if len(copies) < 2:
        return _config_map(name, copies[0] if copies else {})
    return json_bytes(
        {"kind": "List", "apiVersion": "v1", "items": [_object(name, c) for c in copies]}
    )


def _config_map(name: str, data: Mapping[str, str]) -> bytes:
    """As `cabgate ledger verify` reads it."""
    return json_bytes(_object(name, data))


def _object(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data)}
