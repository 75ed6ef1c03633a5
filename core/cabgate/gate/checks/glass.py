# SPDX-License-Identifier: Apache-2.0
"""A request that was opened for a broken glass: it reviews what went past the gate."""

from datetime import datetime

from cabgate.gate.phrases import declare
from cabgate.gate.record import Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.states import REFUSED_STATES, is_retrospective
from cabgate.rollout.rollout import Rollout


def check(found: Covering) -> Look | None:
    """That it admits no later rollout; that it was refused counts as ever."""
    if not is_retrospective(found.request) or found.state in REFUSED_STATES:
        return None
    return Look(found.request, found.state, Reason.GLASS_BROKEN)


def _message(found: Situation) -> Parts:
    return (
        f"{found.head} ({found.request.state}) reviews a broken glass: what went past the gate "
        "then, and no later rollout.",
        ["Or break the glass again, with other words: the same words twice break nothing."],
        "Declare in an intent what runs, with evidence for it: "
        + declare(found.request, found.rollout),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    return f"{look.state}: reviews a broken glass, and admits no later rollout"


RECORDS = (
    Record(
        Reason.GLASS_BROKEN,
        _message,
        _line,
        says="somebody broke the glass for what runs; the review of that approves no later rollout",
        to_do="declare what runs in an intent, with evidence for it; or "
        "[break the glass](break-glass.md) again, with other words",
    ),
)
