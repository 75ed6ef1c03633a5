# SPDX-License-Identifier: Apache-2.0
"""That an approval's window is open."""

from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.gate.commands import edit_intent, show_request
from cabgate.gate.composing import shortened
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.lifecycle.state.validity import closed_window
from cabgate.rollout.rollout import Rollout


def check(found: Covering) -> Look | None:
    """That a window of an approval is not open now."""
    if found.state not in APPROVED_STATES or closed_window(found.request, found.now) is None:
        return None
    return Look(found.request, found.state, Reason.OUTSIDE_WINDOW)


def _message(found: Situation) -> Parts:
    request, now = found.request, found.now
    window = closed_window(request, now)
    if window is None:
        raise ValueError(f"{found.tried}: every window is open")
    early = window.not_before is not None and now < window.not_before
    moment = window.not_before if early else window.not_after
    opens = "admits from" if early else "admitted until"
    return (
        f"{found.head} is approved with approval condition {window.name}, which {opens} "
        f"{rfc3339(moment) if moment else ''}.",
        [f"{shortened(window.description, 200)}."],
        "Roll out again then; see " + show_request(request)
        if early
        else "Declare it anew, with new evidence: " + edit_intent(request),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    window = closed_window(look.request, now)
    if window is None:
        raise ValueError(f"{look.request.metadata.name}: every window is open")
    if window.not_before is not None and now < window.not_before:
        return (
            f"approved with approval condition {window.name}, which admits from "
            f"{rfc3339(window.not_before)}"
        )
    moment = window.not_after
    return (
        f"approved with approval condition {window.name}, which admitted until "
        f"{rfc3339(moment) if moment else ''}"
    )


RECORDS = (
    Record(
        Reason.OUTSIDE_WINDOW,
        _message,
        _line,
        in_force=True,
        order=2,
        health=ArgoHealth.SUSPENDED,
        says="the approval has a condition that is not open yet, or has closed",
        to_do="roll out in its time, or declare new evidence",
    ),
)
