# SPDX-License-Identifier: Apache-2.0
"""What was said before of the same content, or of the same images: a verdict cannot be shopped
for by another name or another package of evidence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cabgate.api.base import rfc3339
from cabgate.api.request import Floor
from cabgate.api.stored import Declared, StoredEntry, StoredTarget
from cabgate.api.types import Tier
from cabgate.lifecycle.history.revocations import (
    Pair,
    approvals_of,
    lifting,
    pairs_of,
    refused_pairs,
)
from cabgate.lifecycle.history.same_content import of_content
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import DECIDED_STATES

EARLIER_VERDICT = "EarlierVerdict"
"""Name of the floor under requests for images that were rejected or revoked."""


def standing_verdict(digest: str, others: Iterable[RequestStanding]) -> RequestStanding | None:
    """Another request for the very same content that was rejected or revoked.

    It stands for every intent of the namespace that declares this content.
    """
    found = [r for r in of_content(digest, others) if r.is_refused]
    return min(found, key=lambda request: request.metadata.name, default=None)


def decided_elsewhere(
    request: Declared, others: Iterable[RequestStanding]
) -> RequestStanding | None:
    """Another request for the very same content that carries a verdict."""
    found = [
        other
        for other in of_content(request.spec.evidence_digest, others)
        if other.metadata.name != request.metadata.name and other.state in DECIDED_STATES
    ]
    return min(found, key=lambda other: other.metadata.name, default=None)


@dataclass(frozen=True)
class StandingRefusal:
    """That images of some targets were rejected or revoked, and no person lifted that since."""

    request: RequestStanding
    entry: StoredEntry
    pairs: tuple[Pair, ...]
    """The workloads and images that are meant, sorted."""

    @property
    def images(self) -> list[str]:
        """The images that are meant, sorted."""
        return sorted({image for _, image in self.pairs})


def standing_refusals(
    targets: Sequence[StoredTarget], others: Iterable[RequestStanding]
) -> list[StandingRefusal]:
    """What was refused of the images of some targets, for the same workload, and which no person
    has approved since, in knowledge of that; the latest last.

    Each image counts by itself: adding or leaving out another does not make another image of it.
    """
    requests, wanted = list(others), pairs_of(targets)
    approvals = approvals_of(requests, wanted)
    found = []
    for other in requests:
        entry = other.verdict if other.is_refused else None
        if entry is None:
            continue
        refused = refused_pairs(other, entry, wanted)
        pairs = sorted(p for p in refused if not lifting(p, other, entry.at, approvals))
        if pairs:
            found.append(StandingRefusal(other, entry, tuple(pairs)))
    return sorted(found, key=lambda each: (each.entry.at, each.request.metadata.name))


def earlier_verdict(
    targets: Sequence[StoredTarget], others: Iterable[RequestStanding]
) -> Floor | None:
    """The floor under a request that names an image which was rejected or revoked before, for the
    same workload, and which no person has approved since. Of several verdicts the latest is told.
    """
    refusals = standing_refusals(targets, others)
    if not refusals:
        return None
    last = refusals[-1]
    verdict, images = last.entry, last.images
    because = f": {verdict.rationale}" if verdict.rationale else ""
    more = f" and {len(images) - 1} more" if len(images) > 1 else ""
    return Floor(
        name=EARLIER_VERDICT,
        gate=Tier.MANUAL_REVIEW,
        explanation=(
            f"request {last.request.metadata.name} was {verdict.verdict.lower()} by "
            f"{verdict.author.username} at {rfc3339(verdict.at)}, which is about image "
            f"{images[0]}{more}{because}"
        )[:4096],
    )
