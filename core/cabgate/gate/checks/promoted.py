# SPDX-License-Identifier: Apache-2.0
"""That a release has soaked in the ring before, of what is approved otherwise."""

from dataclasses import replace
from datetime import datetime

from cabgate.api.changepolicy import OVERRIDE, PLURAL
from cabgate.gate.commands import edit_intent, override
from cabgate.gate.record import (
    PASSES_ALL_THE_SAME,
    ArgoHealth,
    Covering,
    Parts,
    Record,
    Situation,
)
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.limits.promotion import PriorRing, need_for, override_name, prior_ring
from cabgate.rollout.rollout import Rollout


def keeps_back(found: Covering, look: Look) -> Look | None:
    """That the ring before has not shown what the terms of the request ask for, and that no
    approval of it overrides that, where all else that looked at the request admits the rollout,
    with `look`."""
    terms, earlier = found.request.spec.terms, found.earlier_rings
    need = None if found.ring is None or earlier.waived else need_for(terms, found.ring)
    if terms is None or terms.promotion is None or need is None:
        return None
    # No exception overrides one: it was given by another reviewer, for another reason.
    overrides = found.request.overrides if look.exception is None else {}
    if override_name(need.ring) in overrides and not earlier.any_ring:
        return None
    release, images = terms.promotion.release, found.rollout.images
    prior = prior_ring(need, release, images, earlier, found.now)
    if prior.met:
        return None
    reason = Reason.PREVIOUS_RING_FAILED if prior.failed else Reason.PREVIOUS_RING_PENDING
    return replace(look, reason=reason, prior=prior)


def _message(found: Situation) -> Parts:
    prior = found.prior
    return (
        f"{found.approved}, but ring {prior.need.from_} comes first: {_subject(prior)} "
        f"{prior.says}.",
        [PASSES_ALL_THE_SAME],
        _to_do(found, prior),
    )


def _subject(prior: PriorRing) -> str:
    return "its intent" if prior.undeclared else f"release {prior.release}"


def _to_do(found: Situation, prior: PriorRing) -> str:
    if prior.undeclared:
        return f"Name it, with new evidence: {edit_intent(found.request)}"
    again = _again(prior)
    if found.basis.exception is not None:
        return (
            f"{again}. No approval overrides it for an exception; what is asked for: "
            f"kubectl get cabrequest {found.request.metadata.name} "
            f"-n {found.request.metadata.namespace} -o yaml"
        )
    command = override(found.request, override_name(prior.need.ring))
    return (
        f"{again}, or have somebody who holds the verb {OVERRIDE} on {PLURAL}.cabgate.dev here, "
        f"and submitted none of it, override it: {command}"
    )


def _again(prior: PriorRing) -> str:
    if prior.failed:
        return "Release what mends it"
    if prior.since is None:
        return f"Roll it out in ring {prior.need.from_} first"
    return "Roll out again then" if prior.until else "Roll out again once they have"


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    if look.prior is None:
        raise ValueError(f"{look.request.metadata.name}: no ring comes first")
    prior = look.prior
    return f"approved, but ring {prior.need.from_} comes first: {_subject(prior)} {prior.says}"


RECORDS = (
    Record(
        Reason.PREVIOUS_RING_PENDING,
        _message,
        _line,
        in_force=True,
        kept_back=True,
        order=2,
        health=ArgoHealth.SUSPENDED,
        says="the release has not run in the ring before for as long, or in as many Pods, as the "
        "change policy asks for",
        to_do="roll out once it has, or have that overridden: [promotion](promotion.md)",
    ),
    Record(
        Reason.PREVIOUS_RING_FAILED,
        _message,
        _line,
        in_force=True,
        kept_back=True,
        order=2,
        health=ArgoHealth.DEGRADED,
        says="the release failed in the ring before, was rolled back there, or had incidents",
        to_do="release what mends it, or have that overridden: [promotion](promotion.md)",
    ),
)
