# SPDX-License-Identifier: Apache-2.0
"""What was said before of the same content, or of the same images: a verdict cannot be shopped
for by another name or another package of evidence."""

from collections.abc import Iterable, Sequence

from cabgate.api.base import rfc3339
from cabgate.api.request import CABRequest, Floor
from cabgate.api.types import Gate, Target
from cabgate.lifecycle import DECIDED_STATES, REFUSED_STATES, state_of, verdict_on
from cabgate.revocations import approved_since, lifted, pairs_of, refused_pairs

EARLIER_VERDICT = "EarlierVerdict"
"""Name of the floor under requests for images that were rejected or revoked."""


def standing_verdict(digest: str, others: Iterable[CABRequest]) -> CABRequest | None:
    """Another request for the very same content that was rejected or revoked.

    It stands for every intent of the namespace that declares this content.
    """
    found = [r for r in _same(digest, others) if state_of(r) in REFUSED_STATES]
    return min(found, key=lambda request: request.metadata.name, default=None)


def decided_elsewhere(request: CABRequest, others: Iterable[CABRequest]) -> CABRequest | None:
    """Another request for the very same content that carries a verdict."""
    found = [
        other
        for other in _same(request.spec.evidence_digest, others)
        if other.metadata.name != request.metadata.name and state_of(other) in DECIDED_STATES
    ]
    return min(found, key=lambda other: other.metadata.name, default=None)


def _same(digest: str, others: Iterable[CABRequest]) -> list[CABRequest]:
    return [other for other in others if other.spec.evidence_digest == digest]


def earlier_verdict(targets: Sequence[Target], others: Iterable[CABRequest]) -> Floor | None:
    """The floor under a request that names an image which was rejected or revoked before, for the
    same workload, and which no person has approved since.

    Each image counts by itself: adding or leaving out another does not make another image of it.
    Of several verdicts the latest is told.
    """
    found, wanted = list(others), pairs_of(targets)
    approved = approved_since(found)
    refused = [
        (verdict.at, other.metadata.name, verdict, images)
        for other in found
        if state_of(other) in REFUSED_STATES and (verdict := verdict_on(other)) is not None
        if (
            images := sorted(
                {
                    pair[1]
                    for pair in wanted & refused_pairs(other, verdict)
                    if not lifted(pair, verdict.at, approved)
                }
            )
        )
    ]
    if not refused:
        return None
    at, name, verdict, images = max(refused, key=lambda item: (item[0], item[1]))
    because = f": {verdict.rationale}" if verdict.rationale else ""
    more = f" and {len(images) - 1} more" if len(images) > 1 else ""
    return Floor(
        name=EARLIER_VERDICT,
        gate=Gate.MANUAL_REVIEW,
        explanation=(
            f"request {name} was {verdict.verdict.lower()} by {verdict.author.username} at "
            f"{rfc3339(at)}, which is about image {images[0]}{more}{because}"
        )[:4096],
    )
