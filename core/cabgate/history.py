# SPDX-License-Identifier: Apache-2.0
"""What was said before of the same content, or of the same images: a verdict cannot be shopped
for by another name or another package of evidence."""

from collections.abc import Iterable, Sequence

from cabgate.api.base import rfc3339
from cabgate.api.request import CABRequest, Floor, RequestState
from cabgate.api.types import Gate, Target
from cabgate.lifecycle import DECIDED_STATES, state_of, verdict_on
from cabgate.targets import Workload

EARLIER_VERDICT = "EarlierVerdict"
"""Name of the floor under requests for images that were rejected or revoked."""

REFUSED_STATES = frozenset({RequestState.REJECTED, RequestState.REVOKED})
"""States that a later request for the same images is told of."""


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
    """The floor under a request for images that were rejected or revoked before.

    Images are the same for a workload if one of the two lists holds the other: adding or leaving
    out an image does not make another rollout of what was refused. Of several verdicts the
    latest is told.
    """
    refused = [
        (verdict.at, other.metadata.name, verdict)
        for other in others
        if state_of(other) in REFUSED_STATES and _overlap(targets, other.spec.targets)
        if (verdict := verdict_on(other)) is not None
    ]
    if not refused:
        return None
    at, name, verdict = max(refused, key=lambda item: (item[0], item[1]))
    because = f": {verdict.rationale}" if verdict.rationale else ""
    return Floor(
        name=EARLIER_VERDICT,
        gate=Gate.MANUAL_REVIEW,
        explanation=(
            f"request {name} for these images was {verdict.verdict.lower()} by "
            f"{verdict.author.username} at {rfc3339(at)}{because}"
        )[:4096],
    )


def _overlap(targets: Sequence[Target], others: Sequence[Target]) -> bool:
    refused = {Workload.of(target): set(target.images) for target in others}
    return any(
        images <= refused[workload] or images >= refused[workload]
        for workload, images in ((Workload.of(t), set(t.images)) for t in targets)
        if workload in refused
    )
