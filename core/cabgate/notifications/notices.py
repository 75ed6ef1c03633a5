# SPDX-License-Identifier: Apache-2.0
"""What there is to notify of: derived from requests and exceptions as they are now, so that after
an outage what is still true is sent, and nothing else."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from cabgate.api.intent import DeploymentIntentStatus, FrozenBy
from cabgate.api.stored import ListedRequest, StoredException, StoredMeta
from cabgate.api.values import (
    AuthorType,
    ExceptionState,
    RequestState,
    SubjectKind,
    Tier,
)
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.escalation import reached_at
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    standing_of,
    takes_exception,
)
from cabgate.lifecycle.state.states import exception_history
from cabgate.text.inert import inert
from cabgate.text.moments import rfc3339
from cabgate.views.deciders import level_of
from cabgate.views.queue import QueueRow, queue


class Event(StrEnum):
    """What has happened, as the channel file names it."""

    GLASS_BROKEN = "glassBroken"
    REVOKED = "revoked"
    EXCEPTION_WAITING = "exceptionWaiting"
    ESCALATED = "escalated"
    WAITING = "waiting"
    DECIDED = "decided"
    FROZEN = "frozen"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    DIGEST = "digest"


NEWS = timedelta(days=7)
"""How long something that has happened is worth a message."""

_NEWS_EVENTS = frozenset({Event.GLASS_BROKEN, Event.REVOKED, Event.DECIDED, Event.EXPIRED})

EXPIRING_DAYS = (1, 7)
"""How many days before its end somebody is reminded of an exception, if it lasts longer."""

MAX_NOTICES = 4000
"""Most of them for one channel, the newest: what was sent has to be remembered for each."""

_KEY_BYTES = 9

_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to notify of. Its texts are inert."""

    event: Event
    kind: SubjectKind
    namespace: str
    name: str
    uid: str
    step: str
    """Tells two of one event and object apart: the decision that led to it, or the days left."""
    since: datetime
    """When it became true."""
    opened_at: datetime
    score: str
    """Of an exception, that of its request; empty where that is not known."""
    ring: str
    detail: str
    """Such as `Approved by rita`."""
    level: int = 0
    """Of what has escalated: the level that is reached."""

    @property
    def key(self) -> str:
        """What it is remembered by: a digest of uid, event and step, whatever its texts are."""
        content = "\0".join((self.uid, self.event, self.step)).encode()
        return base64.urlsafe_b64encode(hashlib.sha256(content).digest()[:_KEY_BYTES]).decode()

    @property
    def is_news(self) -> bool:
        """Whether it has happened at a moment, rather than still being so."""
        return self.event in _NEWS_EVENTS


@dataclass(frozen=True, slots=True)
class Asked:
    """What an exception's notices need of its request, once that is worth no message itself."""

    score: str
    ring: str
    takes_exception: bool
    uid: str
    opened_at: datetime
    decided_at: datetime
    """When it was last decided on; when it was opened, where nobody has."""

    @classmethod
    def of(cls, request: ListedRequest, standing: RequestStanding) -> "Asked":
        """That of a request."""
        spec, opened = request.spec, request.metadata.creation_timestamp or _NO_TIME
        return cls(
            score=inert(spec.assessment.score),
            ring=str(spec.ring),
            takes_exception=takes_exception(standing),
            uid=request.metadata.uid,
            opened_at=opened,
            decided_at=opened if standing.verdict is None else standing.verdict.at,
        )


@dataclass(frozen=True, slots=True)
class KeptBack:
    """What is approved, and a freeze keeps back, as its intent says."""

    namespace: str
    request: str
    """Name of the request."""
    freeze: FrozenBy

    @classmethod
    def of(cls, namespace: str, status: DeploymentIntentStatus) -> "KeptBack | None":
        """What is kept back of an intent; None where nothing is. An operator of before left the
        freeze where it was, and said in the condition alone that it was over."""
        reasons = [each.reason for each in status.conditions if each.type == "Ready"]
        if status.frozen is None or status.request_name is None or reasons != [Reason.FROZEN]:
            return None
        return cls(namespace, status.request_name, status.frozen)


def notices(
    requests: Iterable[ListedRequest],
    exceptions: Iterable[StoredException],
    now: datetime,
    others: Mapping[tuple[str, str], Asked] = MappingProxyType({}),
    kept_back: Iterable[KeptBack] = (),
) -> list[Notice]:
    """All that is true now, the oldest first. `others` are requests that are worth no message, by
    namespace and name: whoever is sent those of one ring is not to be sent another's exceptions.
    `kept_back` is what freezes keep back of what is approved, however long ago that was."""
    listed, asked = list(requests), list(exceptions)
    standings = {_place(each.metadata): (each, standing_of(each)) for each in listed}
    known = {**others, **{place: Asked.of(*each) for place, each in standings.items()}}
    found = _waiting(queue(listed, asked, now), standings, asked, known, now)
    for request, standing in standings.values():
        found += _of_request(request, standing, now)
    for exception in asked:
        found += _of_exception(exception, known.get(_place_asked(exception)), now)
    found += _frozen(kept_back, known, now)
    return sorted(found, key=lambda each: (each.since, each.namespace, each.name, each.event))


def is_current(request: ListedRequest, now: datetime) -> bool:
    """Whether anything of a request may be worth a message, now or later, unless it changes: what
    is not needs not be kept."""
    standing = standing_of(request)
    if standing.unattested or standing.state in _UNDECIDED:
        return True
    recent = [entry.at for entry, _ in standing.history if entry.author.type is AuthorType.PERSON]
    if request.spec.break_glass is not None:
        recent.append(request.metadata.creation_timestamp or _NO_TIME)
    return any(now - moment < NEWS for moment in recent)


_WAITING = {
    RequestState.SUBMITTED: "review",
    RequestState.UNDER_REVIEW: "review",
    RequestState.EXCEPTION_REQUIRED: "exception",
    RequestState.CONDITIONALLY_APPROVED: "attestation",
}
"""What is waited for in a state."""

_UNDECIDED = frozenset(_WAITING) - {RequestState.CONDITIONALLY_APPROVED}

_DECIDED = frozenset(
    {RequestState.APPROVED, RequestState.CONDITIONALLY_APPROVED, RequestState.REJECTED}
)

_Standings = Mapping[tuple[str, str], tuple[ListedRequest, RequestStanding]]


def _waiting(
    rows: Iterable[QueueRow],
    standings: _Standings,
    exceptions: Iterable[StoredException],
    known: Mapping[tuple[str, str], Asked],
    now: datetime,
) -> list[Notice]:
    by_place = {_place(each.metadata): each for each in exceptions}
    found: list[Notice] = []
    for row in rows:
        place = row.namespace, row.name
        score, ring = row.score, row.ring
        if row.kind == SubjectKind.EXCEPTION:
            meta = by_place[place].metadata
            request = known.get(_place_asked(by_place[place]))
            score, ring = (request.score, request.ring) if request else ("", "")
            step, since = _asked_at(by_place[place])
        else:
            meta = standings[place][0].metadata
            step, since = _waits_since(standings[place][1])
            found += _escalated(*standings[place], row.needed, now)
        event = Event.WAITING
        if row.kind == SubjectKind.EXCEPTION:
            event = Event.EXCEPTION_WAITING
        found.append(
            Notice(
                event=event,
                kind=SubjectKind(row.kind),
                namespace=row.namespace,
                name=row.name,
                uid=meta.uid,
                step=step,
                since=since,
                opened_at=row.opened_at or _NO_TIME,
                score=score,
                ring=ring,
                detail=f"needs {row.needed}",
            )
        )
    return found


def _escalated(
    request: ListedRequest, standing: RequestStanding, needed: str, now: datetime
) -> Iterable[Notice]:
    """The level that a request has reached, if there is one: each is told of once, and anew where
    it was opened again."""
    terms, opened_at = standing.spec.terms, standing.opened_at
    level, since = level_of(standing, now), reached_at(terms, opened_at, now)
    if not level or since is None or opened_at is None:
        return
    found = _notice(
        *(Event.ESCALATED, SubjectKind.REQUEST, request.metadata),
        *(f"{level} {rfc3339(opened_at)}", since),
        *(inert(request.spec.assessment.score), str(request.spec.ring), f"needs {needed}"),
    )
    yield replace(found, level=level)


def _waits_since(standing: RequestStanding) -> tuple[str, datetime]:
    """The decision since which a request waits for what it waits for, and its time."""
    step, since = 0, standing.metadata.creation_timestamp or _NO_TIME
    opening = (
        RequestState.EXCEPTION_REQUIRED
        if standing.spec.assessment.gate is Tier.EXCEPTION_REQUIRED
        else RequestState.SUBMITTED
    )
    before = _WAITING[opening]
    for entry, state in standing.history:
        waits_for = _WAITING.get(state, "")
        if waits_for != before:
            step, since = entry.sequence, entry.at
        before = waits_for
    return str(step), since


def _asked_at(exception: StoredException) -> tuple[str, datetime]:
    history = exception_history(exception)
    if history:
        return str(history[-1][0].sequence), history[-1][0].at
    return "0", exception.metadata.creation_timestamp or _NO_TIME


def _of_request(
    request: ListedRequest, standing: RequestStanding, now: datetime
) -> Iterable[Notice]:
    def notice(event: Event, step: int, since: datetime, detail: str) -> Notice:
        spec = request.spec
        return _notice(
            *(event, SubjectKind.REQUEST, request.metadata, str(step), since),
            *(inert(spec.assessment.score), str(spec.ring), detail),
        )

    verdict = standing.verdict
    if verdict is not None and now - verdict.at < NEWS:
        detail = f"{verdict.verdict} by {inert(verdict.author.username)}"
        if standing.state is RequestState.REVOKED:
            yield notice(Event.REVOKED, verdict.sequence, verdict.at, detail)
        elif verdict.author.type is AuthorType.PERSON and standing.state in _DECIDED:
            yield notice(Event.DECIDED, verdict.sequence, verdict.at, detail)
    glass, created = request.spec.break_glass, request.metadata.creation_timestamp
    if glass is not None and created is not None and now - created < NEWS:
        yield notice(Event.GLASS_BROKEN, 0, created, f"ticket {inert(glass.ticket)}")


def _of_exception(
    exception: StoredException, request: Asked | None, now: datetime
) -> Iterable[Notice]:
    meta = exception.metadata
    score, ring = (request.score, request.ring) if request else ("", "")

    def notice(event: Event, step: str, since: datetime, detail: str) -> Notice:
        kind = SubjectKind.EXCEPTION
        return _notice(event, kind, meta, step, since, score, ring, detail)

    standing = ExceptionStanding.of(exception)
    state, end = standing.state_at(now), standing.expires_at
    if state is ExceptionState.EXPIRED:
        if now - end < NEWS:
            yield notice(Event.EXPIRED, "0", end, f"ended {rfc3339(end)}")
        return
    if state is ExceptionState.PENDING:
        return
    entry = exception_history(exception)[-1][0]
    if now - entry.at < NEWS:
        event = Event.REVOKED if state is ExceptionState.REVOKED else Event.DECIDED
        detail = f"{entry.verdict} by {inert(entry.author.username)}"
        yield notice(event, str(entry.sequence), entry.at, detail)
    if state is not ExceptionState.APPROVED:
        return
    if request is None or not request.takes_exception:
        return  # it admits nothing, and nothing ends with it
    for days in EXPIRING_DAYS:
        begins = end - timedelta(days=days)
        if (meta.creation_timestamp or _NO_TIME) < begins <= now:
            yield notice(Event.EXPIRING, str(days), begins, f"ends {rfc3339(end)}")
            return


def _frozen(
    kept_back: Iterable[KeptBack], known: Mapping[tuple[str, str], Asked], now: datetime
) -> Iterable[Notice]:
    """What freezes keep back: each is told of once for each freeze."""
    for each in kept_back:
        place = inert(each.namespace), inert(each.request)
        request, until = known.get(place), each.freeze.until
        if request is None or (until is not None and until <= now):
            continue  # an operator that is away has not told yet that it is over
        end = "with no end that is known" if until is None else f"until {rfc3339(until)}"
        name = inert(each.freeze.name)
        yield Notice(
            event=Event.FROZEN,
            kind=SubjectKind.REQUEST,
            namespace=place[0],
            name=place[1],
            uid=request.uid,
            step=f"{name} {rfc3339(each.freeze.since)}",
            since=max(each.freeze.since, request.decided_at),
            opened_at=request.opened_at,
            score=request.score,
            ring=request.ring,
            detail=f"approved, frozen by ChangeFreeze {name} {end}",
        )


def _notice(
    event: Event,
    kind: SubjectKind,
    meta: StoredMeta,
    step: str,
    since: datetime,
    score: str,
    ring: str,
    detail: str,
) -> Notice:
    namespace, name = _place(meta)
    return Notice(
        event=event,
        kind=kind,
        namespace=namespace,
        name=name,
        uid=meta.uid,
        step=step,
        since=since,
        opened_at=meta.creation_timestamp or _NO_TIME,
        score=score,
        ring=ring,
        detail=detail,
    )


def _place_asked(exception: StoredException) -> tuple[str, str]:
    return inert(exception.metadata.namespace), inert(exception.spec.request_ref.name)


def _place(meta: StoredMeta) -> tuple[str, str]:
    return inert(meta.namespace), inert(meta.name)
