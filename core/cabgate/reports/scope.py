# SPDX-License-Identifier: Apache-2.0
"""What figures are taken of: what became of some subjects in a time. Each answer is made once."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from cabgate.api.decision import SubjectKind
from cabgate.api.request import RequestVerdict
from cabgate.reports.lives import APPROVED, DECIDED, Entry, Life
from cabgate.reports.rollouts import Change

Times = Sequence[tuple[str, timedelta]]
"""Times, each with the name of the record, or the outcome, that ends it."""


@dataclass(frozen=True)
class Scope:
    """What a figure is taken of: all that became of some subjects, and the time that is asked for,
    from `since` to before `until`."""

    lives: Sequence[Life]
    since: datetime
    until: datetime
    rollouts: Sequence[Change] | None = None
    """The changes that became available at any time; None where no outcomes were read."""

    def within(self, moment: datetime | None) -> bool:
        """Whether a moment is in the time that is asked for."""
        return moment is not None and self.since <= moment < self.until

    @cached_property
    def changes(self) -> list[tuple[Life, Entry]]:
        """The records of that time about requests to roll something out, without approvals that
        were taken back."""
        return self._of(life for life in self.lives if life.is_change)

    @cached_property
    def exceptions(self) -> list[tuple[Life, Entry]]:
        """The records of that time about exceptions, without approvals that were taken back."""
        return self._of(life for life in self.lives if life.kind is SubjectKind.EXCEPTION)

    @cached_property
    def changes_by_verdict(self) -> Mapping[str, Sequence[Entry]]:
        """The records about requests to roll something out, by verdict."""
        return _by_verdict(self.changes)

    @cached_property
    def exceptions_by_verdict(self) -> Mapping[str, Sequence[Entry]]:
        """The records about exceptions, by verdict."""
        return _by_verdict(self.exceptions)

    @cached_property
    def broken(self) -> list[tuple[Life, Entry]]:
        """The records of that time that say that somebody broke the glass."""
        found = self._of(life for life in self.lives if not life.is_change)
        return [pair for pair in found if pair[1].spec.verdict == RequestVerdict.GLASS_BROKEN]

    def _of(self, some: Iterable[Life]) -> list[tuple[Life, Entry]]:
        return [(life, e) for life in some for e in life.counted if self.within(e.spec.at)]

    @cached_property
    def taken_back(self) -> list[tuple[Life, Entry]]:
        """The approvals of that time, of requests and exceptions, that were taken back at once."""
        return [(life, e) for life in self.lives for e in life.taken_back if self.within(e.spec.at)]

    @cached_property
    def first_by_people(self) -> list[tuple[Life, Entry]]:
        """The first decision of each change, where it is of that time and a person gave it."""
        found = [(life, life.first(*DECIDED)) for life in self.lives if life.is_change]
        return [
            (life, entry)
            for life, entry in found
            if entry is not None and entry.by_person and self.within(entry.spec.at)
        ]

    @cached_property
    def opened_to_decided(self) -> Times:
        """How long these decisions took from the creation of the request."""
        return [
            (entry.name, entry.spec.at - life.opened)
            for life, entry in self.first_by_people
            if life.opened is not None
        ]

    @cached_property
    def opened_to_taken(self) -> Times:
        """How long it took until a reviewer took the request, where one did before."""
        return [
            (entry.name, entry.spec.taken - life.opened)
            for life, entry in self.first_by_people
            if life.opened is not None and entry.spec.taken is not None
        ]

    @cached_property
    def taken_to_decided(self) -> Times:
        """How long it took from then to the decision."""
        return [
            (entry.name, entry.spec.at - entry.spec.taken)
            for _, entry in self.first_by_people
            if entry.spec.taken is not None
        ]

    @cached_property
    def approvals_of_people(self) -> Mapping[str, Sequence[Entry]]:
        """The approvals of that time that people gave, by their user names."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for _, entry in self.changes:
            if entry.by_person and entry.spec.verdict in APPROVED:
                found[entry.spec.author.username].append(entry)
        return found

    @cached_property
    def conditions(self) -> list[tuple[Entry, bool]]:
        """Each condition that had to be attested, by the record of its approval, and whether
        somebody attested it in time."""
        return [
            (entry, self._attested(life, entry, condition.name, condition.not_after))
            for life, entry in self.changes
            for condition in entry.spec.conditions
            if condition.needs_attestation
        ]

    def _attested(self, life: Life, approval: Entry, name: str, latest: datetime | None) -> bool:
        by = self.until if latest is None else latest
        return any(
            e.spec.verdict == RequestVerdict.ATTESTED.value
            and e.spec.condition == name
            and e.spec.at <= by
            for e in life.after(approval)
        )

    @cached_property
    def in_force(self) -> list[Life]:
        """The exceptions that admitted rollouts at some moment of that time."""
        return [
            life
            for life in self.lives
            if life.in_force and life.in_force[0] < self.until and life.in_force[1] > self.since
        ]

    @cached_property
    def reviews_of_glass(self) -> list[tuple[Entry, Entry | None]]:
        """Each broken glass of that time, and the decision of its review by the end of it."""
        found = []
        for life, broken in self.broken:
            decided = (e for e in life.after(broken) if e.by_person and e.spec.verdict in DECIDED)
            found.append((broken, next((e for e in decided if e.spec.at < self.until), None)))
        return found

    @cached_property
    def glass_to_review(self) -> Times:
        """How long these reviews took."""
        return [
            (review.name, review.spec.at - broken.spec.at)
            for broken, review in self.reviews_of_glass
            if review is not None
        ]

    @cached_property
    def rolled_out(self) -> list[Change] | None:
        """The changes that became available in that time; None where no outcomes were read."""
        if self.rollouts is None:
            return None
        return [each for each in self.rollouts if self.within(each.began)]

    @cached_property
    def lead_times(self) -> Times:
        """How long these took from the creation of their request."""
        return [
            (each.name, each.lead_time)
            for each in self.rolled_out or ()
            if each.lead_time is not None
        ]

    @cached_property
    def times_to_restore(self) -> Times:
        """How long it took until those of them that failed were replaced."""
        return [
            (each.name, each.time_to_restore)
            for each in self.rolled_out or ()
            if each.time_to_restore is not None
        ]

    @cached_property
    def days(self) -> list[datetime]:
        """The days of that time: they begin at its own beginning."""
        number = math.ceil((self.until - self.since) / timedelta(days=1))
        return [self.since + timedelta(days=each) for each in range(number)]

    @cached_property
    def exceptions_by_day(self) -> list[int]:
        """How many exceptions admitted rollouts at some moment of each day."""
        spans = [life.in_force for life in self.in_force if life.in_force]
        ends = [*self.days[1:], self.until]
        return [
            sum(1 for start, over in spans if start < end and over > begin)
            for begin, end in zip(self.days, ends, strict=True)
        ]

    @cached_property
    def decisions_by_day(self) -> list[Counter[str]]:
        """How many decisions of each verdict there were on each day."""
        found = [Counter[str]() for _ in self.days]
        for _, entry in self.changes:
            if entry.spec.verdict in DECIDED:
                found[(entry.spec.at - self.since) // timedelta(days=1)][entry.spec.verdict] += 1
        return found


def _by_verdict(some: Iterable[tuple[Life, Entry]]) -> Mapping[str, Sequence[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for _, entry in some:
        found[entry.spec.verdict].append(entry)
    return dict(found)
