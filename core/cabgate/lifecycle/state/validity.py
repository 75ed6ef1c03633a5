# SPDX-License-Identifier: Apache-2.0
"""When the approval of a request admits: within the windows of its conditions, and as long as its
terms say. Derived from the request and the time, whoever runs."""

from datetime import datetime, timedelta

from cabgate.api.stored import StoredCondition
from cabgate.lifecycle.state.quorum import needs_of
from cabgate.lifecycle.state.standing import RequestStanding


def closed_window(request: RequestStanding, now: datetime) -> StoredCondition | None:
    """A condition of a request whose window is not open at a moment, if there is one."""
    for condition in request.conditions:
        early = condition.not_before is not None and now < condition.not_before
        late = condition.not_after is not None and now >= condition.not_after
        if early or late:
            return condition
    return None


def valid_until(request: RequestStanding) -> datetime | None:
    """The moment from which the approval of a request admits no new rollout any more, by the
    shortest validity that its terms name; None if it is not approved, or is so for ever."""
    seconds = [each.valid_for_seconds for each in needs_of(request)]
    shortest = min((each for each in seconds if each is not None), default=None)
    if shortest is None or request.verdict is None or not request.is_approved:
        return None
    return request.verdict.at + timedelta(seconds=shortest)


def approval_ended(request: RequestStanding, now: datetime) -> bool:
    """Whether its approval admits no new rollout any more, by the validity that its terms name."""
    end = valid_until(request)
    return end is not None and now >= end


def closed_for_good(request: RequestStanding, now: datetime) -> bool:
    """Whether its approval has ended: by its validity, or since the window of an approval condition
    has closed."""
    ends = [condition.not_after for condition in request.conditions]
    closed = any(end is not None and now >= end for end in ends)
    return closed or approval_ended(request, now)
