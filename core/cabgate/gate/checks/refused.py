# SPDX-License-Identifier: Apache-2.0
"""What was rejected, revoked or given up: the request itself, its content, or an image of it."""

from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.request import RequestState
from cabgate.gate.commands import edit_intent, list_intents
from cabgate.gate.composing import shortened
from cabgate.gate.phrases import ended
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.history.precedent import standing_verdict
from cabgate.lifecycle.history.revocations import against
from cabgate.lifecycle.history.same_content import overruled_by
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import APPROVED_STATES, REFUSED_STATES
from cabgate.rollout.rollout import Rollout

_OF_STATE = {
    RequestState.REJECTED: Reason.REJECTED,
    RequestState.REVOKED: Reason.REVOKED,
    RequestState.SUPERSEDED: Reason.SUPERSEDED,
}


def check_content(found: Covering) -> Look | None:
    """That the very same content was refused under another intent's name: that this one waits, or
    was approved at the very moment, changes nothing."""
    if found.state in REFUSED_STATES:
        return None
    if found.state in APPROVED_STATES:
        refused = overruled_by(found.request, found.others)
    else:
        refused = standing_verdict(found.request.spec.evidence_digest, found.others)
    if refused is None:
        return None
    return Look(found.request, found.state, _OF_STATE[refused.state], refused=refused)


def check_images(found: Covering) -> Look | None:
    """That an image of an approval was revoked, and no person approved it since, knowing that."""
    if found.state not in APPROVED_STATES:
        return None
    revocation = against(found.request, found.revocations, found.request.person_approval)
    if revocation is None:
        return None
    return Look(found.request, found.state, Reason.REVOKED, revocation=revocation)


def check(found: Covering) -> Look | None:
    """That the request itself ended."""
    reason = _OF_STATE.get(found.state)
    return None if reason is None else Look(found.request, found.state, reason)


def _message(found: Situation) -> Parts:
    # What would improve the score does not help against what somebody found wrong.
    if found.basis.revocation is not None:
        return _about_image(found)
    return f"{found.head} {ended(found.request)}.", [], _next_step(found.request)


def _about_image(found: Situation) -> Parts:
    """Of an approval that does not count for an image which was revoked under another request."""
    request, revocation = found.request, found.basis.revocation
    if revocation is None:
        raise ValueError(f"{found.tried}: rests on no revocation")
    other = revocation.request
    return (
        f"{found.head} is {request.state}, but image {shortened(revocation.image, 160)} of "
        f"{revocation.workload} was revoked at {rfc3339(revocation.at)}.",
        [
            f"Request {other.metadata.name} {ended(other)}.",
            "Only a person's approval after that counts.",
        ],
        "Roll out another image, or declare new evidence for a person to approve: "
        + edit_intent(request),
    )


def _next_step(request: RequestStanding) -> str:
    if request.state is RequestState.SUPERSEDED:
        # The intent may be gone.
        return "Roll out what is declared, or declare this again; see: " + list_intents(request)
    return "Change what was found wrong and declare the new evidence: " + edit_intent(request)


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    revocation = look.revocation
    if revocation is not None:
        return (
            f"approved, but image {shortened(revocation.image, 160)} was revoked at "
            f"{rfc3339(revocation.at)} under request {revocation.request.metadata.name}: only a "
            "person's approval after that counts"
        )
    if look.refused is not None:
        return f"the very same content {ended(look.refused)} (request {look.refused.metadata.name})"
    return ended(look.request)


RECORDS = (
    Record(
        Reason.REJECTED,
        _message,
        _line,
        health=ArgoHealth.DEGRADED,
        says="a CAB member said no, and why; no exception helps",
        to_do="change what was found wrong, declare the new evidence",
    ),
    Record(
        Reason.REVOKED,
        _message,
        _line,
        health=ArgoHealth.DEGRADED,
        says="the approval was taken back, of this request or of an image of it under another, and "
        "why",
        to_do="change what was found wrong, declare the new evidence; a person decides then",
    ),
    Record(
        Reason.SUPERSEDED,
        _message,
        _line,
        health=ArgoHealth.DEGRADED,
        says="the request was given up before it was decided",
        to_do="roll out what the intent declares, or declare this again",
    ),
)
