# SPDX-License-Identifier: Apache-2.0
"""Where a release stands in the rings that come before, by the function that decides."""

from dataclasses import dataclass
from datetime import datetime

from cabgate.api.request import CABRequest
from cabgate.lifecycle.limits.promotion import (
    EarlierRings,
    PriorRing,
    override_name,
    prior_ring,
)
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.text.inert import inert
from cabgate.text.moments import rfc3339

BY_IMAGES = (
    ", as far as its images say: the rollout has to do there what it does here, and what has not "
    "ended has to run there still"
)
"""What a request does not say of its containers, the gate asks of the rollout."""

NOT_KNOWN = "NotKnown"
"""Where nobody could read what became of the release."""


@dataclass(frozen=True, slots=True)
class RingView:
    """A ring that the request is to be rolled out into, and what the ring before has to say."""

    ring: int
    """Ring that is rolled out into, and each above it that no other entry is about."""
    after: int
    """Ring that comes first."""
    state: str
    """Promoted, Pending, Failed, Overridden or NotKnown."""
    says: str
    """Why; what only the rollout is asked, it says."""
    since: str
    """Since when it runs in the ring before without a break; empty where it does not."""
    until: str
    """When it will have soaked, if nothing interrupts it; empty where it has, or does not run."""


def release_of(request: CABRequest) -> str | None:
    """The release whose outcomes tell where a request stands; None where none are asked for."""
    terms = request.spec.terms
    return None if terms is None or terms.promotion is None else terms.promotion.release


def ring_views(
    request: WholeRequest, earlier: EarlierRings | None, now: datetime
) -> tuple[RingView, ...]:
    """Where the release of a request stands, a ring each, the lowest first; of several workloads
    the one that is furthest from being promoted. None is what nobody could read."""
    terms = request.stored.spec.terms
    if terms is None or terms.promotion is None:
        return ()
    found = []
    for need in sorted(terms.promotion.needs, key=lambda each: each.ring):
        if earlier is None:
            found.append(RingView(need.ring, need.from_, NOT_KNOWN, "", "", ""))
            continue
        standings = [
            prior_ring(need, terms.promotion.release, target.images, earlier, now)
            for target in request.stored.spec.targets
        ]
        found.append(_view(min(standings, key=_rank), request))
    return tuple(found)


def _rank(prior: PriorRing) -> tuple[bool, bool]:
    return prior.met, not prior.failed


def _view(prior: PriorRing, request: WholeRequest) -> RingView:
    ring = prior.need.ring
    state = "Promoted" if prior.met else "Failed" if prior.failed else "Pending"
    if not prior.met and override_name(ring) in request.standing.overrides:
        state = "Overridden"
    subject = "its intent" if prior.undeclared else f"release {prior.release}"
    # Where nothing ran with these images, nothing ran with these containers.
    known = prior.met or prior.failed
    return RingView(
        ring=ring,
        after=prior.need.from_,
        state=state,
        says=inert(f"{subject} {prior.says}{BY_IMAGES if known else ''}"),
        since="" if prior.since is None else rfc3339(prior.since),
        until="" if prior.until is None else rfc3339(prior.until),
    )
