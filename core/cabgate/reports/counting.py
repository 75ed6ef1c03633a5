# SPDX-License-Identifier: Apache-2.0
"""How the figures of a report are counted, each with the records or outcomes behind it."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from cabgate.api.decision import SubjectKind
from cabgate.lifecycle.limits.promotion import overridden_ring
from cabgate.reports.lives import DECIDED, Entry
from cabgate.reports.scope import Scope, Times
from cabgate.review.identity import SERVICE_ACCOUNTS
from cabgate.rollout.targets import Workload

RENEWED_WITHIN = timedelta(days=30)
"""How long after the end of an exception another one for the same workload renews it."""


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = "count"
    SHARE = "share"
    SECONDS = "seconds"
    PER_DAY = "per day"


@dataclass(frozen=True)
class Value:
    """What a figure comes to."""

    number: int | Fraction | None
    """None where there is nothing to measure or to divide by."""
    records: tuple[str, ...]
    """Names of the records behind it, in order; of figures of rollouts namespace and name of the
    outcomes."""
    who: str = ""
    """Whom it is about."""


def count_of(entries: Iterable[Entry]) -> Value:
    """The number of records."""
    names = tuple(sorted({e.name for e in entries}))
    return Value(len(names), names)


def changes_with(*verdicts: str) -> Callable[[Scope], Value]:
    """Counts the records about requests to roll something out that have one of some verdicts."""
    return lambda scope: count_of(_of(scope.changes_by_verdict, verdicts))


def exceptions_with(*verdicts: str) -> Callable[[Scope], Value]:
    """Counts the records about exceptions that have one of some verdicts."""
    return lambda scope: count_of(_of(scope.exceptions_by_verdict, verdicts))


def _of(found: Mapping[str, Sequence[Entry]], verdicts: Iterable[str]) -> Iterable[Entry]:
    return (entry for verdict in verdicts for entry in found.get(verdict, ()))


def share_of(
    part: Callable[[Scope], Value], whole: Callable[[Scope], Value]
) -> Callable[..., Value]:
    """Divides a count by another one, of which it is a part."""

    def share(scope: Scope) -> Value:
        some, all_ = part(scope), whole(scope)
        of = int(all_.number or 0)
        return Value(Fraction(int(some.number or 0), of) if of else None, all_.records)

    return share


_Number = TypeVar("_Number", int, float)


def percentile(numbers: Sequence[_Number], percent: int) -> _Number:
    """The smallest of some numbers that at least so many percent of them do not exceed (nearest
    rank); of none it raises `ValueError`."""
    if not numbers:
        raise ValueError("no percentile of nothing")
    rank = max(1, math.ceil(Fraction(percent * len(numbers), 100)))
    return sorted(numbers)[rank - 1]


def percentile_of(times: Callable[[Scope], Times], percent: int) -> Callable[[Scope], Value]:
    """A percentile of times, in seconds."""

    def of(scope: Scope) -> Value:
        found = [(name, max(0, int(span.total_seconds()))) for name, span in times(scope)]
        if not found:
            return Value(None, ())
        number = percentile([seconds for _, seconds in found], percent)
        return Value(number, tuple(sorted(name for name, _ in found)))

    return of


def approvers(scope: Scope) -> Value:
    """How many people approved."""
    by_person = scope.approvals_of_people
    names = sorted(e.name for entries in by_person.values() for e in entries)
    return Value(len(by_person), tuple(names))


def most_of_one(scope: Scope) -> Value:
    """The share of the approvals of people that one of them gave, at most."""
    by_person = scope.approvals_of_people
    if not by_person:
        return Value(None, ())
    who = min(by_person, key=lambda name: (-len(by_person[name]), name))
    share = Fraction(len(by_person[who]), sum(map(len, by_person.values())))
    return Value(share, tuple(sorted(e.name for e in by_person[who])), who)


def taken_back(kind: SubjectKind) -> Callable[[Scope], Value]:
    """Counts the approvals that were taken back at once."""
    return lambda scope: count_of(e for life, e in scope.taken_back if life.kind is kind)


def by_machines(scope: Scope) -> Value:
    """The share of decisions on what machines alone submitted."""
    decided = [(life, e) for life, e in scope.changes if e.spec.verdict in DECIDED]
    said = [(e, e.spec.submitted_by) for _, e in decided if e.spec.submitted_by]
    if not said:
        return Value(None, ())
    alone = [e for e, names in said if all(map(SERVICE_ACCOUNTS.include, names))]
    return Value(Fraction(len(alone), len(said)), tuple(sorted(e.name for e in alone)))


def conditions_asked(scope: Scope) -> Value:
    """How many conditions had to be attested."""
    found = [entry.name for entry, _ in scope.conditions]
    return Value(len(found), tuple(sorted(set(found))))


def conditions_kept(scope: Scope) -> Value:
    """The share of these that was attested in time."""
    found = scope.conditions
    names = tuple(sorted({entry.name for entry, _ in found}))
    kept = sum(in_time for _, in_time in found)
    return Value(Fraction(kept, len(found)) if found else None, names)


def exceptions_asked(scope: Scope) -> Value:
    """How many exceptions were created."""
    some = [life for life in scope.lives if life.kind is SubjectKind.EXCEPTION]
    return count_of(life.entries[0] for life in some if scope.within(life.opened))


def exceptions_granted(scope: Scope) -> Value:
    """How many exceptions were approved by as many as each needed."""
    found = (life.granted for life in scope.lives)
    return count_of(e for e in found if e is not None and scope.within(e.spec.at))


def freezes_overridden(scope: Scope) -> Value:
    """How many approvals let something into a freeze."""
    return count_of(e for e, names in _overriding(scope) if None in map(overridden_ring, names))


def promotions_overridden(scope: Scope) -> Value:
    """How many approvals let something into a ring before the one before had it."""
    return count_of(e for e, names in _overriding(scope) if any(map(overridden_ring, names)))


def _overriding(scope: Scope) -> Iterable[tuple[Entry, Sequence[str]]]:
    return ((entry, entry.spec.overrides) for _, entry in scope.changes if entry.spec.overrides)


def most_in_force(scope: Scope) -> Value:
    """The most exceptions that were in force on one day."""
    names = {e.name for life in scope.in_force if (e := life.granted)}
    return Value(max(scope.exceptions_by_day, default=0), tuple(sorted(names)))


def renewed(scope: Scope) -> Value:
    """How many exceptions followed another one for the same workload."""
    spans: dict[tuple[str, Workload], list[tuple[datetime, datetime]]] = defaultdict(list)
    for life in scope.lives:
        if life.in_force is not None:
            for workload in life.workloads:
                spans[life.namespace, workload].append(life.in_force)
    again = []
    for life in scope.lives:
        if life.in_force is None:
            continue
        granted = life.granted
        if granted is None or not scope.within(granted.spec.at):
            continue
        at = granted.spec.at
        before = (span for each in life.workloads for span in spans[life.namespace, each])
        if any(start < at and at - over <= RENEWED_WITHIN for start, over in before):
            again.append(granted)
    return count_of(again)


def rolled_out(scope: Scope) -> Value:
    """How many changes became available."""
    found = scope.rolled_out
    if found is None:
        return Value(None, ())
    return Value(len(found), tuple(sorted(each.name for each in found)))


def rolled_out_a_day(scope: Scope) -> Value:
    """The same, a day."""
    found = rolled_out(scope)
    if found.number is None:
        return found
    microseconds = (scope.until - scope.since) // timedelta(microseconds=1)
    return Value(found.number * _DAY / microseconds, found.records)


def changes_failed(scope: Scope) -> Value:
    """How many of these failed."""
    found = scope.rolled_out
    if found is None:
        return Value(None, ())
    names = sorted(each.name for each in found if each.failed)
    return Value(len(names), tuple(names))


_DAY = Fraction(timedelta(days=1) // timedelta(microseconds=1))


def not_reviewed(scope: Scope) -> Value:
    """How many broken glasses were not reviewed."""
    return count_of(broken for broken, review in scope.reviews_of_glass if review is None)
