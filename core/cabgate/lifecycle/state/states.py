# SPDX-License-Identifier: Apache-2.0
"""States: derived from spec, decisions and time, by one table for each kind.

The stored `status.state` is for people; nothing here reads it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, cast, overload

from cabgate.api.stored import (
    Declared,
    DeclaredException,
    StoredEntry,
    StoredException,
    StoredExceptionEntry,
    StoredExceptionSpec,
    StoredMeta,
    StoredRequest,
)
from cabgate.api.values import (
    AuthorType,
    ExceptionState,
    ExceptionVerdict,
    RequestState,
    RequestVerdict,
    Tier,
)
from cabgate.lifecycle.state.exception_needs import has_voted, needed_of, votes_in
from cabgate.lifecycle.state.quorum import Votes

if TYPE_CHECKING:  # a list of what waits is judged without the models
    from cabgate.api.exception import CABException, ExceptionDecision
    from cabgate.api.request import CABRequest, RequestDecision

Decided = TypeVar("Decided", bound="CABRequest | CABException")

PERSON, SYSTEM = AuthorType.PERSON, AuthorType.SYSTEM

APPROVED_STATES = frozenset(
    {
        RequestState.AUTO_APPROVED,
        RequestState.APPROVED,
        RequestState.CONDITIONALLY_APPROVED,
    }
)
"""States in which a request admits its rollout."""

REFUSED_STATES = frozenset({RequestState.REJECTED, RequestState.REVOKED})
"""States in which somebody refused a request, which no later entry leaves."""

WAITING_STATES = frozenset({RequestState.SUBMITTED, RequestState.UNDER_REVIEW})
"""States in which a request waits for people to decide it."""

DECIDED_STATES = APPROVED_STATES | REFUSED_STATES
"""States that carry a verdict."""

_S = RequestState
_V = RequestVerdict

REQUEST_TRANSITIONS: dict[tuple[RequestState, RequestVerdict, AuthorType], RequestState | None] = {
    (_S.SUBMITTED, _V.UNDER_REVIEW, PERSON): _S.UNDER_REVIEW,
    (_S.SUBMITTED, _V.APPROVED, PERSON): _S.APPROVED,
    (_S.SUBMITTED, _V.CONDITIONALLY_APPROVED, PERSON): _S.CONDITIONALLY_APPROVED,
    (_S.SUBMITTED, _V.REJECTED, PERSON): _S.REJECTED,
    (_S.UNDER_REVIEW, _V.APPROVED, PERSON): _S.APPROVED,
    (_S.UNDER_REVIEW, _V.CONDITIONALLY_APPROVED, PERSON): _S.CONDITIONALLY_APPROVED,
    (_S.UNDER_REVIEW, _V.REJECTED, PERSON): _S.REJECTED,
    (_S.SUBMITTED, _V.AUTO_APPROVED, SYSTEM): _S.AUTO_APPROVED,
    (_S.AUTO_APPROVED, _V.REVOKED, PERSON): _S.REVOKED,
    (_S.APPROVED, _V.REVOKED, PERSON): _S.REVOKED,
    (_S.CONDITIONALLY_APPROVED, _V.REVOKED, PERSON): _S.REVOKED,
    (_S.EXCEPTION_REQUIRED, _V.REVOKED, PERSON): _S.REVOKED,
    # Of what may have run by it alone: `_may_run` sees to it.
    (_S.SUPERSEDED, _V.REVOKED, PERSON): _S.REVOKED,
    (_S.SUBMITTED, _V.REVOKED, PERSON): _S.REVOKED,
    (_S.UNDER_REVIEW, _V.REVOKED, PERSON): _S.REVOKED,
    (_S.CONDITIONALLY_APPROVED, _V.ATTESTED, PERSON): _S.CONDITIONALLY_APPROVED,
    (_S.SUBMITTED, _V.SUPERSEDED, SYSTEM): _S.SUPERSEDED,
    (_S.UNDER_REVIEW, _V.SUPERSEDED, SYSTEM): _S.SUPERSEDED,
    (_S.EXCEPTION_REQUIRED, _V.SUPERSEDED, SYSTEM): _S.SUPERSEDED,
    (_S.AUTO_APPROVED, _V.SUPERSEDED, SYSTEM): _S.SUPERSEDED,
    (_S.SUPERSEDED, _V.REOPENED, SYSTEM): None,
    # Of who approved at the moment in which they changed the intent: `cabgate.review.races`.
    (_S.APPROVED, _V.REOPENED, SYSTEM): _S.SUBMITTED,
    (_S.CONDITIONALLY_APPROVED, _V.REOPENED, SYSTEM): _S.SUBMITTED,
    (_S.SUBMITTED, _V.GLASS_BROKEN, SYSTEM): _S.SUBMITTED,
}
"""State, verdict and author, and the state that follows; None is the state in which the request
was opened."""

# A person may decide what the score leaves to the system as well: what it was opened with may no
# longer hold, and then the system does not approve it.
_PEOPLE_DECIDE = frozenset({Tier.MANUAL_REVIEW, Tier.AUTO_APPROVE})

_GATES_OF_VERDICT = {
    _V.UNDER_REVIEW: _PEOPLE_DECIDE,
    _V.APPROVED: _PEOPLE_DECIDE,
    _V.CONDITIONALLY_APPROVED: _PEOPLE_DECIDE,
    _V.REJECTED: _PEOPLE_DECIDE,
    _V.AUTO_APPROVED: frozenset({Tier.AUTO_APPROVE}),
}

_X = ExceptionState
_W = ExceptionVerdict

EXCEPTION_TRANSITIONS: dict[tuple[ExceptionState, ExceptionVerdict, AuthorType], ExceptionState] = {
    (_X.PENDING, _W.APPROVED, PERSON): _X.APPROVED,
    (_X.PENDING, _W.REJECTED, PERSON): _X.REJECTED,
    (_X.APPROVED, _W.REVOKED, PERSON): _X.REVOKED,
    (_X.PENDING, _W.EXPIRED, SYSTEM): _X.EXPIRED,
    (_X.APPROVED, _W.EXPIRED, SYSTEM): _X.EXPIRED,
    # Of who approved at the moment in which they changed the intent: `cabgate.review.races`.
    (_X.APPROVED, _W.REOPENED, SYSTEM): _X.PENDING,
}
"""State, verdict and author, and the state that follows."""


def is_retrospective(request: Declared) -> bool:
    """Whether a request reviews a broken glass: a rollout that went past the gate. Whatever is
    decided on it is about that rollout: it admits no other, and lifts no refusal."""
    return request.spec.break_glass is not None


def opening_state(gate: Tier) -> RequestState:
    """The state in which a request is opened."""
    return _S.EXCEPTION_REQUIRED if gate is Tier.EXCEPTION_REQUIRED else _S.SUBMITTED


def next_request_state(
    request: StoredRequest, state: RequestState, verdict: RequestVerdict, author: AuthorType
) -> RequestState | None:
    """The state that follows, or None if the verdict is not legal there. Whether an approval counts
    by the terms of the request, and is enough, its author says as well: `state_after` knows."""
    following = _following(request, state, verdict, author)
    if following is _S.REVOKED and not _may_run(request, state, approved=_was_approved(request)):
        return None
    return following


def _following(
    request: Declared, state: RequestState, verdict: RequestVerdict, author: AuthorType
) -> RequestState | None:
    """The state that follows, whatever came before."""
    gate = request.spec.assessment.gate
    if gate not in _GATES_OF_VERDICT.get(verdict, {gate}):
        return None
    if verdict is _V.GLASS_BROKEN and not is_retrospective(request):
        return None
    if (state, verdict, author) not in REQUEST_TRANSITIONS:
        return None
    return REQUEST_TRANSITIONS[(state, verdict, author)] or opening_state(gate)


def state_after(request: StoredRequest, entry: StoredEntry) -> RequestState | None:
    """The state after one more entry, or None if it counts for nothing."""
    history = _history([*request.status.decisions, entry], request)
    return history[-1][1] if history and history[-1][0] is entry else None


def next_exception_state(
    exception: StoredException,
    state: ExceptionState,
    verdict: ExceptionVerdict,
    author: AuthorType,
    at: datetime,
) -> ExceptionState | None:
    """The state that follows a verdict given at a time, or None if it is not legal there.

    People decide before the end, the system says that the end has come only after it.
    """
    return _exception_following(state, verdict, author, over=at >= expires_at(exception))


def _exception_following(
    state: ExceptionState, verdict: ExceptionVerdict, author: AuthorType, *, over: bool
) -> ExceptionState | None:
    if over != (verdict is _W.EXPIRED):
        return None
    return EXCEPTION_TRANSITIONS.get((state, verdict, author))


def with_entry(subject: Decided, entry: "RequestDecision | ExceptionDecision") -> Decided:
    """A request or an exception with one more decision."""
    decisions = [*subject.status.decisions, entry]
    status = subject.status.model_copy(update={"decisions": decisions})
    return cast("Decided", subject.model_copy(update={"status": status}))


def expires_at(exception: StoredException) -> datetime:
    """The moment from which an exception no longer admits: creation plus its duration, or the
    earliest `until` of its own constraints and of those that it was approved under.

    Raises `ValueError` for an object that no API server has stored.
    """
    votes = votes_in(exception_history(exception))
    return end_under(exception.metadata, exception.spec, votes)


def end_under(
    metadata: StoredMeta, spec: StoredExceptionSpec, votes: Iterable[StoredExceptionEntry]
) -> datetime:
    """The same, of the parts that tell it; `votes` are the approvals that count."""
    if metadata.creation_timestamp is None:
        raise ValueError("metadata.creationTimestamp: absent")
    end = end_after(metadata.creation_timestamp, spec.duration_days)
    said = (spec.constraints, *(each.constraints for each in votes))
    return min([end, *(each.until for each in said if each is not None and each.until is not None)])


def end_after(created: datetime, days: int) -> datetime:
    """When an exception ends that was created at a moment, for so many days."""
    return created + timedelta(days=days)


@overload
def state_of(subject: "CABRequest") -> RequestState: ...
@overload
def state_of(subject: "CABException", now: datetime) -> ExceptionState: ...


def state_of(
    subject: "CABRequest | CABException", now: datetime | None = None
) -> RequestState | ExceptionState:
    """Where a request, or at a given moment an exception, stands.

    An entry that was not legal when it was made counts for nothing.
    """
    from cabgate.api.exception import CABException

    if isinstance(subject, CABException):
        if now is None:
            raise TypeError("the state of an exception needs a time")
        return _exception_state(subject, now)
    states = [state for _, state in history_of(subject)]
    return states[-1] if states else opening_state(subject.spec.assessment.gate)


def history_of(request: StoredRequest) -> list[tuple[StoredEntry, RequestState]]:
    """The entries of a request that counted when they were made, in order, each with the state it
    led to. Whoever asks more than one thing of it asks its `RequestStanding`."""
    return _history(request.status.decisions, request)


def _history(
    decisions: Iterable[StoredEntry], request: Declared
) -> list[tuple[StoredEntry, RequestState]]:
    """Which of some decisions on a request count, each with the state it leads to."""
    state = opening_state(request.spec.assessment.gate)
    history = []
    approved = False
    votes = Votes.none_of(request)
    for entry in sorted(decisions, key=lambda entry: entry.sequence):
        if entry.evidence_digest != request.spec.evidence_digest:
            continue
        if overrides_only(entry, state):
            history.append((entry, state))
            continue
        following = _following(request, state, entry.verdict, entry.author.type)
        if following is None:
            continue
        if following is _S.REVOKED and not _may_run(request, state, approved=approved):
            continue
        following = votes.state_after(entry, following)
        if following is None:
            continue
        state = following
        approved = approved or state in APPROVED_STATES
        history.append((entry, state))
    return history


def overrides_only(entry: StoredEntry, before: RequestState) -> bool:
    """Whether an entry is an approval of what is approved already, which overrides freezes for it
    and changes nothing else: neither the state, nor who approved, nor on which conditions."""
    approves = entry.verdict is _V.APPROVED and entry.author.type is PERSON
    return approves and bool(entry.overrides) and before in APPROVED_STATES


def illegal_entries(request: "CABRequest") -> "list[RequestDecision]":
    """The entries of a request that were not legal when they were made, and count for nothing."""
    counted = {entry.sequence for entry, _ in history_of(request)}
    return [entry for entry in request.status.decisions if entry.sequence not in counted]


def _may_run(request: Declared, state: RequestState, *, approved: bool) -> bool:
    """Whether something may run by a request, so that there is something to revoke: not where it
    waits or is superseded, was never approved, and admitted nothing by an exception."""
    if approved or state in APPROVED_STATES:
        return True
    excepted = state in (_S.EXCEPTION_REQUIRED, _S.SUPERSEDED)
    return excepted and request.spec.assessment.gate is Tier.EXCEPTION_REQUIRED


def _was_approved(request: StoredRequest) -> bool:
    return any(state in APPROVED_STATES for _, state in history_of(request))


def exception_history(
    exception: StoredException,
) -> list[tuple[StoredExceptionEntry, ExceptionState]]:
    """The entries that counted when they were made, in order, each with the state it led to.
    Whoever asks more than one thing of it asks its `ExceptionStanding`."""
    return _exception_history(exception.status.decisions, exception)


def _exception_history(
    decisions: Iterable[StoredExceptionEntry], exception: DeclaredException
) -> list[tuple[StoredExceptionEntry, ExceptionState]]:
    """Which of some decisions on an exception count, each with the state it leads to."""
    state = _X.PENDING
    history: list[tuple[StoredExceptionEntry, ExceptionState]] = []
    for entry in sorted(decisions, key=lambda entry: entry.sequence):
        votes = votes_in(history)
        end = end_under(exception.metadata, exception.spec, votes)
        following = _exception_following(
            state, entry.verdict, entry.author.type, over=entry.at >= end
        )
        if following is _X.APPROVED:
            if has_voted(votes, entry):
                continue
            enough = len(votes) + 1 >= needed_of(exception.spec)
            following = following if enough else _X.PENDING
        if following is not None:
            state = following
            history.append((entry, state))
    return history


def exception_state_after(
    exception: StoredException, entry: StoredExceptionEntry
) -> ExceptionState | None:
    """The state after one more entry, or None if it counts for nothing."""
    history = _exception_history([*exception.status.decisions, entry], exception)
    return history[-1][1] if history and history[-1][0] is entry else None


def _exception_state(exception: StoredException, now: datetime) -> ExceptionState:
    history = exception_history(exception)
    return ended_or(history[-1][1] if history else _X.PENDING, expires_at(exception), now)


def ended_or(state: ExceptionState, end: datetime, now: datetime) -> ExceptionState:
    """Where an exception stands at a moment that its decisions left in a state."""
    return _X.EXPIRED if state in (_X.PENDING, _X.APPROVED) and now >= end else state


def approval_of(exception: StoredException) -> StoredExceptionEntry | None:
    """The entry that approved an exception last, if one did; none that was taken back."""
    return approval_in(exception_history(exception))


def approval_in(
    history: Iterable[tuple[StoredExceptionEntry, ExceptionState]],
) -> StoredExceptionEntry | None:
    """The same, of the entries that counted."""
    found: StoredExceptionEntry | None = None
    for entry, state in history:
        if state is _X.PENDING:
            found = None
        elif state is _X.APPROVED:
            found = entry
    return found


def age_of(request: Declared, moment: datetime | None = None) -> tuple[float, int, str]:
    """What sorts requests by a moment of theirs, else by when they were opened, the oldest first.

    Times of Kubernetes have whole seconds: within one, the generation of the intent tells which
    came later.
    """
    moment = moment or request.metadata.creation_timestamp
    seconds = moment.timestamp() if moment else 0.0
    intent = request.spec.intent_ref
    return (seconds, intent.generation if intent else 0, request.metadata.name)
