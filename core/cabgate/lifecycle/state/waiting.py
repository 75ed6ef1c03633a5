# SPDX-License-Identifier: Apache-2.0
"""Whether somebody who waits for an approval, or for a decision, goes on waiting."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import RequestState
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding, exception_admits
from cabgate.lifecycle.state.states import state_of


class Outcome(StrEnum):
    """What has become of an intent, for a pipeline that waits for its approval."""

    APPROVED = "approved"
    """Its rollout would be admitted now."""
    REFUSED = "refused"
    """Waiting does not help: rejected, revoked, too risky, nothing to score it by."""
    OPEN = "open"
    """A person, a time or the operator is waited for."""


def outcome_of(intent: DeploymentIntent) -> Outcome:
    """What its status says of the content that an intent has now; a status of an earlier content
    says nothing of this."""
    if intent.status.observed_generation != intent.metadata.generation:
        return Outcome.OPEN
    holding = {each.type for each in intent.status.conditions if each.status == "True"}
    if "Ready" in holding:
        return Outcome.APPROVED
    return Outcome.REFUSED if "Stalled" in holding else Outcome.OPEN


def why(intent: DeploymentIntent) -> str:
    """What its condition Ready says, if it is of the content that it has now."""
    if intent.status.observed_generation != intent.metadata.generation:
        return "the operator has not looked at its present content yet"
    found = (each.message for each in intent.status.conditions if each.type == "Ready")
    return next(found, "it has no condition Ready")


def outcome_of_request(
    request: RequestStanding, exceptions: Iterable[ExceptionStanding], now: datetime
) -> Outcome:
    """How a request was decided, for a pipeline that waits for it. What was superseded nobody
    decides any more; what takes an exception is decided by one that is active."""
    if request.is_approved or any(exception_admits(each, request, now) for each in exceptions):
        return Outcome.APPROVED
    if request.is_refused or request.state is RequestState.SUPERSEDED:
        return Outcome.REFUSED
    return Outcome.OPEN


def outcome_of_exception(exception: CABException, now: datetime) -> Outcome:
    """How an exception was decided. Nobody decides one that has ended."""
    state = state_of(exception, now)
    if state is ExceptionState.PENDING:
        return Outcome.OPEN
    return Outcome.APPROVED if state is ExceptionState.APPROVED else Outcome.REFUSED
