# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: each with its meaning, and with the records behind it."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from operator import attrgetter
from typing import TypeVar

from cabgate.api.decision import SubjectKind
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.reports.lives import APPROVED, DECIDED, Entry
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


@dataclass(frozen=True)
class Value:
    """What a figure comes to."""

    number: int | Fraction | None
    """None where there is nothing to measure or to divide by."""
    records: tuple[str, ...]
    """Names of the records behind it, in order."""
    who: str = ""
    """Whom it is about."""


@dataclass(frozen=True)
class Figure:
    """A figure. `title` and `meaning` are what people read."""

    name: str
    section: str
    title: str
    unit: Unit
    meaning: str
    of: Callable[[Scope], Value]


def _count(entries: Iterable[Entry]) -> Value:
    names = tuple(sorted({e.name for e in entries}))
    return Value(len(names), names)


def _changes(*verdicts: str) -> Callable[[Scope], Value]:
    return lambda scope: _count(_of(scope.changes_by_verdict, verdicts))


def _exceptions(*verdicts: str) -> Callable[[Scope], Value]:
    return lambda scope: _count(_of(scope.exceptions_by_verdict, verdicts))


def _of(found: Mapping[str, Sequence[Entry]], verdicts: Iterable[str]) -> Iterable[Entry]:
    return (entry for verdict in verdicts for entry in found.get(verdict, ()))


def _share(part: Callable[[Scope], Value], whole: Callable[[Scope], Value]) -> Callable[..., Value]:
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


def _percentile(times: Callable[[Scope], Times], percent: int) -> Callable[[Scope], Value]:
    def of(scope: Scope) -> Value:
        found = [(name, max(0, int(span.total_seconds()))) for name, span in times(scope)]
        if not found:
            return Value(None, ())
        number = percentile([seconds for _, seconds in found], percent)
        return Value(number, tuple(sorted(name for name, _ in found)))

    return of


def _approvers(scope: Scope) -> Value:
    by_person = scope.approvals_of_people
    names = sorted(e.name for entries in by_person.values() for e in entries)
    return Value(len(by_person), tuple(names))


def _most_of_one(scope: Scope) -> Value:
    by_person = scope.approvals_of_people
    if not by_person:
        return Value(None, ())
    who = min(by_person, key=lambda name: (-len(by_person[name]), name))
    share = Fraction(len(by_person[who]), sum(map(len, by_person.values())))
    return Value(share, tuple(sorted(e.name for e in by_person[who])), who)


def _taken_back(kind: SubjectKind) -> Callable[[Scope], Value]:
    return lambda scope: _count(e for life, e in scope.taken_back if life.kind is kind)


def _by_machines(scope: Scope) -> Value:
    decided = [(life, e) for life, e in scope.changes if e.spec.verdict in DECIDED]
    said = [(e, e.spec.submitted_by) for _, e in decided if e.spec.submitted_by]
    if not said:
        return Value(None, ())
    alone = [e for e, names in said if all(map(SERVICE_ACCOUNTS.include, names))]
    return Value(Fraction(len(alone), len(said)), tuple(sorted(e.name for e in alone)))


def _conditions_asked(scope: Scope) -> Value:
    found = [entry.name for entry, _ in scope.conditions]
    return Value(len(found), tuple(sorted(set(found))))


def _conditions_kept(scope: Scope) -> Value:
    found = scope.conditions
    names = tuple(sorted({entry.name for entry, _ in found}))
    kept = sum(in_time for _, in_time in found)
    return Value(Fraction(kept, len(found)) if found else None, names)


def _exceptions_asked(scope: Scope) -> Value:
    some = [life for life in scope.lives if life.kind is SubjectKind.EXCEPTION]
    return _count(life.entries[0] for life in some if scope.within(life.opened))


def _exceptions_granted(scope: Scope) -> Value:
    found = (life.granted for life in scope.lives)
    return _count(e for e in found if e is not None and scope.within(e.spec.at))


def _overridden(scope: Scope) -> Value:
    return _count(entry for _, entry in scope.changes if entry.spec.overrides)


def _most_in_force(scope: Scope) -> Value:
    names = {e.name for life in scope.in_force if (e := life.granted)}
    return Value(max(scope.exceptions_by_day, default=0), tuple(sorted(names)))


def _renewed(scope: Scope) -> Value:
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
    return _count(again)


def _not_reviewed(scope: Scope) -> Value:
    return _count(broken for broken, review in scope.reviews_of_glass if review is None)


CHANGES, PEOPLE = "Changes", "Reviews by people"
EXCEPTIONS, GLASS = "Exceptions", "Broken glass"

_APPROVED, _DECIDED = _changes(*APPROVED), _changes(*DECIDED)
_BY_SYSTEM = _changes(RequestVerdict.AUTO_APPROVED.value)


def _spread(
    name: str, section: str, title: str, meaning: str, times: Callable[[Scope], Times]
) -> list[Figure]:
    ways = ((50, "P50", "median"), (90, "P90", "90 % within"), (100, "Max", "longest"))
    return [
        Figure(
            *(f"{name}{end}", section, f"{title}, {said}", Unit.SECONDS, meaning),
            _percentile(times, percent),
        )
        for percent, end, said in ways
    ]


FIGURES: tuple[Figure, ...] = (
    Figure(
        *("decisions", CHANGES, "Decisions", Unit.COUNT),
        "Approvals and rejections of requests; reviews of broken glass are none of them.",
        _DECIDED,
    ),
    Figure(
        *("approvals", CHANGES, "Approvals", Unit.COUNT),
        "Approved, ConditionallyApproved and AutoApproved.",
        _APPROVED,
    ),
    Figure(
        *("rejections", CHANGES, "Rejections", Unit.COUNT),
        "Rejected.",
        _changes(RequestVerdict.REJECTED.value),
    ),
    Figure(
        *("approvalRate", CHANGES, "Approved of those decided", Unit.SHARE),
        "Approvals, divided by decisions.",
        _share(_APPROVED, _DECIDED),
    ),
    Figure(
        *("systemShare", CHANGES, "Approved by score", Unit.SHARE),
        "AutoApproved, divided by approvals.",
        _share(_BY_SYSTEM, _APPROVED),
    ),
    Figure(
        *("revocations", CHANGES, "Revocations", Unit.COUNT),
        "Approvals of requests that somebody took back, for all images or some.",
        _changes(RequestVerdict.REVOKED.value),
    ),
    Figure(
        *("ownApprovals", CHANGES, "Approvals of their own, taken back", Unit.COUNT),
        "Approvals by somebody who became a submitter in the same moment. The operator took each "
        "back before it counted; no other figure counts them.",
        _taken_back(SubjectKind.REQUEST),
    ),
    Figure(
        *("machineShare", CHANGES, "Submitted by machines alone", Unit.SHARE),
        "Decisions on what only service accounts submitted, divided by those whose records say who "
        "submitted. Machines by configuration are not known to the ledger.",
        _by_machines,
    ),
    *_spread(
        "openedToDecided",
        PEOPLE,
        "Opened to decided",
        "Time from a request's creation to its first decision, where a person gave it.",
        attrgetter("opened_to_decided"),
    ),
    *_spread(
        "openedToTaken",
        PEOPLE,
        "Opened to taken",
        "Time from its creation until a reviewer took it, where one did before the decision.",
        attrgetter("opened_to_taken"),
    ),
    *_spread(
        "takenToDecided",
        PEOPLE,
        "Taken to decided",
        "Time from then to that decision.",
        attrgetter("taken_to_decided"),
    ),
    Figure(
        *("approvers", PEOPLE, "People who approved", Unit.COUNT),
        "User names among the authors of approvals of requests, each of those that one needed.",
        _approvers,
    ),
    Figure(
        *("mostOfOneApprover", PEOPLE, "Approvals by one person", Unit.SHARE),
        "The most that one person gave of the approvals of people, and who.",
        _most_of_one,
    ),
    Figure(
        *("freezesOverridden", PEOPLE, "Freezes overridden", Unit.COUNT),
        "Approvals of requests that let them into a freeze.",
        _overridden,
    ),
    Figure(
        *("conditionsAsked", PEOPLE, "Conditions to attest", Unit.COUNT),
        "Conditions of approvals that somebody had to attest.",
        _conditions_asked,
    ),
    Figure(
        *("conditionsInTime", PEOPLE, "Attested in time", Unit.SHARE),
        "Those that were attested by their notAfter, or else by the end of the report.",
        _conditions_kept,
    ),
    Figure(
        *("exceptionsAsked", EXCEPTIONS, "Asked for", Unit.COUNT),
        "Exceptions that were created.",
        _exceptions_asked,
    ),
    Figure(
        *("exceptionsGranted", EXCEPTIONS, "Granted", Unit.COUNT),
        "Approved, by as many as each needed.",
        _exceptions_granted,
    ),
    Figure(
        *("exceptionsRejected", EXCEPTIONS, "Rejected", Unit.COUNT),
        "Rejected.",
        _exceptions(ExceptionVerdict.REJECTED.value),
    ),
    Figure(
        *("exceptionsRevoked", EXCEPTIONS, "Revoked", Unit.COUNT),
        "Revoked before their end.",
        _exceptions(ExceptionVerdict.REVOKED.value),
    ),
    Figure(
        *("ownExceptions", EXCEPTIONS, "Approvals of their own, taken back", Unit.COUNT),
        "Approvals of exceptions by somebody who became a submitter in the same moment. The "
        "operator took each back; no other figure counts them.",
        _taken_back(SubjectKind.EXCEPTION),
    ),
    Figure(
        *("exceptionsInForce", EXCEPTIONS, "In force on one day, at most", Unit.COUNT),
        "The most that admitted rollouts on a day: from their approval to the end of their "
        "duration, or to their revocation.",
        _most_in_force,
    ),
    Figure(
        *("exceptionsRenewed", EXCEPTIONS, "Renewed", Unit.COUNT),
        f"Granted for a workload for which another was in force within {RENEWED_WITHIN.days} days "
        "before.",
        _renewed,
    ),
    Figure(
        *("glassBroken", GLASS, "Broken", Unit.COUNT),
        "Rollouts past the gate by break-glass.",
        lambda scope: _count(e for _, e in scope.broken),
    ),
    Figure(
        *("glassNotReviewed", GLASS, "Not reviewed", Unit.COUNT),
        "Those that nobody had reviewed by the end of the report.",
        _not_reviewed,
    ),
    *_spread(
        "glassToReview",
        GLASS,
        "Broken to reviewed",
        "Time from the record of it to the decision of its review.",
        attrgetter("glass_to_review"),
    ),
)
"""Every figure, in the order of a report."""
