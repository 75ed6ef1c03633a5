# SPDX-License-Identifier: Apache-2.0
"""Which records an archive of a chain takes, and what it tells of instead of taking it.

An archive holds a chain without gaps: each record follows the one before it by the rule by which a
ledger is verified. What it holds is never replaced.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate import API_VERSION
from cabgate.api.decision import KIND
from cabgate.ledger.chain import Checkpoint, Head, Placed, digest_holds, placed
from cabgate.ledger.findings import FindingCode
from cabgate.ledger.links import is_broken_link
from cabgate.ledger.pruning import export_line

RawObject = Mapping[str, Any]


@dataclass(frozen=True)
class Archived:
    """A record as an archive holds it."""

    head: Head
    """Its position and its digest."""
    line: bytes
    """The record as an export has it: canonical JSON, of which its digest can be made again."""


@dataclass(frozen=True)
class Anomaly:
    """A record that is not as it should be: changed, in another's place, or out of its chain."""

    sequence: int
    """The position that it claims; 0 if none can be read."""
    code: FindingCode
    message: str
    line: bytes
    """The record, as far as it can be written down."""


@dataclass(frozen=True)
class Additions:
    """What an archive of a chain adds."""

    beginning: Checkpoint | None
    """Where it takes the chain up, if that is not its first record and was not known before."""
    records: Sequence[Archived]
    """In the order of the chain."""
    anomalies: Sequence[Anomaly]
    missing: int | None
    """The position that has to come first, where later ones are there already."""


def positions(raws: Iterable[RawObject], chain: str) -> list[int]:
    """The positions that records of a chain claim, in order."""
    found = (_place(raw, chain) for raw in raws)
    return sorted({place.head.sequence for place in found if place is not None})


def additions(
    chain: str,
    raws: Iterable[RawObject],
    *,
    head: Head | None,
    held: Mapping[int, bytes],
    checkpoint: Checkpoint | None,
    checkpoint_known: bool = True,
) -> Additions:
    """What an archive adds of some records of a chain, in any order.

    `head` is where the archive ends, None if it has nothing of the chain; `held` are the lines that
    it has at the positions of these records; `checkpoint` is up to where the ledger was pruned,
    from where an empty archive takes the chain up whose beginning is gone. A record behind it that
    the archive passed over is an anomaly, unless the checkpoint is not `checkpoint_known`.

    A record that follows and is not what its digest says is taken, and told of: an archive shows
    what the ledger said. At one that does not follow the archive stops.
    """
    taking = _Taking(chain, head, dict(held), checkpoint, checkpoint_known)
    found = [(_place(raw, chain), raw) for raw in raws]
    for place, raw in found:
        if place is None:
            message = "has no name of its chain"
            taking.anomalies.append(Anomaly(0, FindingCode.MISNAMED, message, _written(raw)))
    in_order = [(place, raw) for place, raw in found if place is not None]
    for place, raw in sorted(in_order, key=lambda item: item[0].head.sequence):
        taking.take(place, raw)
    return Additions(taking.beginning, taking.records, taking.anomalies, taking.missing)


@dataclass
class _Taking:
    chain: str
    head: Head | None
    held: dict[int, bytes]
    checkpoint: Checkpoint | None
    checkpoint_known: bool

    def __post_init__(self) -> None:
        self.beginning: Checkpoint | None = None
        self.records: list[Archived] = []
        self.anomalies: list[Anomaly] = []
        self.missing: int | None = None

    def take(self, place: Placed, raw: RawObject) -> None:
        """Take a record if it is the next, or tell what is wrong with it."""
        sequence, line = place.head.sequence, _written(raw)
        if self.head is not None and sequence <= self.head.sequence:
            self._compare(place, line)
            return
        if self.missing is not None:
            return
        if self.head is None and sequence > 1 and self.checkpoint is not None:
            if sequence <= self.checkpoint.head.sequence:
                return  # was exported, and is about to be deleted
            self.beginning, self.head = self.checkpoint, self.checkpoint.head
        expected = 1 if self.head is None else self.head.sequence + 1
        if sequence > expected:
            self.missing = expected
            return
        spec = raw.get("spec")
        content = spec if isinstance(spec, Mapping) else {}
        if is_broken_link(sequence, content.get("previousDigest"), self.head):
            self.missing = expected
            before = "another" if self.head is None else f"record {self.head}"
            message = f"does not follow {before}: previousDigest is not its digest"
            self._note(place, FindingCode.BROKEN_LINK, message, line)
            return
        if place.problem:
            message = f"cannot be read: {place.problem}"
            self._note(place, FindingCode.UNREADABLE, message, line)
        elif not digest_holds(content):
            message = "spec.digest is not that of its content"
            self._note(place, FindingCode.CHANGED_RECORD, message, line)
        self.records.append(Archived(place.head, line))
        self.head, self.held[sequence] = place.head, line

    def _compare(self, place: Placed, line: bytes) -> None:
        held = self.held.get(place.head.sequence)
        pruned = 0 if self.checkpoint is None else self.checkpoint.head.sequence
        if held is None:
            # Before the beginning, if that is not forged: then the cluster's checkpoint covers it.
            if self.checkpoint_known and place.head.sequence > pruned:
                message = (
                    f"is not in the archive, which goes on behind it, nor pruned: {place.head}"
                )
                self._note(place, FindingCode.MISSING_RECORD, message, line)
        elif held != line:
            message = f"is another record than the archive holds: {place.head}"
            self._note(place, FindingCode.FORK, message, line)

    def _note(self, place: Placed, code: FindingCode, message: str, line: bytes) -> None:
        self.anomalies.append(Anomaly(place.head.sequence, code, message, line))


def _place(raw: RawObject, chain: str) -> Placed | None:
    found = placed(raw, chain)
    return found if found is not None and found.head.sequence > 0 else None


def _written(raw: RawObject) -> bytes:
    try:
        return export_line(raw)
    except (ValueError, LookupError, TypeError):  # is nothing that an export could hold
        said = {"metadata": raw.get("metadata"), "spec": raw.get("spec")}
        whole = {"apiVersion": API_VERSION, "kind": KIND, **said}
        return json.dumps(whole, sort_keys=True).encode()
