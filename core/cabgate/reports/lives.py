# SPDX-License-Identifier: Apache-2.0
"""What became of each request and exception, as records of the ledger tell it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cabgate.api.decision import CABDecision, CABDecisionSpec, RecordedException, SubjectKind
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.types import AuthorType, Tier
from cabgate.ledger.queries import place_of
from cabgate.lifecycle.state.states import end_after
from cabgate.rollout.targets import Workload

APPROVED = (
    RequestVerdict.APPROVED.value,
    RequestVerdict.CONDITIONALLY_APPROVED.value,
    RequestVerdict.AUTO_APPROVED.value,
)
"""Verdicts that approve a request."""

DECIDED = (*APPROVED, RequestVerdict.REJECTED.value)
"""Verdicts that decide a request."""


@dataclass(frozen=True)
class Entry:
    """A record, by its name."""

    name: str
    spec: CABDecisionSpec

    @property
    def by_person(self) -> bool:
        """Whether a person decided."""
        return self.spec.author.type is AuthorType.PERSON


@dataclass(frozen=True)
class Life:
    """A request or an exception, and the records about it in the order of their chain."""

    entries: tuple[Entry, ...]

    @cached_property
    def kind(self) -> SubjectKind:
        """Request or exception."""
        return self.entries[0].spec.subject.kind

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.entries[0].spec.subject.namespace

    @property
    def uid(self) -> str:
        """Its uid."""
        return self.entries[0].spec.subject.uid

    @cached_property
    def request_name(self) -> str:
        """Name of the request, be it itself or the one that an exception is for."""
        name = self.entries[0].spec.subject.name
        return name if self.exception is None else self.exception.request_name

    @cached_property
    def opened(self) -> datetime | None:
        """When it was created; None where records of an earlier release do not say."""
        return next((e.spec.opened for e in self.entries if e.spec.opened), None)

    @cached_property
    def ring(self) -> int | None:
        """Ring of its namespace when its request was opened."""
        return next((e.spec.ring for e in self.entries if e.spec.ring is not None), None)

    @cached_property
    def tier(self) -> Tier | None:
        """What its score asked for."""
        return next((e.spec.gate for e in self.entries if e.spec.gate is not None), None)

    @cached_property
    def score(self) -> str | None:
        """Its score, such as 62.50."""
        return next((e.spec.score for e in self.entries if e.spec.score is not None), None)

    @cached_property
    def intent(self) -> str | None:
        """Name of the intent that it came from."""
        return next((e.spec.intent.name for e in self.entries if e.spec.intent), None)

    @cached_property
    def workloads(self) -> frozenset[Workload]:
        """What is rolled out, as far as records say it in full."""
        return frozenset(Workload.of(each) for e in self.entries for each in e.spec.targets)

    @cached_property
    def is_change(self) -> bool:
        """Whether it is a request to roll something out: not one that reviews a broken glass."""
        return self.kind is SubjectKind.REQUEST and not any(
            e.spec.break_glass is not None or e.spec.verdict == RequestVerdict.GLASS_BROKEN
            for e in self.entries
        )

    @cached_property
    def exception(self) -> RecordedException | None:
        """What an exception says."""
        return next((e.spec.exception for e in self.entries if e.spec.exception), None)

    @cached_property
    def taken_back(self) -> tuple[Entry, ...]:
        """Approvals that the system took back at once: their author had submitted what they are
        for, in the same moment. What is superseded and reopened was not taken back."""
        found, standing = [], None
        for entry in self.entries:
            if entry.spec.verdict in APPROVED:
                standing = entry
            elif entry.spec.verdict == RequestVerdict.SUPERSEDED:
                standing = None
            elif entry.spec.verdict == RequestVerdict.REOPENED and standing is not None:
                found.append(standing)
                standing = None
        return tuple(found)

    @cached_property
    def counted(self) -> tuple[Entry, ...]:
        """The records about it, without those of approvals that were taken back."""
        return tuple(e for e in self.entries if e not in self.taken_back)

    def first(self, *verdicts: str) -> Entry | None:
        """The first record with one of some verdicts; an approval that was taken back is none."""
        return next((e for e in self.counted if e.spec.verdict in verdicts), None)

    def after(self, entry: Entry) -> Iterator[Entry]:
        """The records after one."""
        return (e for e in self.entries if e.spec.sequence > entry.spec.sequence)

    @property
    def _votes(self) -> list[Entry]:
        """The approvals of an exception, of different people."""
        found: dict[str, Entry] = {}
        if self.kind is SubjectKind.EXCEPTION:
            for entry in self.counted:
                if entry.spec.verdict == ExceptionVerdict.APPROVED:
                    found.setdefault(entry.spec.author.username, entry)
        return list(found.values())

    @cached_property
    def granted(self) -> Entry | None:
        """The record by which an exception was approved, which is the last of the approvals that it
        needed; None if it never was."""
        needed = (self.exception.approvals_needed if self.exception else None) or 1
        return self._votes[needed - 1] if len(self._votes) >= needed else None

    @cached_property
    def in_force(self) -> tuple[datetime, datetime] | None:
        """From when to when an exception admitted rollouts; None if it was never approved."""
        granted = self.granted
        if granted is None:
            return None
        over = (ExceptionVerdict.REVOKED, ExceptionVerdict.EXPIRED)
        ends = [e.spec.at for e in self.after(granted) if e.spec.verdict in over]
        if self.opened is not None and self.exception is not None:
            ends.append(end_after(self.opened, self.exception.duration_days))
            said = (self.exception.constraints, *(e.spec.constraints for e in self._votes))
            ends += [each.until for each in said if each is not None and each.until is not None]
        start = granted.spec.at
        return start, max(start, min(ends, default=start))


def lives(records: Iterable[CABDecision]) -> list[Life]:
    """What became of each subject of some records, in the order in which their chains first name
    it. A record that is given twice counts once."""
    by_name = {record.metadata.name: record for record in records}
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for record in sorted(by_name.values(), key=place_of):
        subject = record.spec.subject
        found[subject.namespace, subject.uid].append(Entry(record.metadata.name, record.spec))
    return [Life(tuple(entries)) for entries in found.values()]
