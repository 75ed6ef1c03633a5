# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger verify`: whether the record of decisions is whole and unchanged."""

from collections.abc import Sequence

import click

from cabgate.api import exception, request
from cabgate.ledger.findings import Finding
from cabgate.ledger.signatures import PublicKeys
from cabgate_cli.commands.options import output_option
from cabgate_cli.commands.records.ledger_list import list_records
from cabgate_cli.commands.records.ledger_options import (
    heads_option,
    keys_option,
    source_options,
)
from cabgate_cli.commands.records.ledger_prune import export, finding_lines, prune
from cabgate_cli.commands.records.ledger_verified import chains, distinct, pruned, verification
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.ledger_contents import LedgerContents, Source, gathered
from cabgate_cli.output.objects import write, write_machine
from cabgate_kube.installation import LEDGER_CHECKPOINTS


@click.group()
def ledger() -> None:
    """List, verify, export and prune the record of decisions."""


ledger.add_command(list_records)
ledger.add_command(export)
ledger.add_command(prune)


@ledger.command(
    epilog="""\b
Examples:
  cabgate ledger verify
  cabgate ledger verify --heads heads-of-june.yaml --keys keys.yaml
  kubectl get cabdecisions,cabrequests,cabexceptions,riskmodels -A -o json > export.json
  cabgate ledger verify -f export.json --keys keys.yaml -o json
  cabgate ledger verify -f 2025.jsonl -f 2026.jsonl --keys keys.yaml
  cabgate ledger verify --from postgresql://auditor@db.example.com/cabgate --cluster prod \\
    --keys keys.yaml --heads heads-of-june.yaml
"""
    + of_command("nothing is wrong", "something is: one line for each finding")
)
@source_options
@heads_option
@keys_option
@output_option
@click.pass_context
def verify(
    ctx: click.Context,
    head_files: tuple[str, ...],
    key_files: tuple[str, ...],
    source: Source,
    output: str,
) -> None:
    """Verify every chain, and say what is wrong and where.

    Each record is checked for its place, its digest and its signature, and against the request or
    exception that was decided on, where that still exists. Of an event store, against the request
    as it was opened, and its score against the risk model of then.
    Nothing is written.
    """
    evidence, keys = gathered(source, head_files, key_files)
    findings = evidence.findings(keys)
    if output != "text":
        write_machine(verification(evidence, keys, findings), output)
    else:
        write(_lines(evidence, keys, findings))
        missing = [n for n, was in (("--keys", key_files), ("--heads", head_files)) if not was]
        if missing:
            note(
                "whoever can change the cluster's own keys and heads can make a forgery fit: keep "
                f"copies elsewhere, and give them with {' and '.join(missing)}"
            )
    if evidence.checkpoints and output == "text":
        note(
            f"{_count(len(pruned(evidence)), 'chain')} pruned up to a checkpoint: what was before "
            "is proved by its export alone (-f)"
        )
        if evidence.of_store:
            chains_pruned = (f"{name} up to record {n}" for name, n in pruned(evidence).items())
            note(
                f"that the beginning was pruned stands in the store alone "
                f"({', '.join(chains_pruned)}): who can delete records there can write that too. "
                f"Compare it with a copy of ConfigMap {LEDGER_CHECKPOINTS} (--heads)"
            )
    not_looked_for = evidence.heads_not_looked_for()
    if not_looked_for and output == "text":
        names = ", ".join(f"{name} {head.sequence}" for name, head in not_looked_for)
        note(
            f"{_count(len(not_looked_for), 'published head')} not looked for, because a checkpoint "
            f"says that the records were pruned: {names}"
        )
    if evidence.anomalies and output == "text":
        note(
            f"{_count(len(evidence.anomalies), 'anomaly', 'anomalies')} in the store: records that "
            f"were not as they should be when the relay read them. {_anomalies(evidence)}"
        )
    others = evidence.not_computed()
    if others and output == "text":
        note(
            f"{_count(sum(others.values()), 'score')} not computed anew: the risk model "
            f"({', '.join(others)}) is not there as it was. Create it again, or give a copy (-f)"
        )
    ctx.exit(ExitCode.NO if findings else ExitCode.OK)


def _lines(evidence: LedgerContents, keys: PublicKeys, findings: Sequence[Finding]) -> str:
    lines = finding_lines(findings)
    numbers = chains(evidence)
    requests = [*evidence.objects[request.PLURAL], *evidence.frozen]
    seen = (
        f"{_count(sum(numbers.values()), 'record')} in {_count(len(numbers), 'chain')}, against "
        f"{_count(len(distinct(requests)), 'request')}, "
        f"{_count(len(distinct(evidence.objects[exception.PLURAL])), 'exception')}, "
        f"{_count(len(set(evidence.heads)), 'published head')} and "
        f"{_count(len(keys.ids), 'public key')} ({', '.join(keys.ids)})"
    )
    verdict = "nothing is wrong" if not findings else _count(len(findings), "finding")
    return "".join(f"{line}\n" for line in [*lines, f"{verdict}: {seen}"])


def _anomalies(evidence: LedgerContents) -> str:
    return " ".join(
        f"{each['found_at']}: record {each['sequence']} of {each['chain'] or 'no chain'}: "
        f"{each['code']}, {each['message']}."
        for each in evidence.anomalies
    )


def _count(number: int, what: str, more: str = "") -> str:
    return f"{number} {what}" if number == 1 else f"{number} {more or f'{what}s'}"
