# SPDX-License-Identifier: Apache-2.0
"""Why a request that was looked at admits a rollout or does not, in one line."""

from collections.abc import Iterable
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionState
from cabgate.gate.checks import RECORDS
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.exception_needs import counted_of, meets
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding, takes_exception
from cabgate.rollout.rollout import Rollout
from cabgate.text.foreign import printed


def describe(
    look: Look, rollout: Rollout, exceptions: Iterable[ExceptionStanding], now: datetime
) -> str:
    """Why a request admits a rollout, or why it does not: one line, with what became of the
    exceptions for it."""
    own = [e for e in exceptions if e.spec.request_ref.name == look.request.metadata.name]
    line = RECORDS[look.reason].line
    if line is None:
        raise ValueError(f"no request says {look.reason}")
    said = [line(look, rollout, now)]
    if look.reason is not Reason.EXCEPTION_ACTIVE:
        said += [describe_exception(exception, look.request, now) for exception in own]
    return printed("; ".join(said))


def describe_exception(
    exception: ExceptionStanding, request: RequestStanding, now: datetime
) -> str:
    """State and end of an exception, and why it does not admit the rollout of its request."""
    name, end = exception.metadata.name, rfc3339(exception.expires_at)
    state = exception.state_at(now)
    if state is ExceptionState.EXPIRED:
        return f"exception {name} ended at {end}"
    if state is ExceptionState.PENDING:
        counted = counted_of(exception.spec, exception.votes)
        votes = f" with approvals {counted}" if counted else ""
        return f"exception {name} is Pending{votes}, and would end at {end}"
    if state is ExceptionState.APPROVED and not takes_exception(request):
        return f"exception {name} is Approved, but its request takes none"
    if state is ExceptionState.APPROVED and not meets(exception.spec, request):
        return (
            f"exception {name} is Approved, but lacks what the change policy of its request asks "
            "of exceptions"
        )
    if state is ExceptionState.APPROVED:
        return (
            f"exception {name} is Approved until {end}, but not for these images: one was "
            "revoked since, or it was approved for other evidence"
        )
    return f"exception {name} is {state}"
