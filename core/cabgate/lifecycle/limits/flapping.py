# SPDX-License-Identifier: Apache-2.0
"""What goes back and forth leaves no end of records, which nobody can delete.

Everything here waits with what opens the gate, never with what closes it: a request that is
superseded admits nothing while it waits to be reopened.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from cabgate.api.request import RequestState, RequestVerdict
from cabgate.lifecycle.state.standing import WholeRequest

HOUR = timedelta(hours=1)

MAX_REOPENED = 4
"""How often a superseded request is reopened within an hour."""

MAX_OPENED = 60
"""Requests that are opened for one intent within an hour."""

ABSENCE = timedelta(seconds=5)
"""How long an intent has to be gone before its requests are superseded: whoever deletes it and
creates it anew in one go changed nothing."""


def reopens_at(request: WholeRequest, now: datetime) -> datetime | None:
    """When a superseded request may be reopened; None if it may be now."""
    if request.standing.state is not RequestState.SUPERSEDED:
        return None
    decisions = request.stored.status.decisions
    return _next([e.at for e in decisions if e.verdict is RequestVerdict.REOPENED], now)


def _next(times: Iterable[datetime], now: datetime, most: int = MAX_REOPENED) -> datetime | None:
    recent = sorted(moment for moment in times if now - moment < HOUR)
    return recent[-most] + HOUR if len(recent) >= most else None


def opens_at(opened: Iterable[datetime], now: datetime) -> datetime | None:
    """When another request may be opened for an intent for which some were opened at the times
    given; None if one may be now."""
    return _next(opened, now, MAX_OPENED)
