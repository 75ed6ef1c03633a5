# SPDX-License-Identifier: Apache-2.0
"""Whether an approval counts by the terms of its request."""

from cabgate.api.request import CABRequest, RequestDecision
from cabgate.lifecycle.state.quorum import counted, still_needed, why_not_counted
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import next_request_state, state_of
from cabgate.text.refusal import Refusal


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
