# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger export` and `prune`: records are copied to a file, and old ones move there."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cabgate.api import decision
from cabgate.ledger.chain import Checkpoint
from cabgate.ledger.cursors import parsed_cursors
from cabgate.ledger.findings import Finding
from cabgate.ledger.pruning import (
    ExportError,
    Prefix,
    RawObject,
    exported,
    missing_in,
    not_acknowledged,
    not_stored,
    prefixes,
    selected,
    torn,
)
from cabgate.text.foreign import printed
from cabgate_cli.commands.options import cluster_options
from cabgate_cli.commands.records.ledger_options import keys_option
from cabgate_cli.errors import BadInput, Unavailable, note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.ledger_contents import (
    from_cluster,
    public_keys,
    records_in,
    text_of_keys,
)
from cabgate_cli.input.viewer import now
from cabgate_cli.output.objects import write
from cabgate_kube.installation import LEDGER_CHECKPOINTS, RELAY_CURSORS, RELAY_LEASE

if TYPE_CHECKING:
    from cabgate_cli.input.cluster.ledger_source import LedgerSource

DAYS = 400
"""How old a record has to be, unless said otherwise."""


@dataclass(frozen=True)
class _Plan:
    """What is to be exported."""

    records: Sequence[RawObject]
    lines: Sequence[bytes]
    """What the file lacks."""
    before: Mapping[str, Checkpoint]
    """The checkpoints as they were read."""
    keep: int
    """How much of the file is whole: a crash may have left half a line."""
    prefixes: Sequence[Prefix] = ()
    """What is to be pruned."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many records of which chains are too young."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        cluster_options,
        keys_option,
        click.option(
            "--out",
            metavar="FILE",
            required=True,
            type=click.Path(dir_okay=False, path_type=Path),
            help="JSON Lines, one CABDecision a line. What an earlier run wrote there stays.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    epilog="""\b
Examples:
  cabgate ledger export --out ledger.jsonl
  cabgate ledger export --out ledger-2026.jsonl --older-than 30
"""
    + of_command(no="the ledger has findings, one a line; nothing was written")
)
@_options
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.IntRange(0, 36500),
    help="How old a record has to be; default: every record is exported.",
)
@click.pass_context
def export(ctx: click.Context, /, out: Path, days: int | None, **cluster: Any) -> None:
    """Append the records to a file, and delete none.

    Every chain is verified first, and the file is read back. With --older-than, of each chain the
    records up to the first that is younger; how many it leaves out is said.
    """
    plan = _planned(ctx, out, days, deletes=False, **cluster)
    _write_file(out, plan)
    write(f"exported: {len(plan.records)} records, {len(plan.lines)} of them now, to {out}\n")
    _tell_left_out(plan, days)


def _tell_left_out(plan: _Plan, days: int | None) -> None:
    if plan.left_out:
        chains = ", ".join(f"{number} of {name}" for name, number in plan.left_out.items())
        note(
            f"left out: {sum(plan.left_out.values())} records, from the first of each chain on "
            f"that is not older than {days} days: {chains}"
        )
    if plan.before:
        pruned = ", ".join(f"{n} up to record {c.head.sequence}" for n, c in plan.before.items())
        note(f"left out: what was pruned before, which stands in earlier exports: {pruned}")


@click.command(
    epilog="""\b
Examples:
  cabgate ledger prune --out ledger-2026.jsonl --dry-run
  cabgate ledger prune --out ledger-2026.jsonl
  cabgate ledger prune --out ledger-2026.jsonl --cluster prod \\
    --stored-in postgresql://auditor@db.example.com/cabgate
  cabgate ledger verify -f ledger-2026.jsonl -f rest-of-the-cluster.json --keys keys.yaml
"""
    + of_command(
        no="the ledger has findings, or the event store or a sink lacks records: one a line; "
        "nothing was deleted"
    )
)
@_options
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.IntRange(0, 36500),
    default=DAYS,
    show_default=True,
    help="How old a record has to be.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@click.option(
    "--stored-in",
    "store",
    metavar="URL",
    help="The event store that the relay fills: nothing is deleted that it has not. Needed where a "
    "relay runs, unless --no-store says that it keeps none.",
)
@click.option(
    "--no-store", is_flag=True, help="The relay keeps no event store: it only sends to sinks."
)
@click.option(
    "--cluster",
    "store_cluster",
    metavar="NAME",
    help="Which cluster of the event store this is; default: the only one.",
)
@click.pass_context
def prune(
    ctx: click.Context,
    /,
    out: Path,
    days: int,
    *,
    dry_run: bool,
    store: str | None,
    no_store: bool,
    store_cluster: str | None,
    **cluster: Any,
) -> None:
    """Move old records to a file.

    They are exported, the checkpoint is set, and they are deleted, the oldest first. Every chain is
    verified first; the export is read back and compared with the cluster before anything is
    deleted. The newest record of a chain stays. Keep the file: it alone proves what was pruned.

    Where a relay keeps the ledger in an event store, --stored-in has to name that, and what it does
    not have byte for byte stays in the cluster. So does what a sink of the relay has not
    acknowledged.
    """
    if store is not None and no_store:
        raise click.UsageError("--stored-in names an event store, and --no-store denies it")
    if store_cluster is not None and store is None:
        raise click.UsageError("--cluster chooses a cluster of an event store: give --stored-in")
    plan = _planned(ctx, out, days, deletes=True, **cluster)
    if plan.prefixes:
        from cabgate_cli.input.cluster.ledger_source import LedgerSource

        source = LedgerSource(cluster["kubeconfig"], cluster["context"])
        if not no_store:
            _check_stored(ctx, plan, store, store_cluster, source)
        _check_acknowledged(ctx, plan, source)
    for prefix in plan.prefixes:
        count, place = len(prefix.records), prefix.checkpoint.head.sequence
        write(f"chain of {prefix.namespace}: {count} records to prune, up to record {place}\n")
    if dry_run:
        note("nothing was written: --dry-run")
        return
    _write_file(out, plan)
    if plan.prefixes:
        try:
            _delete(plan, cluster["kubeconfig"], cluster["context"])
        except Unavailable as error:
            raise Unavailable(
                f"{error.message.rstrip('.')}. The export is complete: run this again with "
                f"--out {out}"
            ) from None
    write(f"pruned: {len(plan.records)} records, exported to {out}\n")


def _planned(
    ctx: click.Context,
    out: Path,
    days: int | None,
    kubeconfig: str | None,
    context: str | None,
    key_files: Sequence[str],
    *,
    deletes: bool,
) -> _Plan:
    """What is to be exported from a ledger that is clean, and a file that fits it."""
    given = [pem for path in key_files for pem in text_of_keys(path)]
    evidence = from_cluster(kubeconfig, context, keys=not given)
    keys = public_keys(given or evidence.pems, of_cluster=not given)
    cutoff = None if days is None else now() - timedelta(days=days)
    if deletes and days == 0:
        evidence.now = None  # what is not recorded yet might be older than what is pruned
    in_cluster = evidence.findings(keys)
    if in_cluster:
        _stop(ctx, in_cluster)
    before = dict(evidence.checkpoints)
    records = evidence.objects[decision.PLURAL]
    if deletes and cutoff is not None:
        found = prefixes(records, before, cutoff)
        old = [record for prefix in found for record in prefix.records]
        plan, content = _fitting(out, old, before)
        plan = replace(plan, prefixes=found)
    else:
        chosen = selected(records, cutoff)
        plan, content = _fitting(out, chosen.records, before)
        plan = replace(plan, left_out=chosen.left_out)
    evidence.objects[decision.PLURAL] += records_in(content, str(out))
    with_file = evidence.findings(keys)
    if with_file:
        _stop(ctx, with_file)
    return plan


def _check_stored(
    ctx: click.Context,
    plan: _Plan,
    store: str | None,
    store_cluster: str | None,
    source: "LedgerSource",
) -> None:
    """Stop unless the event store has what is to be deleted, or there is none. Raises `BadInput`,
    and `Unavailable` where nobody can know."""
    if store is None:
        if source.has_relay():
            raise BadInput(
                f"a relay keeps this ledger in an event store (Lease {RELAY_LEASE}): name that "
                "with --stored-in, so that nothing is deleted that it has not. Nothing was written "
                "or deleted. If it keeps none and only sends to sinks, say --no-store; if the "
                "store was given up, delete the Lease"
            )
        return
    from cabgate_cli.input.ledger_store import stored_ledger

    found = stored_ledger(store, store_cluster)
    lacking = not_stored(plan.prefixes, found.records, dict(found.checkpoints), plan.before)
    if lacking:
        write("".join(f"{printed(line)}\n" for line in lacking))
        note(
            f"the event store lacks {len(lacking)} of the records that are to go, and nothing was "
            "written or deleted. Wait until the relay has them; see docs/operations/alerts.md"
        )
        ctx.exit(ExitCode.NO)


def _check_acknowledged(ctx: click.Context, plan: _Plan, source: "LedgerSource") -> None:
    """Stop unless each sink of the relay has acknowledged what is to be deleted. Raises
    `Unavailable` where nobody can know."""
    found = source.config_map(RELAY_CURSORS) or {}
    cursors = {sink: parsed_cursors(text) for sink, text in found.items()}
    lacking = not_acknowledged(plan.prefixes, cursors, plan.before)
    if lacking:
        write("".join(f"{printed(line)}\n" for line in lacking))
        note(
            "a sink of the relay has not acknowledged all that is to go, and nothing was written "
            "or deleted. Wait until it has; one that was given up is taken out of ConfigMap "
            f"{RELAY_CURSORS} of cabgate-system, key by key; see docs/siem.md"
        )
        ctx.exit(ExitCode.NO)


def _stop(ctx: click.Context, findings: Sequence[Finding]) -> None:
    write("".join(f"{line}\n" for line in finding_lines(findings)))
    note("something is wrong, and nothing was written or deleted")
    ctx.exit(ExitCode.NO)


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Each finding as a line for people."""
    return [printed(f"{f.where}: {f.code}: {f.message}. To do: {f.advice}.") for f in findings]


def _fitting(
    out: Path, records: Sequence[RawObject], before: Mapping[str, Checkpoint]
) -> tuple[_Plan, bytes]:
    """What a file lacks, and what it holds already."""
    try:
        content = out.read_bytes() if out.exists() else b""
        keep = len(content) - torn(content, records)
        content = content[:keep]
        return _Plan(records, missing_in(exported(content), records), before, keep), content
    except OSError as error:
        raise BadInput(f"{out}: cannot be read: {error.strerror or error}") from None
    except ExportError as error:
        raise BadInput(
            f"{out}: {error}. Nothing was written; give another file with --out"
        ) from None


def _write_file(out: Path, plan: _Plan) -> None:
    """Append to the file, and read it back. Raises `Unavailable`."""
    try:
        with out.open("ab") as stream:
            stream.truncate(plan.keep)
            stream.write(b"".join(line + b"\n" for line in plan.lines))
            stream.flush()
            os.fsync(stream.fileno())
        folder = os.open(out.resolve().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        lines = exported(out.read_bytes())
        lacking = missing_in(lines, plan.records)
    except OSError as error:
        raise Unavailable(f"{out}: cannot be written: {error.strerror or error}") from None
    except ExportError as error:
        raise Unavailable(f"{out}: does not say what was written: {error}") from None
    if lacking:
        raise Unavailable(f"{out}: lacks {len(lacking)} of the records that were written")


def _delete(plan: _Plan, kubeconfig: str | None, context: str | None) -> None:
    from cabgate_cli.input.cluster.ledger_source import LedgerSource

    source = LedgerSource(kubeconfig, context)
    source.change_config_map(
        LEDGER_CHECKPOINTS,
        {namespace: str(checkpoint) for namespace, checkpoint in plan.before.items()},
        {prefix.namespace: str(prefix.checkpoint) for prefix in plan.prefixes},
    )
    for prefix in plan.prefixes:
        for record in prefix.records:
            source.delete(decision.PLURAL, record)
