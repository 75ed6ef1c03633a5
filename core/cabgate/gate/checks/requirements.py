# SPDX-License-Identifier: Apache-2.0
"""That a request rests on no rule that this release does not know."""

from datetime import datetime

from cabgate.gate.commands import show_request
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.requirements import advice_on, unknown_words
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.rollout.rollout import Rollout

MAX_WORDS = 5
"""Rules that a text names."""


def check(found: Covering) -> Look | None:
    """That nothing which it says admits anything here; its revocation still counts."""
    if not unknown_words(found.request):
        return None
    return Look(found.request, found.state, Reason.UNKNOWN_REQUIREMENT)


def _words(request: RequestStanding) -> str:
    return ", ".join(unknown_words(request)[:MAX_WORDS])


def _message(found: Situation) -> Parts:
    return (
        f"{found.head} rests on rules that this webhook does not know: {_words(found.request)}.",
        [],
        f"{advice_on(found.request)} See: {show_request(found.request)}",
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    return f"rests on rules that this release does not know: {_words(look.request)}"


RECORDS = (
    Record(
        Reason.UNKNOWN_REQUIREMENT,
        _message,
        _line,
        order=3,
        # Rules that nobody here knows are why, where something was approved by them; else it is
        # told, by its state, after what is nearer.
        order_in=APPROVED_STATES,
        decidable=False,
        health=ArgoHealth.DEGRADED,
        says="a newer release of cabgate opened the request, by rules that this one does not know",
        to_do="have the cluster operator upgrade the webhook; what other requests approve still "
        "rolls out",
    ),
)
