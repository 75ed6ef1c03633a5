# SPDX-License-Identifier: Apache-2.0
"""Whether an approval counts by the terms of its request, of an exception too."""

from cabgate.api.exception import CABException, ExceptionDecision, ExceptionState, ExceptionVerdict
from cabgate.api.request import CABRequest, RequestDecision
from cabgate.lifecycle.state.exception_needs import has_voted, votes_in
from cabgate.lifecycle.state.quorum import counted, still_needed, why_not_counted
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import exception_history, next_request_state, state_of
from cabgate.text.refusal import Refusal, RefusalReason


def check_counted(request: CABRequest, entry: RequestDecision) -> None:
    """Raise `Refusal` if an entry would be legal, and counts for nothing by the request's terms."""
    verdict, author = entry.verdict, entry.author.type
    if next_request_state(request, state_of(request), verdict, author) is None:
        return
    standing = standing_of(request)
    votes = standing.votes, standing.opened_at
    found = why_not_counted(request, *votes, entry)
    if found is not None:
        lacking = still_needed(request, *votes, entry.at)
        rest = f"; approvals {counted(request, *votes)}, lacking {lacking}" if lacking else ""
        raise Refusal(found.reason, found.message + rest, "status.review.verdict")


def check_new_voter(exception: CABException, entry: ExceptionDecision) -> None:
    """Raise `Refusal` if somebody approves an exception again that needs different people."""
    votes = votes_in(exception_history(exception))
    pending = entry.verdict is ExceptionVerdict.APPROVED and (
        state_of(exception, entry.at) is ExceptionState.PENDING
    )
    if pending and has_voted(votes, entry):
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            f"{entry.author.username} has approved {exception.metadata.name} already, and its "
            f"{exception.spec.approvals_needed} approvals are of different people",
            "status.review.verdict",
        )
