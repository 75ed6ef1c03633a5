# SPDX-License-Identifier: Apache-2.0
"""What a revocation is about to deny: whether its reviewer has to say which images it means, and
what they are told before it counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from cabgate.api.exception import CABException
from cabgate.api.request import RequestState
from cabgate.api.stored import Declared, StoredEntry
from cabgate.api.types import ALL_IMAGES
from cabgate.gate.checks import IN_FORCE
from cabgate.gate.commands import IMAGES, can_be_revoked, revoke_request, show_request
from cabgate.gate.composing import MAX_BYTES, WARNING_WIDTH, compose, shortened
from cabgate.gate.decide import candidates
from cabgate.gate.verdict import Look
from cabgate.lifecycle.history.revocations import (
    Pair,
    Revocation,
    against,
    images_of,
    pairs_of,
    revoked_pairs,
    standing_revocations,
)
from cabgate.lifecycle.state.standing import (
    RequestStanding,
    standings_of_exceptions,
)
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.lifecycle.state.validity import closed_for_good
from cabgate.risk.image_evidence import images_by_workload
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.text.refusal import Refusal, RefusalReason

MAX_LINES = 10
"""Images that a warning lists, one a line: of more, the API server would cut each short."""

MAX_TOLD = 3
"""Images that a refusal lists."""

FIELD = "status.review.images"


@dataclass(frozen=True)
class Surroundings:
    """What else is in force beside the request that is to be revoked."""

    requests: Sequence[RequestStanding]
    """The requests of the namespace that name one of its workloads."""
    exceptions: Sequence[CABException]
    """The exceptions for these."""
    now: datetime

    def others(self, request: Declared, workload: Workload) -> "Others":
        """What the other requests say of a workload of a request."""
        others = [r for r in self.requests if r.metadata.name != request.metadata.name]
        images = tuple(images_by_workload(request.spec.targets).get(workload, ()))
        rollout = Rollout(request.metadata.namespace, workload, images)
        revoked: dict[str, list[Revocation]] = {}
        for each in standing_revocations(rollout, others):
            revoked.setdefault(each.image, []).append(each)
        in_force = [
            InForce(each, rollout.images_in(each.spec.targets), each.state, each.person_approval)
            for each in self.admitting(replace(rollout, images=()), others)
        ]
        return Others(self, rollout, others, in_force, revoked)

    def admitting(
        self, rollout: Rollout, others: Sequence[RequestStanding]
    ) -> list[RequestStanding]:
        """Those of some requests that admit a rollout now, or will once their conditions are
        met."""
        exceptions = standings_of_exceptions(self.exceptions)
        found = candidates(rollout, others, exceptions, self.now)
        return [
            look.request
            for look in found
            if _in_force(look) and not closed_for_good(look.request, self.now)
        ]


def _in_force(look: Look) -> bool:
    """Whether it admits now, or will: by an exception whose window is to open, for one."""
    opens = look.violation is not None and look.violation.opens is not None
    return opens or look.reason in IN_FORCE


@dataclass(frozen=True)
class InForce:
    """A request that admits a workload, and what its approval rests on."""

    request: RequestStanding
    named: set[str]
    """The images that it names for the workload."""
    state: RequestState
    approval: StoredEntry | None
    """That of a person, if there is one."""


@dataclass(frozen=True)
class Others:
    """What other requests say of the images of one workload. Most answers come from what each of
    them names, which is looked up once: a request may name thousands of images."""

    around: Surroundings
    rollout: Rollout
    requests: Sequence[RequestStanding]
    in_force: Sequence[InForce]
    """Those that admit the workload."""
    revoked: Mapping[str, Sequence[Revocation]]
    """What denies images of the workload, by image, whoever named them."""

    def covering(self, images: Iterable[str]) -> RequestStanding | None:
        """A request by which images are admitted now, or will be once its conditions are met; None
        if there is none."""
        wanted = set(images)
        likely = [each for each in self.in_force if wanted <= each.named]
        against_it = [each for image in wanted for each in self.revoked.get(image, ())]
        if not likely or not against_it:
            return likely[0].request if likely else None
        for each in likely:
            approved = each.state in APPROVED_STATES
            if approved and against(each.request, against_it, each.approval) is None:
                return each.request
        if all(each.state in APPROVED_STATES for each in likely):
            return None
        # By an exception, of which the gate knows when it was approved.
        rollout = replace(self.rollout, images=tuple(sorted(wanted)))
        return next(iter(self.around.admitting(rollout, self.requests)), None)


def images_to_revoke(
    request: Declared, images: Sequence[str], around: Surroundings
) -> tuple[str, ...]:
    """The images that a revocation is about which names these; `*` for all of the request.

    Raises `Refusal` for an image that is not of the request, and where none is named although
    another approval in force covers one of them: somebody who revokes one image of a release may
    not know that another is still what runs.
    """
    known = images_of(request)
    if list(images) == [ALL_IMAGES]:
        return (ALL_IMAGES,)
    unknown = [image for image in images if image not in known]
    if unknown:
        raise Refusal(
            RefusalReason.INVALID,
            f"{shortened(unknown[0], 160)} is not an image of request {request.metadata.name}; "
            f"name some of {_listed(known)}, or {ALL_IMAGES!r} alone for all of them; see: "
            f"{show_request(request)} -o json",
            FIELD,
        )
    if images:
        return tuple(sorted(set(images)))
    covered = _covered(request, around)
    if covered:
        raise _which(request, covered, around)
    return (ALL_IMAGES,)


def denied_by(request: Declared, images: Sequence[str], around: Surroundings) -> list[Pair]:
    """Every workload and image that a revocation denies: those that it names, and those that were
    approved by this request and nothing else."""
    pairs = pairs_of(request.spec.targets)
    named = revoked_pairs(request, images)
    denied = set(named)
    for workload in {pair[0] for pair in pairs}:
        rest = {pair for pair in pairs - named if pair[0] == workload}
        if not rest:
            continue
        others = around.others(request, workload)
        if others.covering(image for _, image in rest) is not None:
            continue
        alone = {pair for pair in rest if others.covering([pair[1]]) is None}
        # Or each of them is covered, and by no request together.
        denied |= alone or rest
    return sorted(denied)


def warnings_of(request: Declared, images: Sequence[str], around: Surroundings) -> list[str]:
    """What a reviewer is told of a revocation, before it is stored: in a dry run too."""
    denied = denied_by(request, images, around)
    lines = [
        shortened(f"denied from then on: {workload}: {image}", WARNING_WIDTH)
        for workload, image in denied[:MAX_LINES]
    ]
    if len(denied) > MAX_LINES:
        lines.append(f"denied from then on: {len(denied) - MAX_LINES} more, {len(denied)} in all")
    return lines


def _covered(request: Declared, around: Surroundings) -> dict[Pair, RequestStanding]:
    """The images of a request that another approval in force covers, each with that one."""
    found = {}
    pairs = sorted(pairs_of(request.spec.targets))
    for workload, of_workload in groupby(pairs, key=lambda pair: pair[0]):
        others = around.others(request, workload)
        for pair in of_workload:
            other = others.covering([pair[1]])
            if other is not None:
                found[pair] = other
    return found


def _which(
    request: Declared, covered: dict[Pair, RequestStanding], around: Surroundings
) -> Refusal:
    """The refusal of a revocation that does not say which images it means."""
    own = sorted(set(images_of(request)) - {image for _, image in covered})
    (workload, image), other = next(iter(covered.items()))
    more = f" and {len(covered) - 1} more" if len(covered) > 1 else ""
    all_deny = _workloads_and_images(denied_by(request, [ALL_IMAGES], around))
    # All may be covered elsewhere: then nobody but the reviewer knows which of them is meant.
    below = (
        f"The command below denies {_workloads_and_images(denied_by(request, own, around))}."
        if can_be_revoked(own)
        else f'Put the images that you mean in place of "{IMAGES}", as they stand in spec.targets '
        "of the request; --dry-run=server says what that denies."
    )
    return Refusal(
        RefusalReason.IMAGES_NEEDED,
        compose(
            f"say which images of request {request.metadata.name} are revoked: another approval in "
            f"force covers {workload}: {shortened(image, 100)} (request "
            f"{other.metadata.name}){more}.",
            [below, f'With "images":["{ALL_IMAGES}"] it denies {all_deny}.'],
            "Revoke with: " + revoke_request(request, own),
            MAX_BYTES - len(f"{RefusalReason.IMAGES_NEEDED}: {FIELD}: "),
        ),
        FIELD,
    )


def _workloads_and_images(pairs: Sequence[Pair]) -> str:
    """Some workloads and images, in one line."""
    more = f" and {len(pairs) - MAX_TOLD} more" if len(pairs) > MAX_TOLD else ""
    shown = [f"{workload}: {shortened(image, 100)}" for workload, image in pairs[:MAX_TOLD]]
    return ", ".join(shown) + more


def _listed(images: Sequence[str]) -> str:
    more = f" and {len(images) - MAX_TOLD} more" if len(images) > MAX_TOLD else ""
    return ", ".join(shortened(image, 160) for image in images[:MAX_TOLD]) + more
