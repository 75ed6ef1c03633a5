# SPDX-License-Identifier: Apache-2.0
"""The one place that says whether a rollout is admitted."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.request import CABRequest, RequestState
from cabgate.api.types import AuthorType
from cabgate.decision import ADMITTING, Basis, Decision, Reason, Rollout
from cabgate.lifecycle import (
    APPROVED_STATES,
    age_of,
    closed_window,
    exception_admits,
    expires_at,
    revoked_at,
    state_of,
    unattested,
    verdict_on,
)
from cabgate.messages import decision_message, warnings_for
from cabgate.rings import GATED_FROM
from cabgate.targets import Workload


def decide(
    rollout: Rollout,
    ring: int,
    requests: Sequence[CABRequest],
    exceptions: Sequence[CABException],
    now: datetime,
) -> Decision:
    """Whether a rollout is admitted.

    It is admitted below ring 2, under an approved request that covers every image, or under an
    exception that is active now for a request that covers every image. The conditions of an
    approval hold at each rollout. A revocation denies its images under every request, until a
    person approves them again. `requests` are those of the rollout's namespace that may name its
    workload, `exceptions` those of the namespace that may name one of the requests; what names
    something else is passed over.
    """
    reason, basis = _judge(rollout, ring, requests, exceptions, now)
    allowed = reason in ADMITTING
    message = decision_message(rollout, ring, reason, basis, now)
    return Decision(allowed, reason, message, basis, warnings_for(reason, basis))


def covering(rollout: Rollout, requests: Iterable[CABRequest]) -> list[CABRequest]:
    """The requests that name the workload and every image of a rollout, the newest first."""
    return [
        request for request in _of_workload(rollout, requests) if not _uncovered(rollout, request)
    ]


def _judge(
    rollout: Rollout,
    ring: int,
    requests: Sequence[CABRequest],
    exceptions: Sequence[CABException],
    now: datetime,
) -> tuple[Reason, Basis]:
    if ring < GATED_FROM:
        return Reason.RING_NOT_GATED, Basis()
    if not rollout.images:
        return Reason.NO_NEW_IMAGE, Basis()
    named = _of_workload(rollout, requests)
    if not named:
        return Reason.NO_REQUEST, Basis()
    covered = covering(rollout, named)
    if not covered:
        nearest = min(named, key=lambda r: state_of(r) is RequestState.SUPERSEDED)
        return Reason.IMAGES_NOT_COVERED, Basis(nearest, None, _uncovered(rollout, nearest))
    revoked = max(filter(None, map(revoked_at, covered)), default=None)
    approved = [request for request in covered if _approval_holds(request, revoked)]
    for request in approved:
        if closed_window(request, now) is None and not unattested(request):
            return Reason.REQUEST_APPROVED, Basis(request)
    for request in covered:
        for exception in exceptions:
            if exception_admits(exception, request, now, revoked):
                return Reason.EXCEPTION_ACTIVE, Basis(request, exception)
    if approved:
        return _unmet(approved[0], now), Basis(approved[0])
    return _refusal(covered, exceptions, now)


def _approval_holds(request: CABRequest, revoked: datetime | None) -> bool:
    """Whether a request is approved, and, if its images were revoked, by a person since."""
    verdict = verdict_on(request)
    if verdict is None or state_of(request) not in APPROVED_STATES:
        return False
    return revoked is None or (verdict.author.type is AuthorType.PERSON and verdict.at > revoked)


def _unmet(request: CABRequest, now: datetime) -> Reason:
    """Which kind of condition of an approval is not met."""
    if closed_window(request, now) is not None:
        return Reason.OUTSIDE_WINDOW
    return Reason.ATTESTATION_MISSING


def _refusal(
    covered: Sequence[CABRequest], exceptions: Sequence[CABException], now: datetime
) -> tuple[Reason, Basis]:
    """Which of the requests that cover the rollout, none of which admits it, to tell of."""
    told = [request for request in covered if state_of(request) in _TOLD_FIRST]
    request = min(told, key=lambda r: _TOLD_FIRST.index(state_of(r)))
    state = state_of(request)
    if state is RequestState.EXCEPTION_REQUIRED:
        own = [e for e in exceptions if e.spec.request_ref.name == request.metadata.name]
        for wanted, reason in _EXCEPTION_REASONS:
            found = [e for e in own if state_of(e, now) is wanted]
            if found:
                return reason, Basis(request, max(found, key=expires_at))
    return _REFUSALS[state], Basis(request)


_TOLD_FIRST = (
    RequestState.SUBMITTED,
    RequestState.UNDER_REVIEW,
    RequestState.EXCEPTION_REQUIRED,
    RequestState.REVOKED,
    RequestState.REJECTED,
    RequestState.SUPERSEDED,
)

_REFUSALS = {
    RequestState.SUBMITTED: Reason.REVIEW_PENDING,
    RequestState.UNDER_REVIEW: Reason.REVIEW_PENDING,
    RequestState.EXCEPTION_REQUIRED: Reason.EXCEPTION_REQUIRED,
    RequestState.REVOKED: Reason.REVOKED,
    RequestState.REJECTED: Reason.REJECTED,
    RequestState.SUPERSEDED: Reason.SUPERSEDED,
}

_EXCEPTION_REASONS = (
    (ExceptionState.PENDING, Reason.EXCEPTION_PENDING),
    (ExceptionState.EXPIRED, Reason.EXCEPTION_ENDED),
)


def _of_workload(rollout: Rollout, requests: Iterable[CABRequest]) -> list[CABRequest]:
    """Requests that name the workload, the newest first."""
    named = [
        request
        for request in requests
        if request.metadata.namespace == rollout.namespace
        and any(Workload.of(target) in rollout.workloads for target in request.spec.targets)
    ]
    return sorted(named, key=_age, reverse=True)


def _age(request: CABRequest) -> tuple[float, int, str]:
    return age_of(request, request.metadata.creation_timestamp)


def _uncovered(rollout: Rollout, request: CABRequest) -> tuple[str, ...]:
    allowed = {
        image
        for target in request.spec.targets
        if Workload.of(target) in rollout.workloads
        for image in target.images
    }
    return tuple(sorted(set(rollout.images) - allowed))
