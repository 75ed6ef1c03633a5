# SPDX-License-Identifier: Apache-2.0
"""That an approval still admits new rollouts, where its terms say for how long it does."""

from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.gate.commands import edit_intent
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.validity import valid_until
from cabgate.rollout.rollout import Rollout


def check(found: Covering) -> Look | None:
    """That it does not, and that the workload never ran this as long as it did."""
    end, ran = valid_until(found.request), found.ran_since
    if end is None or found.now < end or (ran is not None and ran <= end):
        return None
    return Look(found.request, found.state, Reason.APPROVAL_ENDED)


def _end(request: RequestStanding) -> str:
    end = valid_until(request)
    if end is None:
        raise ValueError(f"{request.metadata.name}: approved for ever, or not at all")
    return rfc3339(end)


def _message(found: Situation) -> Parts:
    return (
        f"{found.head} is approved, and its change policy let that admit new rollouts until "
        f"{_end(found.request)}.",
        ["What ran here before that rolls back all the same; scaling, restarts and deletion pass."],
        "Declare it anew, with new evidence: " + edit_intent(found.request),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    return f"approved, and admitted new rollouts until {_end(look.request)}"


RECORDS = (
    Record(
        Reason.APPROVAL_ENDED,
        _message,
        _line,
        in_force=True,
        kept_back=True,
        after_waiting=True,
        health=ArgoHealth.DEGRADED,
        says="the approval is older than the change policy lets it admit new rollouts",
        to_do="declare new evidence, which opens a new request",
    ),
)
