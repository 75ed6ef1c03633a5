# SPDX-License-Identifier: Apache-2.0
"""That somebody attested every condition of an approval that wants it."""

from datetime import datetime

from cabgate.gate.commands import attest
from cabgate.gate.composing import shortened
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.quorum import needs_of
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.rollout.rollout import Rollout


def check(found: Covering) -> Look | None:
    """That an approval condition was not attested."""
    if found.state not in APPROVED_STATES or not found.request.unattested:
        return None
    return Look(found.request, found.state, Reason.ATTESTATION_MISSING)


def _message(found: Situation) -> Parts:
    waiting = found.request.unattested[0]
    others = " and gave none of its approvals" if needs_of(found.request) else ""
    return (
        f"{found.head} is approved with approval condition {waiting.name}, which nobody has "
        "attested.",
        [f"{shortened(waiting.description, 200)}."],
        f"A CAB member who did not submit it{others} attests with: "
        + attest(found.request, waiting.name),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    waiting = ", ".join(condition.name for condition in look.request.unattested)
    return f"approved with approval conditions that nobody has attested: {waiting}"


RECORDS = (
    Record(
        Reason.ATTESTATION_MISSING,
        _message,
        _line,
        in_force=True,
        order=2,
        health=ArgoHealth.SUSPENDED,
        says="the approval waits for somebody to attest a condition",
        to_do="have a CAB member, who did not submit it, run the command",
    ),
)
