# SPDX-License-Identifier: Apache-2.0
"""What was refused of each image, for each workload: it counts whatever the set and the request in
which the image comes again, until a person approves that image for that workload."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cabgate.api.request import CABRequest, RequestDecision, RequestState, RequestVerdict
from cabgate.api.types import ALL_IMAGES, Target
from cabgate.decision import Revocation, Rollout
from cabgate.lifecycle import is_retrospective, person_approval_of, revocation_of
from cabgate.requirements import unknown_words
from cabgate.targets import Workload

Pair = tuple[Workload, str]
"""A workload, by group, kind and name, and one image of it."""


def pairs_of(targets: Iterable[Target]) -> set[Pair]:
    """Every image of some targets, for its workload: one that is named under two versions of its
    API has the images of both."""
    return {(Workload.of(target), image) for target in targets for image in target.images}


def images_of(request: CABRequest) -> list[str]:
    """Every image that a request names, sorted."""
    return sorted({image for target in request.spec.targets for image in target.images})


def revoked_pairs(request: CABRequest, images: Sequence[str]) -> set[Pair]:
    """What a revocation of a request denies that names these images: none named, as an earlier
    release wrote it, and `*` are all of them."""
    pairs = pairs_of(request.spec.targets)
    if not images or ALL_IMAGES in images:
        return pairs
    return {pair for pair in pairs if pair[1] in images}


def refused_pairs(request: CABRequest, refusal: RequestDecision) -> set[Pair]:
    """What the entry that rejected or revoked a request is about."""
    if refusal.verdict is RequestVerdict.REVOKED:
        return revoked_pairs(request, refusal.images)
    return pairs_of(request.spec.targets)


def approved_since(requests: Iterable[CABRequest]) -> dict[Pair, datetime]:
    """When a person last approved each image for each workload, without a condition.

    An approval on conditions says nothing of a rollout under another request, which would not have
    to meet them; nor does one that rests on rules of a newer release, nor an exception, which ends,
    nor what reviews a broken glass, which is about a rollout that was made already.
    """
    found: dict[Pair, datetime] = {}
    for request in requests:
        approval = person_approval_of(request)
        if approval is None or approval.verdict.value != RequestState.APPROVED:
            continue
        if unknown_words(request) or is_retrospective(request):
            continue
        for pair in pairs_of(request.spec.targets):
            found[pair] = max(approval.at, found.get(pair, approval.at))
    return found


def lifted(pair: Pair, refused: datetime, approved: Mapping[Pair, datetime]) -> bool:
    """Whether a person approved an image after it was refused. In the same second nobody can tell
    which came first, and a doubt is a denial."""
    moment = approved.get(pair)
    return moment is not None and moment > refused


def standing_revocations(rollout: Rollout, requests: Sequence[CABRequest]) -> list[Revocation]:
    """The revocations that deny an image of a rollout, the latest first, whichever request it
    comes under. `requests` are those that name one of its workloads."""
    revoked = [(r, entry) for r in requests if (entry := revocation_of(r)) is not None]
    if not revoked:
        return []
    wanted = {(workload, image) for workload in rollout.workloads for image in rollout.images}
    approved = approved_since(requests)
    found = [
        Revocation(request, entry.at, *pair)
        for request, entry in revoked
        for pair in sorted(wanted & revoked_pairs(request, entry.images))
        if not lifted(pair, entry.at, approved)
    ]
    return sorted(found, key=lambda each: each.at, reverse=True)


def against(
    request: CABRequest, revocations: Iterable[Revocation], approved: datetime | None
) -> Revocation | None:
    """The first of some revocations that an approval of a request does not undo, if there is one:
    a person gave it, at `approved`, after the revocation and for the same workload."""
    pairs = pairs_of(request.spec.targets)
    for each in revocations:
        after = approved is not None and approved > each.at
        if not after or (each.workload, each.image) not in pairs:
            return each
    return None
