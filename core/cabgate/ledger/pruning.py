# SPDX-License-Identifier: Apache-2.0
"""What of a ledger is old enough to be exported and pruned, and what an export of it says."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate import API_VERSION
from cabgate.api.decision import KIND, CABDecision
from cabgate.ledger.chain import Checkpoint, Head
from cabgate.text.canonical import canonical_json

RawObject = Mapping[str, Any]


class ExportError(ValueError):
    """A file that is no export of this ledger; the message says where and why."""


@dataclass(frozen=True)
class Prefix:
    """The oldest records of a chain, which are to go."""

    namespace: str
    records: Sequence[RawObject]
    """In the order of the chain."""
    checkpoint: Checkpoint
    """What they leave behind."""


@dataclass(frozen=True)
class Selection:
    """What an export holds."""

    records: Sequence[RawObject]
    """Chain by chain, in the order of each."""
    left_out: Mapping[str, int]
    """How many records of which chains it does not hold: they are too young."""


def selected(decisions: Iterable[RawObject], cutoff: datetime | None = None) -> Selection:
    """What is to be exported: everything, or of each chain the records up to the first that is not
    older than `cutoff`. Nothing is deleted, so the newest has no reason to stay behind."""
    records: list[RawObject] = []
    left_out: dict[str, int] = {}
    for namespace, chain in _in_order(decisions).items():
        young = (n for n, (r, _) in enumerate(chain) if cutoff is not None and r.spec.at >= cutoff)
        end = next(young, len(chain))
        records += [raw for _, raw in chain[:end]]
        if end < len(chain):
            left_out[namespace] = len(chain) - end
    return Selection(records, left_out)


def _in_order(decisions: Iterable[RawObject]) -> dict[str, list[tuple[CABDecision, RawObject]]]:
    """The chains by namespace, each in its order."""
    chains: dict[str, dict[int, tuple[CABDecision, RawObject]]] = defaultdict(dict)
    for raw in decisions:
        record = CABDecision.model_validate(raw)
        chains[record.spec.subject.namespace][record.spec.sequence] = (record, raw)
    return {
        namespace: [chain[sequence] for sequence in sorted(chain)]
        for namespace, chain in sorted(chains.items())
    }


def prefixes(
    decisions: Iterable[RawObject],
    checkpoints: Mapping[str, Checkpoint],
    cutoff: datetime,
) -> list[Prefix]:
    """Of each chain the records up to the first that is not older than `cutoff`, but never the
    newest. What lies behind a checkpoint goes whatever its age: an earlier prune left it."""
    found = []
    for namespace, ordered in _in_order(decisions).items():
        prefix = _prefix(namespace, ordered, checkpoints.get(namespace), cutoff)
        if prefix is not None:
            found.append(prefix)
    return found


def _prefix(
    namespace: str,
    chain: Sequence[tuple[CABDecision, RawObject]],
    checkpoint: Checkpoint | None,
    cutoff: datetime,
) -> Prefix | None:
    taken = []
    for record, raw in chain[:-1]:
        spec = record.spec
        if checkpoint is None or spec.sequence > checkpoint.head.sequence:
            if spec.at >= cutoff:
                break
            # Clocks differ: the last of the prefix need not be the latest.
            latest = spec.at if checkpoint is None else max(checkpoint.at, spec.at)
            checkpoint = Checkpoint(Head.of(record), latest)
        taken.append(raw)
    return Prefix(namespace, taken, checkpoint) if taken and checkpoint is not None else None


def export_line(record: RawObject) -> bytes:
    """A record as a line of an export: the object as it would be created, canonical JSON."""
    return canonical_json(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": record["metadata"]["name"]},
            "spec": record["spec"],
        }
    )


def exported(content: bytes) -> dict[str, bytes]:
    """The lines of an export by the names of their records. Raises `ExportError`."""
    lines: dict[str, bytes] = {}
    for number, line in enumerate(content.splitlines(), 1):
        name = _name(line, number)
        if name in lines:
            raise ExportError(f"line {number}: {name} stands there twice")
        lines[name] = line
    return lines


def _name(line: bytes, number: int) -> str:
    try:
        parsed = json.loads(line)
        if parsed["kind"] == KIND and export_line(parsed) == line:
            return str(parsed["metadata"]["name"])
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    raise ExportError(f"line {number}: is no {KIND} as an export holds it")


def torn(content: bytes, records: Iterable[RawObject]) -> int:
    """How many bytes at the end of an export a crash left of a line that was not finished.

    Raises `ExportError` for a rest that is not the beginning of one of the records.
    """
    rest = content[content.rfind(b"\n") + 1 :]
    if rest and not any(export_line(record).startswith(rest) for record in records):
        raise ExportError("its last line is not finished, and begins none of the ledger's records")
    return len(rest)


def missing_in(lines: Mapping[str, bytes], records: Iterable[RawObject]) -> list[bytes]:
    """The lines that an export lacks. Raises `ExportError` where it says otherwise."""
    lacking = []
    for record in records:
        name, line = record["metadata"]["name"], export_line(record)
        if name not in lines:
            lacking.append(line)
        elif lines[name] != line:
            raise ExportError(f"{name} is another record there than in the cluster")
    return lacking


def not_stored(
    prefixes: Iterable[Prefix],
    stored: Iterable[RawObject],
    beginnings: Mapping[str, Checkpoint],
    before: Mapping[str, Checkpoint],
) -> list[str]:
    """What an event store does not have of the records that are to go, a line each: only what it
    has byte for byte, and once, may go.

    `beginnings` are the checkpoints at which the store took chains up, `before` those of the
    cluster. What is behind both an earlier prune left, and the store never asked for.
    """
    lines: dict[str, bytes | None] = {}
    for raw in stored:
        name = _text_at(raw, "metadata", "name")
        lines[name] = None if name in lines else _line_or_none(raw)
    found = []
    for prefix in prefixes:
        ends = (each.get(prefix.namespace) for each in (beginnings, before))
        passed = min(0 if end is None else end.head.sequence for end in ends)
        for record in prefix.records:
            name = record["metadata"]["name"]
            if name not in lines and record["spec"]["sequence"] > passed:
                found.append(f"{name}: the event store does not have it")
            elif name in lines and lines[name] != export_line(record):
                found.append(f"{name}: the event store has another record there")
    return found


def not_acknowledged(
    prefixes: Iterable[Prefix],
    cursors: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Checkpoint],
) -> list[str]:
    """What sinks have not acknowledged of the records that are to go, a line for each sink and
    chain.

    `cursors` are those of each sink, by chain; `before` are the checkpoints of the cluster, behind
    which a sink begins that has none of a chain.
    """
    found = []
    for sink, acknowledged in sorted(cursors.items()):
        for prefix in prefixes:
            chain = prefix.namespace
            end = before.get(chain)
            up_to = acknowledged.get(chain, 0 if end is None else end.head.sequence)
            last = max(int(record["spec"]["sequence"]) for record in prefix.records)
            if last > up_to:
                found.append(f"chain of {chain}: sink {sink} has not acknowledged record {last}")
    return found


def _text_at(raw: RawObject, *path: str) -> str:
    found: Any = raw
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def _line_or_none(raw: RawObject) -> bytes | None:
    """None for what is no record, as whoever changed a store may have left it."""
    try:
        return export_line(raw)
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
