# SPDX-License-Identifier: Apache-2.0
"""An exception of before, as whoever decides on the next one sees it."""

from dataclasses import dataclass
from datetime import datetime

from cabgate.lifecycle.state.standing import ExceptionStanding
from cabgate.text.inert import inert
from cabgate.text.moments import rfc3339


@dataclass(frozen=True, slots=True)
class RenewalView:
    """An exception of before for one of the same workloads."""

    name: str
    request: str
    state: str
    by: str
    """Who approved it."""
    at: str
    ends: str


def renewal_view(exception: ExceptionStanding, now: datetime) -> RenewalView:
    """One that somebody approved, at a moment."""
    approval = exception.approval
    return RenewalView(
        name=inert(exception.metadata.name),
        request=inert(exception.spec.request_ref.name),
        state=exception.state_at(now),
        by="" if approval is None else inert(approval.author.username),
        at="" if approval is None else rfc3339(approval.at),
        ends=rfc3339(exception.expires_at),
    )
