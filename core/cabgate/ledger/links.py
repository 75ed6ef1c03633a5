# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a chain of records: gaps, forks and links, against checkpoints and heads."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.decision import CABDecision
from cabgate.ledger.chain import Checkpoint, Head, record_name
from cabgate.ledger.findings import Finding, FindingCode

RawObject = Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """A record that can be read, as it is stored."""

    parsed: CABDecision
    raw: Mapping[str, Any]
    """The spec as it is stored: what the digest is of."""

    @property
    def where(self) -> str:
        """What findings call it."""
        return f"CABDecision {self.parsed.metadata.name}"

    @property
    def place(self) -> tuple[str, int]:
        """Its chain, and its position there."""
        return self.parsed.spec.subject.namespace, self.parsed.spec.sequence

    @property
    def about(self) -> tuple[str, int]:
        """Uid of its subject, and position in the subject's decisions."""
        return self.parsed.spec.subject.uid, self.parsed.spec.entry


@dataclass(frozen=True)
class Chain:
    """The records of a namespace in order, and up to where it was pruned, as copies say."""

    namespace: str
    records: Sequence[Record] = ()
    checkpoints: Sequence[Checkpoint] = ()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint."""
        return max(self.checkpoints, key=lambda found: found.head.sequence, default=None)

    @property
    def pruned(self) -> Checkpoint | None:
        """The last checkpoint, unless every record up to it is here, as with its export."""
        last = self.checkpoint
        if last is None:
            return None
        here = {record.place[1] for record in self.records}
        whole = all(number in here for number in range(1, last.head.sequence + 1))
        return None if whole else last

    def at(self, sequence: int) -> list[Record]:
        """The records that claim a position."""
        return [record for record in self.records if record.place[1] == sequence]


def chains_of(
    records: Iterable[Record], checkpoints: Iterable[tuple[str, Checkpoint]] = ()
) -> dict[str, Chain]:
    """The chain of each namespace that has records or a checkpoint."""
    own: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.place):
        own[record.place[0]].append(record)
    known: dict[str, list[Checkpoint]] = defaultdict(list)
    for namespace, checkpoint in checkpoints:
        if checkpoint not in known[namespace]:
            known[namespace].append(checkpoint)
    return {
        namespace: Chain(namespace, own.get(namespace, ()), known.get(namespace, ()))
        for namespace in {**own, **known}
    }


def check_chain(chain: Chain) -> Iterator[Finding]:
    """Gaps, forks and links of one chain, and that it fits its checkpoints."""
    pruned = 0 if chain.checkpoint is None else chain.checkpoint.head.sequence
    expected = 1
    before: Record | None = None
    for record in chain.records:
        sequence = record.place[1]
        if sequence < expected:
            yield Finding(
                FindingCode.FORK, record.where, f"position {sequence} is taken more than once"
            )
            continue
        first = max(expected, pruned + 1)  # what was pruned may be missing
        if sequence > first:
            yield _gap(chain.namespace, first, sequence - 1)
        yield from _check_link(record, before if sequence == expected else None)
        before, expected = record, sequence + 1
    if expected <= pruned:  # the newest record is never pruned
        yield _gap(chain.namespace, pruned + 1, pruned + 1)
    for checkpoint in chain.checkpoints:
        yield from _check_checkpoint(chain, checkpoint)


def _gap(namespace: str, first: int, last: int) -> Finding:
    what = f"record {first} is" if first == last else f"records {first} to {last} are"
    where = f"CABDecision {record_name(namespace, first)}"
    return Finding(FindingCode.MISSING_RECORD, where, f"{what} missing in the chain of {namespace}")


def is_broken_link(sequence: int, previous: object, before: Head | None) -> bool:
    """Whether the `previousDigest` of the record at a position is not that of the one before it.

    `before` is the head that it has to follow: None for the first record of a chain, and where that
    head is not known, which breaks no link.
    """
    if sequence == 1:
        return previous is not None
    return before is not None and previous != before.digest


def _check_link(record: Record, before: Record | None) -> Iterator[Finding]:
    spec = record.parsed.spec
    head = None if before is None else Head.of(before.parsed)
    if not is_broken_link(spec.sequence, spec.previous_digest, head):
        return
    message = "the first record names one before it"
    if before is not None:
        name = before.parsed.metadata.name
        message = f"does not follow {name}: previousDigest is not its digest"
    yield Finding(FindingCode.BROKEN_LINK, record.where, message)


def _check_checkpoint(chain: Chain, checkpoint: Checkpoint) -> Iterator[Finding]:
    head = checkpoint.head
    for record in chain.at(head.sequence):
        if record.parsed.spec.digest != head.digest:
            message = f"is not what the checkpoint says was pruned: {head}"
            yield Finding(FindingCode.BROKEN_LINK, record.where, message)
    for record in chain.at(head.sequence + 1):
        if is_broken_link(record.place[1], record.parsed.spec.previous_digest, head):
            message = f"does not follow the checkpoint {head}: previousDigest is not its digest"
            yield Finding(FindingCode.BROKEN_LINK, record.where, message)


def check_heads(
    heads: Iterable[tuple[str, Head]],
    chains: Mapping[str, Chain],
    believed: Iterable[tuple[str, Checkpoint]] | None = None,
) -> Iterator[Finding]:
    """That published heads are in their chains, as far as those were not pruned.

    `believed` are the checkpoints that excuse a head which is not there, with their namespaces;
    None: those of the chains.
    """
    excuses = None if believed is None else _by_namespace(believed)
    for namespace, head in sorted(set(heads), key=lambda item: (item[0], item[1].sequence)):
        chain = chains.get(namespace, Chain(namespace))
        there = chain.at(head.sequence)
        if any(record.parsed.spec.digest == head.digest for record in there):
            continue
        checkpoints = chain.checkpoints if excuses is None else excuses.get(namespace, ())
        if not there and _was_pruned(head, checkpoints):
            continue
        last = max((record.place[1] for record in chain.records), default=0)
        if there:
            message = f"record {head.sequence} is another one than was published: {head.digest}"
        elif last < head.sequence:
            message = f"ends with record {last}, but record {head.sequence} was published"
        elif _was_pruned(head, chain.checkpoints):
            message = (
                f"record {head.sequence}, which was published, is not there, and that the chain "
                f"was pruned up to {chain.checkpoint} stands there alone"
            )
        else:
            message = f"record {head.sequence}, which was published, is missing"
        yield Finding(FindingCode.HEAD_GONE, f"chain of {namespace}", message)


def heads_behind(
    heads: Iterable[tuple[str, Head]],
    places: Container[tuple[str, int]],
    checkpoints: Iterable[tuple[str, Checkpoint]],
) -> list[tuple[str, Head]]:
    """The published heads that nobody looked for, in order: no record is at their place, and a
    checkpoint says that it was pruned."""
    known = _by_namespace(checkpoints)
    return [
        (namespace, head)
        for namespace, head in sorted(set(heads), key=lambda item: (item[0], item[1].sequence))
        if (namespace, head.sequence) not in places and _was_pruned(head, known.get(namespace, ()))
    ]


def _by_namespace(checkpoints: Iterable[tuple[str, Checkpoint]]) -> dict[str, list[Checkpoint]]:
    found: dict[str, list[Checkpoint]] = defaultdict(list)
    for namespace, checkpoint in checkpoints:
        found[namespace].append(checkpoint)
    return found


def _was_pruned(head: Head, checkpoints: Iterable[Checkpoint]) -> bool:
    """Whether a head lies behind the last checkpoint, where its export alone can show it."""
    last = max((each.head for each in checkpoints), key=lambda each: each.sequence, default=None)
    if last is None:
        return False
    return head == last if head.sequence == last.sequence else head.sequence < last.sequence
