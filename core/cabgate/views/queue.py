# SPDX-License-Identifier: Apache-2.0
"""The queue: what waits for somebody, the oldest first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self, TypeVar

from cabgate.api.stored import ListedRequest, ListedSpec, StoredException, StoredTarget
from cabgate.api.values import ExceptionState, SubjectKind, Tier
from cabgate.lifecycle.state.columns import listed_submitters
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    exception_admits,
    standing_of,
    standings_of_exceptions,
    takes_exception,
)
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, User
from cabgate.review.reviewers import Involved
from cabgate.text.inert import first_words, inert
from cabgate.views.deciders import (
    is_own,
    needed_for,
    needed_for_exception,
    why_not,
)

SUMMARY_ROOM = 48
"""Longest summary in a row, in characters."""

TARGETS_NAMED = 2
"""Targets that a row names; the others are counted."""

E = TypeVar("E", bound=StoredException)

_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One request or exception that waits."""

    kind: str
    """CABRequest or CABException."""
    namespace: str
    name: str
    opened_at: datetime | None
    age: timedelta
    """How long it has been there."""
    score: str
    """Of an exception, that of its request; empty where that is not known."""
    tier: str
    ring: str
    """That of the namespace when the request was opened."""
    state: str
    targets: str
    """`web, db and 3 more`."""
    summary: str
    """The first words of it; of an exception, of its reason."""
    floors: tuple[str, ...]
    """Names of the floors that applied."""
    submitters: str
    needed: str
    """Who has to act."""
    yours: str
    """Why the one who looks cannot decide it; empty where nothing is known against it."""
    own: bool
    """Whether the one who looks submitted it, or is named as its requester."""


def queue(
    requests: Iterable[ListedRequest],
    exceptions: Iterable[StoredException],
    now: datetime,
    viewer: User | None = None,
    machines: Machines = SERVICE_ACCOUNTS,
) -> list[QueueRow]:
    """The rows of all that waits, the oldest first, whatever its namespace.

    A request whose exception waits has the row of the exception; one whose exception is active
    waits for nobody.
    """
    known = {(each.metadata.namespace, each.metadata.name): _Known.of(each) for each in requests}
    standings = standings_of_exceptions(exceptions)
    rows = [
        _of_exception(each, known, now, viewer, machines)
        for each in standings
        if each.state_at(now) is ExceptionState.PENDING
    ]
    asked = _asked(standings, known, now)
    for key, each in known.items():
        subject = Involved(each.stored, None)
        needed = needed_for(each.standing, subject, now, machines)
        if needed and key not in asked:
            yours, own = why_not(viewer, subject, machines), is_own(viewer, subject)
            rows.append(_of_request(each, needed, yours, now, own=own))
    return sorted(rows, key=lambda row: (row.opened_at or _NO_TIME, row.namespace, row.name))


def of_submitter(rows: Iterable[QueueRow]) -> list[QueueRow]:
    """The rows of what the one who looks has submitted or asked for."""
    return [row for row in rows if row.own]


def for_requests(exceptions: Iterable[E], requests: Iterable[ListedRequest]) -> list[E]:
    """The exceptions for some requests, as where a selection is shown."""
    names = {(each.metadata.namespace, each.metadata.name) for each in requests}
    return [e for e in exceptions if (e.metadata.namespace, e.spec.request_ref.name) in names]


def listed_names(targets: Sequence[StoredTarget]) -> str:
    """The names of the first targets, and how many there are more: `web, db and 3 more`."""
    names = [inert(target.name) for target in targets]
    more = len(names) - TARGETS_NAMED
    if more > 0:
        return f"{', '.join(names[:TARGETS_NAMED])} and {more} more"
    return ", ".join(names)


def summary_of(spec: ListedSpec) -> str:
    """What the team says that the rollout changes, or why the glass was broken; not yet inert."""
    glass = spec.break_glass
    if glass is not None:
        return f"broken glass {glass.ticket}: {glass.reason}"
    return spec.summary or ""


def age_at(now: datetime, created: datetime | None) -> timedelta:
    """How long something has been there; nothing where the clock that stored it is ahead."""
    return max(now - created, timedelta()) if created is not None else timedelta()


@dataclass(frozen=True, slots=True)
class _Known:
    """A request that was listed, and where it stands."""

    stored: ListedRequest
    standing: RequestStanding

    @classmethod
    def of(cls, request: ListedRequest) -> Self:
        """The request with what follows from its decisions."""
        return cls(request, standing_of(request))


def _asked(
    exceptions: Iterable[ExceptionStanding],
    known: Mapping[tuple[str, str], _Known],
    now: datetime,
) -> set[tuple[str, str]]:
    """The requests for which an exception waits, or is active. What takes no exception waits for a
    CAB member whatever somebody asks for: one may have been written before its request was there,
    and would hide it from them."""
    found = set()
    for each in exceptions:
        key = (each.metadata.namespace, each.spec.request_ref.name)
        request = known.get(key)
        if request is None or not takes_exception(request.standing):
            continue
        if each.state_at(now) is ExceptionState.PENDING or exception_admits(
            each, request.standing, now
        ):
            found.add(key)
    return found


def _of_request(each: _Known, needed: str, yours: str, now: datetime, *, own: bool) -> QueueRow:
    meta, spec = each.stored.metadata, each.stored.spec
    return QueueRow(
        kind=SubjectKind.REQUEST,
        namespace=inert(meta.namespace),
        name=inert(meta.name),
        opened_at=meta.creation_timestamp,
        age=age_at(now, meta.creation_timestamp),
        score=inert(spec.assessment.score),
        tier=spec.assessment.gate,
        ring=str(spec.ring),
        state=each.standing.state,
        targets=listed_names(spec.targets),
        summary=first_words(summary_of(spec), SUMMARY_ROOM),
        floors=tuple(inert(floor.name) for floor in spec.assessment.floors),
        submitters=inert(listed_submitters(spec)),
        needed=needed,
        yours=yours,
        own=own,
    )


def _of_exception(
    exception: ExceptionStanding,
    known: Mapping[tuple[str, str], _Known],
    now: datetime,
    viewer: User | None,
    machines: Machines,
) -> QueueRow:
    meta = exception.metadata
    request = known.get((meta.namespace, exception.spec.request_ref.name))
    spec = request.stored.spec if request else None
    subject = Involved(request.stored, None, exception) if request else None
    floors = spec.assessment.floors if spec else []
    return QueueRow(
        kind=SubjectKind.EXCEPTION,
        namespace=inert(meta.namespace),
        name=inert(meta.name),
        opened_at=meta.creation_timestamp,
        age=age_at(now, meta.creation_timestamp),
        score=inert(spec.assessment.score) if spec else "",
        tier=spec.assessment.gate if spec else Tier.EXCEPTION_REQUIRED,
        ring=str(spec.ring) if spec else "",
        state=ExceptionState.PENDING,
        targets=listed_names(spec.targets) if spec else inert(exception.spec.request_ref.name),
        summary=first_words(exception.spec.reason, SUMMARY_ROOM),
        floors=tuple(inert(floor.name) for floor in floors),
        submitters=", ".join(inert(each.username) for each in exception.spec.submitted_by),
        needed=needed_for_exception(exception, subject, machines),
        yours=why_not(viewer, subject, machines) if subject else "",
        own=is_own(viewer, subject) if subject else False,
    )
