# SPDX-License-Identifier: Apache-2.0
"""How a request or an exception was decided, for who waits for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cabgate.api.exception import CABException
from cabgate.lifecycle.state.standing import WholeRequest, standings_of_exceptions
from cabgate.lifecycle.state.states import state_of
from cabgate.lifecycle.state.waiting import Outcome, outcome_of_exception, outcome_of_request
from cabgate.text.inert import inert


@dataclass(frozen=True, slots=True)
class Decided:
    """How a request or an exception was decided, and what is to be told of it."""

    outcome: Outcome
    message: str


def request_decided(
    request: WholeRequest, exceptions: Iterable[CABException], now: datetime
) -> Decided:
    """How a request was decided; `exceptions` are the live ones for it, where it takes any."""
    standing = request.standing
    outcome = outcome_of_request(standing, standings_of_exceptions(exceptions), now)
    message = f"{standing.state}"
    if outcome is Outcome.APPROVED and not standing.is_approved:
        message += ", with an active exception"
    elif standing.verdict is not None:
        message += f" by {inert(standing.verdict.author.username)}"
        rationale = inert(standing.verdict.rationale)
        message += f": {rationale}" if rationale else ""
    return Decided(outcome, message)


def exception_decided(exception: CABException, now: datetime) -> Decided:
    """How an exception was decided."""
    state = state_of(exception, now)
    entries = [each for each in exception.status.decisions if each.verdict.value == state.value]
    message = f"{state}"
    if entries:
        message += f" by {inert(entries[-1].author.username)}: {inert(entries[-1].rationale)}"
    return Decided(outcome_of_exception(exception, now), message)
