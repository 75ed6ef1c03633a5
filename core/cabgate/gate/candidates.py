# SPDX-License-Identifier: Apache-2.0
"""Why a request that was looked at admits a rollout or does not, in one line."""

from collections.abc import Iterable
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.request import RequestState
from cabgate.api.types import Gate
from cabgate.gate.decide import images_named
from cabgate.gate.decision import Look, Reason
from cabgate.gate.messages import ended, scored, shortened
from cabgate.lifecycle.requirements import unknown_words
from cabgate.lifecycle.revocations import Revocation
from cabgate.lifecycle.standing import RequestStanding, closed_window, takes_exception
from cabgate.lifecycle.states import expires_at, state_of
from cabgate.rollout.rollout import Rollout
from cabgate.text.foreign import printed

MAX_IMAGES = 3
"""Images that a line names."""


def describe(
    look: Look, rollout: Rollout, exceptions: Iterable[CABException], now: datetime
) -> str:
    """Why a request admits a rollout, or why it does not: one line, with what became of the
    exceptions for it."""
    own = [e for e in exceptions if e.spec.request_ref.name == look.request.metadata.name]
    said = [_why(look, rollout, now)]
    if look.reason is not Reason.EXCEPTION_ACTIVE:
        said += [describe_exception(exception, look.request, now) for exception in own]
    return printed("; ".join(said))


def describe_exception(exception: CABException, request: RequestStanding, now: datetime) -> str:
    """State and end of an exception, and why it does not admit the rollout of its request."""
    name, end = exception.metadata.name, rfc3339(expires_at(exception))
    state = state_of(exception, now)
    if state is ExceptionState.EXPIRED:
        return f"exception {name} ended at {end}"
    if state is ExceptionState.PENDING:
        return f"exception {name} is Pending, and would end at {end}"
    if state is ExceptionState.APPROVED and not takes_exception(request):
        return f"exception {name} is Approved, but its request takes none"
    if state is ExceptionState.APPROVED:
        return (
            f"exception {name} is Approved until {end}, but not for these images: one was "
            "revoked since, or it was approved for other evidence"
        )
    return f"exception {name} is {state}"


def _why(look: Look, rollout: Rollout, now: datetime) -> str:
    request, reason = look.request, look.reason
    if reason is Reason.IMAGES_NOT_COVERED:
        named = images_named(rollout, request)
        return f"does not name {_listed(look.uncovered)}; it names {_listed(sorted(named))}"
    if reason is Reason.REQUEST_APPROVED:
        return "admits the rollout"
    if reason is Reason.EXCEPTION_ACTIVE and look.exception is not None:
        end = rfc3339(expires_at(look.exception))
        return f"admits the rollout under exception {look.exception.metadata.name} until {end}"
    if reason is Reason.UNKNOWN_REQUIREMENT:
        words = ", ".join(unknown_words(request)[:5])
        return f"rests on rules that this release does not know: {words}"
    if reason is Reason.GLASS_BROKEN:
        return f"{look.state}: reviews a broken glass, and admits no later rollout"
    if look.revocation is not None:
        return _revoked(look.revocation)
    if reason in (Reason.OUTSIDE_WINDOW, Reason.ATTESTATION_MISSING):
        return _unmet(request, now)
    return _of_state(look)


def _unmet(request: RequestStanding, now: datetime) -> str:
    window = closed_window(request, now)
    if window is None:
        waiting = ", ".join(condition.name for condition in request.unattested)
        return f"approved on conditions that nobody has attested: {waiting}"
    if window.not_before is not None and now < window.not_before:
        return (
            f"approved on condition {window.name}, which admits from {rfc3339(window.not_before)}"
        )
    moment = window.not_after
    return (
        f"approved on condition {window.name}, which admitted until "
        f"{rfc3339(moment) if moment else ''}"
    )


def _revoked(revocation: Revocation) -> str:
    return (
        f"approved, but image {shortened(revocation.image, 160)} was revoked at "
        f"{rfc3339(revocation.at)} under request {revocation.request.metadata.name}: only a "
        "person's approval after that counts"
    )


def _of_state(look: Look) -> str:
    request = look.request
    if look.refused is not None:
        return f"the very same content {ended(look.refused)} (request {look.refused.metadata.name})"
    if look.state in (RequestState.SUBMITTED, RequestState.UNDER_REVIEW):
        by_score = request.spec.assessment.gate is Gate.AUTO_APPROVE
        if by_score and look.state is RequestState.SUBMITTED:
            who = "the operator, or a CAB member where a floor holds it"
        else:
            who = "a CAB member"
        return f"waits for {who} ({scored(request)})"
    if look.state is RequestState.EXCEPTION_REQUIRED:
        return f"needs an exception ({scored(request)})"
    return ended(request)


def _listed(images: Iterable[str]) -> str:
    found = list(images)
    more = f" and {len(found) - MAX_IMAGES} more" if len(found) > MAX_IMAGES else ""
    return ", ".join(shortened(image, 160) for image in found[:MAX_IMAGES]) + more
