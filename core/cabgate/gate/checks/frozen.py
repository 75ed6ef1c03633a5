# SPDX-License-Identifier: Apache-2.0
"""That nothing is frozen, of what is approved otherwise."""

from dataclasses import replace
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.changefreeze import OVERRIDE, PLURAL
from cabgate.gate.commands import override
from cabgate.gate.composing import shortened
from cabgate.gate.record import (
    PASSES_ALL_THE_SAME,
    ArgoHealth,
    Covering,
    Parts,
    Record,
    Situation,
)
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.limits.freezes import FreezeInForce, not_overridden
from cabgate.rollout.rollout import Rollout


def keeps_back(found: Covering, look: Look) -> Look | None:
    """That a freeze holds which no approval of the request overrides, where all else that looked at
    the request admits the rollout, with `look`."""
    # No exception overrides one: it was given by another reviewer, for another reason.
    overrides = found.request.overrides if look.exception is None else {}
    standing = not_overridden(found.freezes, overrides)
    if not standing:
        return None
    return replace(look, reason=Reason.FROZEN, freeze=standing[0])


def _message(found: Situation) -> Parts:
    freeze = found.basis.freeze
    if freeze is None:
        raise ValueError(f"{found.tried}: nothing is frozen")
    return (
        f"{found.approved}, but ChangeFreeze {freeze.name}, "
        f'"{shortened(freeze.title, 200)}", holds{_until(freeze)}.',
        [PASSES_ALL_THE_SAME],
        _to_do(found, freeze),
    )


def _to_do(found: Situation, freeze: FreezeInForce) -> str:
    after = "" if freeze.until is None else "Roll out again then, or have "
    who = (
        f"somebody who holds the verb {OVERRIDE} on {PLURAL}.cabgate.dev here, and submitted none "
        "of it, override it"
    )
    if found.basis.exception is not None:
        again = "" if freeze.until is None else "Roll out again then. "
        return (
            f"{again}No approval overrides it for an exception; whoever declared it says more: "
            f"kubectl get changefreeze {freeze.name} -o yaml"
        )
    return f"{after or 'Have '}{who}: {override(found.request, freeze.name)}"


def _until(freeze: FreezeInForce) -> str:
    return "" if freeze.until is None else f" until {rfc3339(freeze.until)}"


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    if look.freeze is None:
        raise ValueError(f"{look.request.metadata.name}: nothing is frozen")
    return f"approved, but ChangeFreeze {look.freeze.name} holds{_until(look.freeze)}"


RECORDS = (
    Record(
        Reason.FROZEN,
        _message,
        _line,
        in_force=True,
        kept_back=True,
        order=2,
        health=ArgoHealth.SUSPENDED,
        says="a freeze holds, or no window is open",
        to_do="roll out after its end, or have it overridden",
    ),
)
