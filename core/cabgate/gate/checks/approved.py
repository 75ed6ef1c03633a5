# SPDX-License-Identifier: Apache-2.0
"""What an approval admits; what it is given under is checked before."""

from datetime import datetime

from cabgate.gate.composing import shortened
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.rollout.rollout import Rollout
from cabgate.text.foreign import printed


def check(found: Covering) -> Look | None:
    """That the request is approved."""
    if found.state not in APPROVED_STATES:
        return None
    return Look(found.request, found.state, Reason.REQUEST_APPROVED)


def _message(found: Situation) -> Parts:
    return f"{found.head} is {found.request.state}.", [], ""


def _warnings(found: Situation) -> tuple[str, ...]:
    return tuple(
        printed(
            f"request {found.request.metadata.name} is approved with approval condition "
            f"{condition.name}: {shortened(condition.description, 200)}"
        )
        for condition in found.request.conditions
        if condition.is_obligation
    )


def _line(_: Look, rollout: Rollout, now: datetime) -> str:
    return "admits the rollout"


RECORDS = (
    Record(
        Reason.REQUEST_APPROVED,
        _message,
        _line,
        _warnings,
        admits=True,
        in_force=True,
        order=0,
        health=ArgoHealth.HEALTHY,
    ),
)
