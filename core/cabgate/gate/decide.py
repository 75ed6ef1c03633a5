# SPDX-License-Identifier: Apache-2.0
"""The one place that says whether a rollout is admitted."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.request import RequestState
from cabgate.api.stored import Declared, StoredTarget
from cabgate.gate.decision import ADMITTING, Basis, Decision, Look, Reason
from cabgate.gate.messages import decision_message, warnings_for
from cabgate.lifecycle.precedent import standing_verdict
from cabgate.lifecycle.requirements import unknown_words
from cabgate.lifecycle.revocations import Revocation, against, standing_revocations
from cabgate.lifecycle.same_content import by_content, overruled_by
from cabgate.lifecycle.standing import RequestStanding, closed_window, exception_admits
from cabgate.lifecycle.states import (
    APPROVED_STATES,
    REFUSED_STATES,
    age_of,
    approval_of,
    expires_at,
    is_retrospective,
    state_of,
)
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload


def decide(
    rollout: Rollout,
    ring: int,
    requests: Sequence[RequestStanding],
    exceptions: Sequence[CABException],
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
) -> Decision:
    """Whether a rollout is admitted.

    It is admitted below ring 2, under an approved request that covers every image, or under an
    exception that is active now for a request that covers every image. The conditions of an
    approval hold at each rollout. A request that was opened for a broken glass admits none: it
    reviews what went past the gate, and no later rollout. A revocation denies each of its images,
    in whatever set and under every request, until a person approves that image again. An approval
    counts for nothing where the very same content was refused no later. `requests` are those of the
    rollout's namespace that may name its workload, `exceptions` those of the namespace that may
    name one of the requests; what names something else is passed over.
    `machines` are told of in the message alone.
    """
    reason, basis = _judge(rollout, ring, requests, exceptions, now)
    allowed = reason in ADMITTING
    message = decision_message(rollout, ring, reason, basis, now, machines)
    return Decision(allowed, reason, message, basis, warnings_for(reason, basis))


def covering(rollout: Rollout, requests: Iterable[RequestStanding]) -> list[RequestStanding]:
    """The requests that name the workload and every image of a rollout, the newest first."""
    return [
        request for request in _of_workload(rollout, requests) if not _uncovered(rollout, request)
    ]


def candidates(
    rollout: Rollout,
    requests: Iterable[RequestStanding],
    exceptions: Sequence[CABException],
    now: datetime,
) -> list[Look]:
    """What each request that names the workload says to a rollout, the newest first: what
    `decide` chooses from."""
    named = _of_workload(rollout, requests)
    revocations = standing_revocations(rollout, named)
    same = by_content(named)
    return [
        Look(request, request.state, Reason.IMAGES_NOT_COVERED, uncovered=images)
        if (images := _uncovered(rollout, request))
        else _look(request, same[request.spec.evidence_digest], exceptions, revocations, now)
        for request in named
    ]


def _judge(
    rollout: Rollout,
    ring: int,
    requests: Sequence[RequestStanding],
    exceptions: Sequence[CABException],
    now: datetime,
) -> tuple[Reason, Basis]:
    if ring < GATED_FROM:
        return Reason.RING_NOT_GATED, Basis()
    if not rollout.images:
        return Reason.NO_NEW_IMAGE, Basis()
    found = candidates(rollout, requests, exceptions, now)
    if not found:
        return Reason.NO_REQUEST, Basis()
    nearest = min(found, key=_rank)
    request = nearest.refused or nearest.request
    return nearest.reason, Basis(request, nearest.exception, nearest.uncovered, nearest.revocation)


def _look(
    request: RequestStanding,
    others: Sequence[RequestStanding],
    exceptions: Sequence[CABException],
    revocations: Sequence[Revocation],
    now: datetime,
) -> Look:
    """What a request that covers a rollout says to it; `others` name its workload as well and hold
    the very same content, and `revocations` deny one of its images."""
    state = request.state
    if is_retrospective(request) and state not in REFUSED_STATES:
        return Look(request, state, Reason.GLASS_BROKEN)
    if unknown_words(request):
        # Nothing that it says admits anything here; its revocation still counts.
        return Look(request, state, Reason.UNKNOWN_REQUIREMENT)
    if state in APPROVED_STATES:
        refused = overruled_by(request, others)
        if refused is None:
            return _look_at_approved(request, state, revocations, now)
    else:
        refused = standing_verdict(request.spec.evidence_digest, others)
    if refused is not None and state not in REFUSED_STATES:
        # The same content under another intent's name: that it waits, or was approved at the very
        # moment, changes nothing.
        return Look(request, state, _REFUSALS[refused.state], refused=refused)
    for exception in exceptions:
        if exception_admits(exception, request, now) and not _revoked_since(
            exception, request, revocations
        ):
            return Look(request, state, Reason.EXCEPTION_ACTIVE, exception)
    if state is RequestState.EXCEPTION_REQUIRED:
        own = [e for e in exceptions if e.spec.request_ref.name == request.metadata.name]
        for wanted, reason in _EXCEPTION_REASONS:
            of_state = [e for e in own if state_of(e, now) is wanted]
            if of_state:
                return Look(request, state, reason, max(of_state, key=expires_at))
    return Look(request, state, _REFUSALS[state])


def _look_at_approved(
    request: RequestStanding, state: RequestState, revocations: Sequence[Revocation], now: datetime
) -> Look:
    """What an approval says: it holds, if images of it were revoked, only by a person since who
    knew of that."""
    revocation = against(request, revocations, request.person_approval)
    if revocation is not None:
        return Look(request, state, Reason.REVOKED, revocation=revocation)
    if closed_window(request, now) is None and not request.unattested:
        return Look(request, state, Reason.REQUEST_APPROVED)
    return Look(request, state, _unmet(request, now))


def _revoked_since(
    exception: CABException, request: RequestStanding, revocations: Sequence[Revocation]
) -> bool:
    """Whether an image was revoked which the approval of an exception does not lift."""
    return against(request, revocations, approval_of(exception)) is not None


def _unmet(request: RequestStanding, now: datetime) -> Reason:
    """Which kind of condition of an approval is not met."""
    if closed_window(request, now) is not None:
        return Reason.OUTSIDE_WINDOW
    return Reason.ATTESTATION_MISSING


def _rank(look: Look) -> tuple[int, float]:
    """Which of the requests to go by, the smallest first: what admits, what covers the rollout
    and comes nearest to admitting it, what names other images."""
    if look.reason in _FIRST and look.state not in _UNAPPROVED.get(look.reason, ()):
        return 0, _FIRST[look.reason]
    covers = look.reason is not Reason.IMAGES_NOT_COVERED
    state = look.state if look.refused is None else look.refused.state
    if is_retrospective(look.request) and state not in REFUSED_STATES:
        # After every request of an intent that is as near: one of those can still admit it.
        return (2, 2) if covers else (3, 2)
    if covers and look.revocation is not None:
        # After the revoked request itself, where that covers the rollout too.
        return 1, _TOLD_FIRST.index(RequestState.REVOKED) + 0.5
    if covers and state in _TOLD_FIRST:
        # After those of the same state that somebody here can decide.
        open_ = look.refused is None and look.reason is not Reason.UNKNOWN_REQUIREMENT
        return 1, _TOLD_FIRST.index(state) + (0.0 if open_ else 0.25)
    return 2 if covers else 3, int(state is RequestState.SUPERSEDED)


_FIRST = {
    Reason.REQUEST_APPROVED: 0,
    Reason.EXCEPTION_ACTIVE: 1,
    Reason.OUTSIDE_WINDOW: 2,
    Reason.ATTESTATION_MISSING: 2,
    Reason.UNKNOWN_REQUIREMENT: 3,
}

# Rules that nobody here knows are why, where something was approved by them; else it is told, by
# its state, after what is nearer.
_UNAPPROVED = {Reason.UNKNOWN_REQUIREMENT: frozenset(RequestState) - APPROVED_STATES}

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


def _of_workload(rollout: Rollout, requests: Iterable[RequestStanding]) -> list[RequestStanding]:
    """Requests that name the workload, the newest first."""
    named = [
        request
        for request in requests
        if request.metadata.namespace == rollout.namespace
        and any(Workload.of(target) in rollout.workloads for target in request.spec.targets)
    ]
    return sorted(named, key=age_of, reverse=True)


def images_named(rollout: Rollout, request: Declared) -> set[str]:
    """The images that a request names for the workload of a rollout."""
    return images_of(rollout, request.spec.targets)


def images_of(rollout: Rollout, targets: Iterable[StoredTarget]) -> set[str]:
    """The images that some targets name for the workload of a rollout."""
    return {
        image
        for target in targets
        if Workload.of(target) in rollout.workloads
        for image in target.images
    }


def _uncovered(rollout: Rollout, request: Declared) -> tuple[str, ...]:
    return tuple(sorted(set(rollout.images) - images_named(rollout, request)))
