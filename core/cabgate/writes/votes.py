# SPDX-License-Identifier: Apache-2.0
"""What whoever approves is told of the approvals that a request needs."""

from cabgate.api.exception import CABException, ExceptionDecision, ExceptionVerdict
from cabgate.api.request import CABRequest, RequestDecision
from cabgate.lifecycle.state.exception_needs import counted_of, needed_of
from cabgate.lifecycle.state.quorum import VOTES, counted, still_needed
from cabgate.lifecycle.state.standing import ExceptionStanding, standing_of
from cabgate.lifecycle.state.states import with_entry
from cabgate.review.review import Entry


def warnings_of_votes(request: CABRequest, entry: Entry) -> list[str]:
    """How many votes are in with one more, and what is lacking; nothing where one is enough."""
    if not isinstance(entry, RequestDecision) or entry.verdict not in VOTES:
        return []
    after = standing_of(with_entry(request, entry))
    if not after.votes:
        return []
    votes = after.votes, after.opened_at
    lacking = still_needed(request, *votes, entry.at)
    rest = f"it is not approved before {lacking}" if lacking else "it is approved"
    return [f"approvals of {request.metadata.name}: {counted(request, *votes)}; {rest}"]


def warnings_of_exception_votes(exception: CABException, entry: Entry) -> list[str]:
    """The same of an exception."""
    if not isinstance(entry, ExceptionDecision) or entry.verdict is not ExceptionVerdict.APPROVED:
        return []
    standing = ExceptionStanding.of(with_entry(exception, entry))
    counted_votes = counted_of(standing.spec, standing.votes)
    if not counted_votes:
        return []
    lacking = needed_of(standing.spec) - len(standing.votes)
    people = "1 more person approves" if lacking == 1 else f"{lacking} more people approve"
    rest = f"it is not approved before {people} it" if lacking else "it is approved"
    return [f"approvals of {exception.metadata.name}: {counted_votes}; {rest}"]
