# SPDX-License-Identifier: Apache-2.0
"""Where a request stands: told once from its decisions, and asked as often as need be.

What rules and messages need of a request is here, whichever type held it as it was stored. What
was stored is not: nobody can read a part that another source of standings does not have, or take
a `status.state` for where a request stands.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Self

from cabgate.api.stored import (
    StoredCondition,
    StoredConstraints,
    StoredEntry,
    StoredException,
    StoredExceptionEntry,
    StoredExceptionSpec,
    StoredMeta,
    StoredRequest,
    StoredSpec,
)
from cabgate.api.values import AuthorType, ExceptionState, RequestState, RequestVerdict, Tier
from cabgate.lifecycle.state.exception_needs import meets, votes_in
from cabgate.lifecycle.state.quorum import BEGINS_ANEW, VOTES, needs_of
from cabgate.lifecycle.state.states import (
    APPROVED_STATES,
    DECIDED_STATES,
    REFUSED_STATES,
    approval_in,
    end_under,
    ended_or,
    exception_history,
    history_of,
    is_retrospective,
    opening_state,
    overrides_only,
)
from cabgate.rollout.appliers import with_applier

if TYPE_CHECKING:  # a list of what waits is judged without the models
    from cabgate.api.intent import DeploymentIntent
    from cabgate.api.request import CABRequest

History = Sequence[tuple[StoredEntry, RequestState]]
"""The entries that counted when they were made, each with the state it led to."""

DECIDED = "Decided"
"""Type of the condition by which the operator says that it noticed a decision on a request."""

_S = RequestState


@dataclass(frozen=True, slots=True)
class RequestStanding:
    """A request, and what follows from its decisions."""

    metadata: StoredMeta
    spec: StoredSpec
    state: RequestState
    history: History
    verdict: StoredEntry | None
    """The entry that carries the verdict in force: approved, rejected or revoked."""
    revocation: StoredEntry | None
    """The entry that revoked it."""
    person_approval: StoredEntry | None
    """The entry by which a person approved it, on conditions or without; also of one that was
    revoked afterwards, but none that was taken back. What the system approved by score has none. Of
    several votes the first: what was refused after that, not all of them knew of."""
    votes: Sequence[StoredEntry]
    """The approvals that count by its terms, whether they are enough or not; none after it was
    revoked, reopened or superseded, and none where it has no terms."""
    opened_at: datetime | None
    """Since when it waits: when it was opened, or opened again. What escalates does by this."""
    conditions: Sequence[StoredCondition]
    """The conditions under which it is approved; none in any other state."""
    unattested: Sequence[StoredCondition]
    """Those that wait for somebody to attest them."""
    noticed: bool
    """Whether the operator has noticed that it is decided. An approval by a person is taken back if
    that shows its author among those who submitted or asked, and never after that."""
    overrides: Mapping[str, datetime]
    """The freezes that its approvals override, each with the moment at which it was last named; of
    none before it was revoked, reopened or superseded."""
    overriding: Sequence[StoredEntry]
    """The approvals by which these are overridden."""
    decided_until: datetime | None
    """The time of the latest of all its decisions, whether they counted or not."""

    @property
    def is_approved(self) -> bool:
        """Whether it is approved, by score, by a person or on conditions."""
        return self.state in APPROVED_STATES

    @property
    def is_refused(self) -> bool:
        """Whether somebody rejected or revoked it."""
        return self.state in REFUSED_STATES

    @property
    def was_approved(self) -> bool:
        """Whether it is approved or was once: something may run by it."""
        return any(state in APPROVED_STATES for _, state in self.history)

    @property
    def bound(self) -> bool:
        """Whether the approval that it has, or had last, is on conditions."""
        approved = [state for _, state in self.history if state in APPROVED_STATES]
        return bool(approved) and approved[-1] is _S.CONDITIONALLY_APPROVED

    @property
    def taken_at(self) -> datetime | None:
        """When a reviewer took it, if one did."""
        return next((e.at for e, state in self.history if _takes(e, state)), None)

    @property
    def taken_by(self) -> StoredEntry | None:
        """The entry of the reviewer who took it last, if one did."""
        found = [e for e, state in self.history if _takes(e, state)]
        return found[-1] if found else None

    @property
    def decided_at(self) -> datetime | None:
        """When it was first decided, if it was. What was taken back counts for nothing; an approval
        by score that has ended was one."""
        found: datetime | None = None
        before: RequestState | None = None
        for entry, state in self.history:
            if before in DECIDED_STATES and entry.verdict is RequestVerdict.REOPENED:
                found = None
            elif found is None and state in DECIDED_STATES:
                found = entry.at
            before = state
        return found


@dataclass(frozen=True, slots=True)
class ExceptionStanding:
    """An exception, and what follows from its decisions; of its state, what a moment does not
    change."""

    metadata: StoredMeta
    spec: StoredExceptionSpec
    approval: StoredExceptionEntry | None
    """The entry that approved it last; none that was taken back."""
    votes: Sequence[StoredExceptionEntry]
    """The approvals that count, whether they are enough or not."""
    decided: ExceptionState
    """Where its decisions left it, whether its end has come or not."""

    @classmethod
    def of(cls, exception: StoredException) -> Self:
        """Where an exception stands. Its decisions are gone through here, and nowhere after."""
        history = exception_history(exception)
        return cls(
            metadata=exception.metadata,
            spec=exception.spec,
            approval=approval_in(history),
            votes=votes_in(history),
            decided=history[-1][1] if history else ExceptionState.PENDING,
        )

    @property
    def expires_at(self) -> datetime:
        """The moment from which it no longer admits. Raises `ValueError` for one that no API server
        has stored."""
        return end_under(self.metadata, self.spec, self.votes)

    @property
    def constraints(self) -> Sequence[StoredConstraints]:
        """What it admits no rollout beyond: its own, and what its reviewers tightened it to."""
        said = (self.spec.constraints, *(each.constraints for each in self.votes))
        return [each for each in said if each is not None]

    def state_at(self, now: datetime) -> ExceptionState:
        """Its state at a moment."""
        return ended_or(self.decided, self.expires_at, now)


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """A request with all that is stored of it, and where it stands: told once, when it was read."""

    stored: "CABRequest"
    standing: RequestStanding

    @classmethod
    def of(cls, request: "CABRequest") -> Self:
        """A request that was read, or that is to be written."""
        return cls(request, standing_of(request))

    @property
    def name(self) -> str:
        """Its name."""
        return self.stored.metadata.name

    def beside(self, intent: "DeploymentIntent") -> Self:
        """As messages tell of it beside the intent of its name: its decisions are the same."""
        stored = with_applier(self.stored, intent)
        return replace(self, stored=stored, standing=replace(self.standing, spec=stored.spec))


def standing_of(request: StoredRequest) -> RequestStanding:
    """Where a request stands. Its decisions are gone through here, and nowhere after."""
    whole = history_of(request)
    history, overriding = _without_overrides(whole), _overriding(whole)
    verdict = _verdict(history)
    votes = _votes(history) if needs_of(request) else ()
    conditions: Sequence[StoredCondition] = ()
    state = history[-1][1] if history else opening_state(request.spec.assessment.gate)
    if votes and state in APPROVED_STATES:
        conditions = _conditions_of(votes)
    elif verdict is not None and verdict.verdict is RequestVerdict.CONDITIONALLY_APPROVED:
        conditions = verdict.conditions
    return RequestStanding(
        metadata=request.metadata,
        spec=request.spec,
        state=state,
        history=whole,
        verdict=verdict,
        # Nothing leaves Revoked, so the entry that led there is the only one that counts.
        revocation=next((e for e, state in history if state is _S.REVOKED), None),
        person_approval=_person_approval(history),
        votes=votes,
        opened_at=_opened_at(history, request.metadata.creation_timestamp),
        conditions=conditions,
        unattested=_unattested(history, verdict, conditions) if conditions else (),
        noticed=any(c.type == DECIDED and c.status == "True" for c in request.status.conditions),
        overrides={name: each.at for each in overriding for name in each.overrides},
        overriding=overriding,
        decided_until=max((entry.at for entry in request.status.decisions), default=None),
    )


def standings_of(requests: Iterable[StoredRequest]) -> list[RequestStanding]:
    """Where each of some requests stands, in their order."""
    return [standing_of(request) for request in requests]


def standings_of_exceptions(exceptions: Iterable[StoredException]) -> list[ExceptionStanding]:
    """Where each of some exceptions stands, in their order."""
    return [ExceptionStanding.of(exception) for exception in exceptions]


def _without_overrides(history: History) -> History:
    """The entries that decide: not those that only override freezes for what is approved."""
    found, before = [], None
    for entry, state in history:
        if before is None or not overrides_only(entry, before):
            found.append((entry, state))
        before = state
    return found


def _overriding(history: History) -> Sequence[StoredEntry]:
    found: list[StoredEntry] = []
    for entry, _ in history:
        if entry.verdict in BEGINS_ANEW:
            found.clear()
        if entry.overrides:
            found.append(entry)
    return found


def _verdict(history: History) -> StoredEntry | None:
    found: StoredEntry | None = None
    for entry, state in history:
        if state not in DECIDED_STATES:
            found = None  # reopened
        elif state.value == entry.verdict.value or entry.verdict in VOTES:
            found = entry
    return found


def _opened_at(history: History, created: datetime | None) -> datetime | None:
    again = [entry.at for entry, _ in history if entry.verdict is RequestVerdict.REOPENED]
    return again[-1] if again else created


def _takes(entry: StoredEntry, state: RequestState) -> bool:
    return state is _S.UNDER_REVIEW and entry.verdict is RequestVerdict.UNDER_REVIEW


def _votes(history: History) -> Sequence[StoredEntry]:
    found: list[StoredEntry] = []
    for entry, _ in history:
        if entry.verdict in BEGINS_ANEW:
            found = []
        elif entry.verdict in VOTES:
            found.append(entry)
    return found


def _conditions_of(votes: Sequence[StoredEntry]) -> Sequence[StoredCondition]:
    """The conditions of all votes, each name once: two of one name say the same."""
    return list({each.name: each for vote in votes for each in vote.conditions}.values())


def _person_approval(history: History) -> StoredEntry | None:
    found: StoredEntry | None = None
    votes: list[StoredEntry] = []
    for entry, state in history:
        if entry.verdict is RequestVerdict.REOPENED:
            found = None
        if entry.verdict in BEGINS_ANEW:
            votes = []
        elif entry.verdict in VOTES:
            votes.append(entry)
            if state in APPROVED_STATES:
                found = votes[0]
    return found if found is not None and found.author.type is AuthorType.PERSON else None


def _unattested(
    history: History, verdict: StoredEntry | None, conditions: Sequence[StoredCondition]
) -> Sequence[StoredCondition]:
    attested = {
        e.condition
        for e, _ in history
        if e.verdict is RequestVerdict.ATTESTED
        and verdict is not None
        and e.sequence > verdict.sequence
    }
    return [each for each in conditions if each.needs_attestation and each.name not in attested]


def may_have_admitted(requests: Iterable[RequestStanding]) -> list[RequestStanding]:
    """Those of some requests by which something may have been rolled out: approved at some time, by
    an exception, or past the gate."""
    return [
        each
        for each in requests
        if each.was_approved
        or each.spec.assessment.gate is Tier.EXCEPTION_REQUIRED
        or is_retrospective(each)
    ]


def takes_exception(request: RequestStanding) -> bool:
    """Whether an exception may admit what a request asks for: its score asks for one, and nobody
    has refused it. What a CAB member is to decide, no exception admits past them."""
    return request.spec.assessment.gate is Tier.EXCEPTION_REQUIRED and not request.is_refused


def exception_admits(exception: ExceptionStanding, request: RequestStanding, now: datetime) -> bool:
    """Whether an exception is active for a request at a moment.

    It binds to the request and to the evidence digest that was approved, and the request has to
    be one that takes an exception. That one of its images was revoked since under another request,
    which ends it for that image, is for the gate to see.
    """
    if exception.spec.request_ref.name != request.metadata.name or not takes_exception(request):
        return False
    approval = exception.approval
    if approval is None or exception.state_at(now) is not ExceptionState.APPROVED:
        return False
    digests = {each.evidence_digest for each in exception.votes}
    return digests == {request.spec.evidence_digest} and meets(exception.spec, request)
