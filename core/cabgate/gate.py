# SPDX-License-Identifier: Apache-2.0
"""The one place that says whether a rollout is admitted."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.request import CABRequest, RequestState
from cabgate.api.types import AuthorType
from cabgate.decision import ADMITTING, Basis, Decision, Look, Reason, Rollout
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


def looks(
    rollout: Rollout,
    requests: Iterable[CABRequest],
    exceptions: Sequence[CABException],
    now: datetime,
) -> list[Look]:
    """What each request that names the workload says to a rollout, the newest first: what
    `decide` chooses from."""
    named = _of_workload(rollout, requests)
    missing = [_uncovered(rollout, request) for request in named]
    covered = [request for request, images in zip(named, missing, strict=True) if not images]
    revocations = [(moment, r) for r in covered if (moment := revoked_at(r)) is not None]
    latest = max(revocations, key=lambda found: found[0], default=None)
    return [
        Look(request, state_of(request), Reason.IMAGES_NOT_COVERED, uncovered=images)
        if images
        else _look(request, exceptions, latest, now)
        for request, images in zip(named, missing, strict=True)
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
    found = looks(rollout, requests, exceptions, now)
    if not found:
        return Reason.NO_REQUEST, Basis()
    told = min(found, key=_rank)
    return told.reason, Basis(told.request, told.exception, told.uncovered)


def _look(
    request: CABRequest,
    exceptions: Sequence[CABException],
    latest: tuple[datetime, CABRequest] | None,
    now: datetime,
) -> Look:
    """What a request that covers a rollout says to it; `latest` is the last revocation of a
    request that covers it."""
    state = state_of(request)
    revoked, revoked_by = latest or (None, None)
    holds = _approval_holds(request, revoked)
    if holds and closed_window(request, now) is None and not unattested(request):
        return Look(request, state, Reason.REQUEST_APPROVED)
    for exception in exceptions:
        if exception_admits(exception, request, now, revoked):
            return Look(request, state, Reason.EXCEPTION_ACTIVE, exception)
    if holds:
        return Look(request, state, _unmet(request, now))
    if state in APPROVED_STATES:
        return Look(request, state, Reason.REVOKED, revoked_by=revoked_by)
    if state is RequestState.EXCEPTION_REQUIRED:
        own = [e for e in exceptions if e.spec.request_ref.name == request.metadata.name]
        for wanted, reason in _EXCEPTION_REASONS:
            of_state = [e for e in own if state_of(e, now) is wanted]
            if of_state:
                return Look(request, state, reason, max(of_state, key=expires_at))
    return Look(request, state, _REFUSALS[state])


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


def _rank(look: Look) -> tuple[int, int]:
    """Which of the requests to go by, the smallest first: what admits, what covers the rollout
    and comes nearest to admitting it, what names other images."""
    if look.reason in _FIRST:
        return 0, _FIRST[look.reason]
    covers = look.reason is not Reason.IMAGES_NOT_COVERED
    if covers and look.state in _TOLD_FIRST:
        return 1, _TOLD_FIRST.index(look.state)
    return 2 if covers else 3, int(look.state is RequestState.SUPERSEDED)


_FIRST = {
    Reason.REQUEST_APPROVED: 0,
    Reason.EXCEPTION_ACTIVE: 1,
    Reason.OUTSIDE_WINDOW: 2,
    Reason.ATTESTATION_MISSING: 2,
}

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


def images_named(rollout: Rollout, request: CABRequest) -> set[str]:
    """The images that a request names for the workload of a rollout."""
    return {
        image
        for target in request.spec.targets
        if Workload.of(target) in rollout.workloads
        for image in target.images
    }


def _uncovered(rollout: Rollout, request: CABRequest) -> tuple[str, ...]:
    return tuple(sorted(set(rollout.images) - images_named(rollout, request)))
