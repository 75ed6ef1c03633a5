# SPDX-License-Identifier: Apache-2.0
"""What a CABException admits, and a request that needs one."""

from dataclasses import replace
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionState
from cabgate.api.request import RequestState
from cabgate.gate.commands import approve_exception, write_exception
from cabgate.gate.phrases import assessment_details, scored
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.history.revocations import against
from cabgate.lifecycle.limits.constraints import WINDOWS, Violation, violation
from cabgate.lifecycle.state.exception_needs import counted_of, meets
from cabgate.lifecycle.state.standing import ExceptionStanding, exception_admits
from cabgate.rollout.rollout import Rollout


def check(found: Covering) -> Look | None:
    """That an exception is active which no revocation since speaks against; one that the rollout
    keeps to, if there is one."""
    beyond: Look | None = None
    for exception in found.exceptions:
        if not exception_admits(exception, found.request, found.now) or against(
            found.request, found.revocations, exception.approval
        ):
            continue
        reason, violated = Reason.EXCEPTION_ACTIVE, _violated(exception, found)
        if violated is None:
            return Look(found.request, found.state, reason, exception)
        reason = Reason.CONSTRAINT_VIOLATED
        beyond = beyond or Look(found.request, found.state, reason, exception, violation=violated)
    return beyond and replace(beyond, awaited=_awaited(found))


def _awaited(found: Covering) -> ExceptionStanding | None:
    """An exception for the request that waits for its approval, can be approved, and that the
    rollout keeps to."""
    name = found.request.metadata.name
    for exception in found.exceptions:
        waits = exception.state_at(found.now) is ExceptionState.PENDING
        own = exception.spec.request_ref.name == name and meets(exception.spec, found.request)
        if own and waits and not _violated(exception, found):
            return exception
    return None


def _violated(exception: ExceptionStanding, found: Covering) -> Violation | None:
    return violation(
        *(exception.constraints, found.rollout, found.ring, found.now), exception.expires_at
    )


_REASONS = (
    (ExceptionState.PENDING, Reason.EXCEPTION_PENDING),
    (ExceptionState.EXPIRED, Reason.EXCEPTION_ENDED),
)


def check_needed(found: Covering) -> Look | None:
    """That the request needs one, and what became of those that were asked for."""
    request, state = found.request, found.state
    if state is not RequestState.EXCEPTION_REQUIRED:
        return None
    own = [e for e in found.exceptions if e.spec.request_ref.name == request.metadata.name]
    for wanted, reason in _REASONS:
        of_state = [e for e in own if e.state_at(found.now) is wanted]
        if of_state:
            return Look(request, state, reason, max(of_state, key=lambda e: e.expires_at))
    return Look(request, state, Reason.EXCEPTION_REQUIRED)


def _active(found: Situation) -> Parts:
    name, end = found.exception.metadata.name, rfc3339(found.exception.expires_at)
    return f"{found.head} is under exception {name} until {end}.", [], ""


def _warnings(found: Situation) -> tuple[str, ...]:
    name, end = found.exception.metadata.name, rfc3339(found.exception.expires_at)
    return (f"admitted under exception {name}, which ends at {end}",)


def _beyond(found: Situation) -> Parts:
    request, exception, violated = found.request, found.exception, found.basis.violation
    if violated is None:
        raise ValueError(f"{found.tried}: keeps to every constraint")
    another = f"request another exception: {write_exception(request, exception)}"
    if (awaited := found.basis.awaited) is not None:
        another = (
            f"have {awaited.metadata.name} approved, which waits for a security reviewer, by "
            f"someone who {_others(awaited)} it: {approve_exception(awaited, request)}"
        )
    if violated.opens is not None:
        to_do = f"Roll out again then, or {another}"
    elif violated.field == WINDOWS:
        to_do = another[0].upper() + another[1:]
    else:
        to_do = f"Roll out within that, or {another}"
    return (
        f"{found.head} is under exception {exception.metadata.name}, which admits {violated.admits}"
        f" ({violated.field}).",
        [],
        to_do,
    )


def _line_of_beyond(look: Look, rollout: Rollout, now: datetime) -> str:
    if look.exception is None or look.violation is None:
        raise ValueError(f"{look.request.metadata.name}: keeps to every constraint")
    return f"under exception {look.exception.metadata.name}, which admits {look.violation.admits}"


def _pending(found: Situation) -> Parts:
    request, exception = found.request, found.exception
    counted = counted_of(exception.spec, exception.votes)
    votes = f" with approvals {counted}" if counted else ""
    return (
        f"{found.head} needs an exception ({scored(request)}), and {exception.metadata.name} waits "
        f"for a security reviewer{votes}.",
        assessment_details(request, found.machines),
        f"Someone who {_others(exception)} it approves with: "
        + approve_exception(exception, request),
    )


def _others(exception: ExceptionStanding) -> str:
    """What nobody may have done who approves it."""
    return "neither submitted nor approved" if exception.votes else "did not submit"


def _ended(found: Situation) -> Parts:
    request, exception = found.request, found.exception
    return (
        f"{found.head} needs an exception ({scored(request)}), and {exception.metadata.name} ended "
        f"at {rfc3339(exception.expires_at)}.",
        assessment_details(request, found.machines),
        "Improve the evidence, or request another exception: "
        + write_exception(request, exception),
    )


def _required(found: Situation) -> Parts:
    request = found.request
    return (
        f"{found.head} is too risky to approve ({scored(request)}).",
        assessment_details(request, found.machines),
        "Improve the evidence, or request an exception, which a security reviewer decides: "
        + write_exception(request),
    )


def _line_of_active(look: Look, rollout: Rollout, now: datetime) -> str:
    if look.exception is None:
        raise ValueError(f"{look.request.metadata.name}: under no exception")
    end = rfc3339(look.exception.expires_at)
    return f"admits the rollout under exception {look.exception.metadata.name} until {end}"


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    return f"needs an exception ({scored(look.request)})"


RECORDS = (
    Record(
        Reason.EXCEPTION_ACTIVE,
        _active,
        _line_of_active,
        _warnings,
        admits=True,
        in_force=True,
        order=1,
        health=ArgoHealth.HEALTHY,
    ),
    Record(
        Reason.CONSTRAINT_VIOLATED,
        _beyond,
        _line_of_beyond,
        order=2,
        health=ArgoHealth.PROGRESSING,
        says="your exception is limited in replicas, rings or time, and this is beyond that",
        to_do="roll out within it, or request another exception",
    ),
    Record(
        Reason.EXCEPTION_REQUIRED,
        _required,
        _line,
        health=ArgoHealth.DEGRADED,
        says="the score is too high for an approval",
        to_do="improve the evidence, or request an exception",
    ),
    Record(
        Reason.EXCEPTION_PENDING,
        _pending,
        _line,
        health=ArgoHealth.SUSPENDED,
        says="your exception waits for its approval",
        to_do="have a security reviewer, who did not submit it, run the command",
    ),
    Record(
        Reason.EXCEPTION_ENDED,
        _ended,
        _line,
        health=ArgoHealth.DEGRADED,
        says="the time of your exception is over",
        to_do="improve the evidence, or request another exception",
    ),
)
