# SPDX-License-Identifier: Apache-2.0
"""What was refused of each image, for each workload: it counts whatever the set and the request in
which the image comes again, until a person approves that image for that workload."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cabgate.api.request import RequestState, RequestVerdict
from cabgate.api.stored import Declared, StoredApproval, StoredEntry, StoredTarget
from cabgate.api.types import ALL_IMAGES
from cabgate.lifecycle.history.same_content import by_content, overruled_by
from cabgate.lifecycle.state.requirements import unknown_words
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload

Pair = tuple[Workload, str]
"""A workload, by group, kind and name, and one image of it."""

Approval = tuple[RequestStanding, StoredEntry]
"""A request, and the entry by which a person approved it."""


@dataclass(frozen=True)
class Revocation:
    """That somebody revoked an image of a workload, and nobody has approved it since."""

    request: RequestStanding
    """The request that was revoked."""
    at: datetime
    workload: Workload
    image: str


def pairs_of(targets: Iterable[StoredTarget]) -> set[Pair]:
    """Every image of some targets, for its workload: one that is named under two versions of its
    API has the images of both."""
    return {(Workload.of(target), image) for target in targets for image in target.images}


def images_of(request: Declared) -> list[str]:
    """Every image that a request names, sorted."""
    return sorted({image for target in request.spec.targets for image in target.images})


def pairs_among(targets: Iterable[StoredTarget], wanted: Collection[Pair]) -> set[Pair]:
    """Those of some workloads and images that targets name. Of targets of thousands of images only
    those of these workloads are looked at."""
    workloads = {workload for workload, _ in wanted}
    return {
        pair
        for target in targets
        if (workload := Workload.of(target)) in workloads
        for image in target.images
        if (pair := (workload, image)) in wanted
    }


def revoked_pairs(
    request: Declared, images: Sequence[str], wanted: Collection[Pair] | None = None
) -> set[Pair]:
    """What a revocation of a request denies that names these images: none named, as an earlier
    release wrote it, and `*` are all of them. Of `wanted` alone, if that is given."""
    targets = request.spec.targets
    pairs = pairs_of(targets) if wanted is None else pairs_among(targets, wanted)
    if not images or ALL_IMAGES in images:
        return pairs
    return {pair for pair in pairs if pair[1] in images}


def refused_pairs(request: Declared, refusal: StoredEntry, wanted: Collection[Pair]) -> set[Pair]:
    """What of some workloads and images the entry that rejected or revoked a request is about."""
    if refusal.verdict is RequestVerdict.REVOKED:
        return revoked_pairs(request, refusal.images, wanted)
    return pairs_among(request.spec.targets, wanted)


def approvals_of(
    requests: Iterable[RequestStanding], wanted: Collection[Pair]
) -> dict[Pair, list[Approval]]:
    """What people approved of some images for their workloads, without a condition, each with its
    request.

    An approval on conditions says nothing of a rollout under another request, which would not have
    to meet them; nor does one that rests on rules of a newer release, nor an exception, which ends,
    nor what reviews a broken glass, which is about a rollout that was made already, nor one that
    counts for nothing since somebody refused the very same content, nor one that the operator has
    not noticed yet: it may be of who submits by now (`cabgate.review.races`), and is taken back
    then.
    """
    found: dict[Pair, list[Approval]] = {}
    requests = list(requests)
    same = by_content(requests)
    for request in requests:
        approval = request.person_approval
        if approval is None or approval.verdict.value != RequestState.APPROVED or request.bound:
            continue
        if unknown_words(request) or is_retrospective(request) or not request.noticed:
            continue
        if overruled_by(request, same[request.spec.evidence_digest]) is not None:
            continue
        for pair in pairs_among(request.spec.targets, wanted):
            found.setdefault(pair, []).append((request, approval))
    return found


def lifts(approval: StoredApproval, refused: str, at: datetime) -> bool:
    """Whether an approval lifts what was refused under the request of a name, at a time.

    It came later: in the same second nobody can tell which came first, and a doubt is a denial.
    And it was given in knowledge of that: it names the request. One that was under way when
    something was refused knows nothing of it. Those of older releases name none, and lift what
    was refused before them.
    """
    if approval.at <= at:
        return False
    checked = approval.checked
    return checked is None or checked.refusals is None or refused in checked.lifts


def lifting(
    pair: Pair, refused: Declared, at: datetime, approvals: Mapping[Pair, Sequence[Approval]]
) -> list[Approval]:
    """The approvals by which people lifted what was refused of an image under a request."""
    name = refused.metadata.name
    return [each for each in approvals.get(pair, ()) if lifts(each[1], name, at)]


def standing_revocations(rollout: Rollout, requests: Sequence[RequestStanding]) -> list[Revocation]:
    """The revocations that deny an image of a rollout, the latest first, whichever request it
    comes under. `requests` are those that name one of its workloads."""
    revoked = [(r, entry) for r in requests if (entry := r.revocation) is not None]
    if not revoked:
        return []
    wanted = {(workload, image) for workload in rollout.workloads for image in rollout.images}
    approvals = approvals_of(requests, wanted)
    found = [
        Revocation(request, entry.at, *pair)
        for request, entry in revoked
        for pair in sorted(revoked_pairs(request, entry.images, wanted))
        if not lifting(pair, request, entry.at, approvals)
    ]
    return sorted(found, key=lambda each: each.at, reverse=True)


def against(
    request: Declared, revocations: Iterable[Revocation], approval: StoredApproval | None
) -> Revocation | None:
    """The first of some revocations that an approval of a request does not undo, if there is one:
    a person gave it, after the revocation, in knowledge of it and for the same workload."""
    for each in revocations:
        pair = (each.workload, each.image)
        name = each.request.metadata.name
        lifted = approval is not None and lifts(approval, name, each.at)
        if not lifted or not pairs_among(request.spec.targets, {pair}):
            return each
    return None
