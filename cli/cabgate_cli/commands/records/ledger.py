# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger verify`: whether the record of decisions is whole and unchanged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import click

from cabgate.api import decision, exception, request
from cabgate.ledger.findings import Finding
from cabgate.ledger.signatures import PublicKeys
from cabgate_cli.commands.options import cluster_options, export_option, output_option
from cabgate_cli.commands.records.ledger_list import list_records
from cabgate_cli.commands.records.ledger_prune import export, finding_lines, prune
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.ledger_evidence import (
    Evidence,
    from_cluster,
    from_files,
    heads_in,
    public_keys,
    text_of_keys,
)
from cabgate_cli.output.objects import write, write_machine
from cabgate_kube.installation import LEDGER_HEADS, SIGNING_KEYS


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
"""
    + of_command("nothing is wrong", "something is: one line for each finding")
)
@export_option
@click.option(
    "--heads",
    "head_files",
    metavar="FILE",
    multiple=True,
    help=f"A copy of the ConfigMap {LEDGER_HEADS} that was kept elsewhere. May be repeated.",
)
@click.option(
    "--keys",
    "key_files",
    metavar="FILE",
    multiple=True,
    help=f"Public keys, PEM or a copy of the ConfigMap {SIGNING_KEYS}, instead of the cluster's. "
    "May be repeated.",
)
@output_option
@cluster_options
@click.pass_context
def verify(
    ctx: click.Context,
    files: tuple[str, ...],
    head_files: tuple[str, ...],
    key_files: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    output: str,
) -> None:
    """Verify every chain, and say what is wrong and where.

    Each record is checked for its place, its digest and its signature, and against the request or
    exception that was decided on, where that still exists. Nothing is written.
    """
    if files and (kubeconfig or context):
        raise click.UsageError("-f reads files, --kubeconfig and --context a cluster: not both")
    given = [pem for path in key_files for pem in text_of_keys(path)]
    evidence = from_files(files) if files else from_cluster(kubeconfig, context, keys=not given)
    for path in head_files:
        evidence.heads += heads_in(path)
    keys = public_keys(given or evidence.pems, of_cluster=not (given or files))
    findings = evidence.findings(keys)
    if output != "text":
        machine = _machine(evidence, keys, findings)
        write_machine(machine, output)
    else:
        write(_lines(evidence, keys, findings))
        missing = [n for n, was in (("--keys", given), ("--heads", head_files)) if not was]
        if missing:
            note(
                "whoever can change the cluster's own keys and heads can make a forgery fit: keep "
                f"copies elsewhere, and give them with {' and '.join(missing)}"
            )
    if evidence.checkpoints and output == "text":
        note(
            f"{_count(len(_pruned(evidence)), 'chain')} pruned up to a checkpoint: what was before "
            "is proved by its export alone (-f)"
        )
    others = evidence.not_computed()
    if others and output == "text":
        note(
            f"{_count(sum(others.values()), 'score')} not computed anew: the risk model "
            f"({', '.join(others)}) is not there as it was. Create it again, or give a copy (-f)"
        )
    ctx.exit(ExitCode.NO if findings else ExitCode.OK)


def _chains(evidence: Evidence) -> dict[str, int]:
    """Records of each chain, as far as they say which is theirs."""
    chains: dict[str, int] = defaultdict(int)
    for record in _distinct(evidence.objects[decision.PLURAL]):
        spec = record.get("spec")
        subject = spec.get("subject") if isinstance(spec, Mapping) else None
        namespace = subject.get("namespace") if isinstance(subject, Mapping) else None
        chains[str(namespace or "unknown")] += 1
    return dict(sorted(chains.items()))


def _distinct(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each object once: exports overlap."""
    found: dict[object, Mapping[str, Any]] = {}
    for item in objects:
        metadata = item.get("metadata")
        uid = metadata.get("uid") if isinstance(metadata, Mapping) else None
        found[uid if isinstance(uid, str) else id(item)] = item
    return list(found.values())


def _pruned(evidence: Evidence) -> dict[str, int]:
    """Up to which position the chains were pruned."""
    pruned: dict[str, int] = {}
    for namespace, checkpoint in evidence.checkpoints:
        pruned[namespace] = max(checkpoint.head.sequence, pruned.get(namespace, 0))
    return dict(sorted(pruned.items()))


def _machine(evidence: Evidence, keys: PublicKeys, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "clean": not findings,
        "chains": _chains(evidence),
        "keys": keys.ids,
        "heads": len(set(evidence.heads)),
        "pruned": _pruned(evidence),
        "notComputedAnew": evidence.not_computed(),
        "findings": [
            {
                "code": finding.code.value,
                "where": finding.where,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in findings
        ],
    }


def _lines(evidence: Evidence, keys: PublicKeys, findings: Sequence[Finding]) -> str:
    lines = finding_lines(findings)
    chains = _chains(evidence)
    seen = (
        f"{_count(sum(chains.values()), 'record')} in {_count(len(chains), 'chain')}, against "
        f"{_count(len(_distinct(evidence.objects[request.PLURAL])), 'request')}, "
        f"{_count(len(_distinct(evidence.objects[exception.PLURAL])), 'exception')}, "
        f"{_count(len(set(evidence.heads)), 'published head')} and "
        f"{_count(len(keys.ids), 'public key')} ({', '.join(keys.ids)})"
    )
    verdict = "nothing is wrong" if not findings else _count(len(findings), "finding")
    return "".join(f"{line}\n" for line in [*lines, f"{verdict}: {seen}"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
