# SPDX-License-Identifier: Apache-2.0
"""Why a verdict is not legal where a request or an exception stands, and what to do instead."""

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision, RequestVerdict
from cabgate.lifecycle.state.states import WAITING_STATES, expires_at, state_of


def request_advice(request: CABRequest, entry: RequestDecision | ExceptionDecision) -> str:
    """What stands behind a verdict on a request that is refused."""
    if entry.verdict is RequestVerdict.REVOKED and state_of(request) in WAITING_STATES:
        # Or it could be revoked.
        return 'nothing was ever approved by it: reject it, with "verdict":"Rejected"'
    last = request.status.decisions[-1] if request.status.decisions else None
    decided = f"last decision: {_said(last)}; " if last else ""
    return f"{decided}its score asks for {request.spec.assessment.gate}"


def exception_advice(exception: CABException) -> str:
    """The same of an exception."""
    last = exception.status.decisions[-1] if exception.status.decisions else None
    decided = f"last decision: {_said(last)}; " if last else ""
    return f"{decided}it ends at {rfc3339(expires_at(exception))}"


def _said(entry: RequestDecision | ExceptionDecision) -> str:
    return f"{entry.verdict} by {entry.author.username} at {rfc3339(entry.at)}"
