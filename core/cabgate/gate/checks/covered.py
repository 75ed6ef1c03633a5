# SPDX-License-Identifier: Apache-2.0
"""That a request names the workload and every image of a rollout."""

from collections.abc import Iterable
from datetime import datetime

from cabgate.api.base import trimmed
from cabgate.gate.commands import write_intent, write_intent_of_file
from cabgate.gate.composing import shortened
from cabgate.gate.phrases import declare, to_name
from cabgate.gate.record import Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.rollout.rollout import Rollout

MAX_IMAGES = 3
"""Images that a text names."""


def check(rollout: Rollout, request: RequestStanding) -> Look | None:
    """That a request which names the workload does not name every image."""
    uncovered = tuple(sorted(set(rollout.images) - rollout.images_in(request.spec.targets)))
    if not uncovered:
        return None
    return Look(request, request.state, Reason.IMAGES_NOT_COVERED, uncovered=uncovered)


def _blank(found: Situation) -> Parts | None:
    if all(map(trimmed, found.rollout.images)):
        return None
    return (
        f"{found.tried} has an image that is blank, which no intent can name.",
        [],
        "Write the image into the pod template: see its containers and image volumes.",
    )


def _no_request(found: Situation) -> Parts:
    """What is mostly missing, an intent, comes first."""
    rollout = found.rollout
    command = write_intent(rollout.namespace, to_name(rollout), rollout.images)
    of_file = write_intent_of_file(rollout.namespace)
    several, begin = f" For several workloads, {of_file} writes one.", "Begin with"
    if command == of_file:
        several, begin = "", "Begin with one for all workloads of a file"
    return _blank(found) or (
        f"{found.tried} has no CABRequest.",
        [
            f"Write an intent, complete its evidence and apply it.{several}",
            "If a DeploymentIntent names this one already, its request is being opened, or the "
            "intent's condition Ready says why not.",
        ],
        f"{begin}: {command}",
    )


def _not_covered(found: Situation) -> Parts:
    uncovered = found.basis.uncovered
    images = ", ".join(shortened(image, 160) for image in uncovered[:MAX_IMAGES])
    more = f" and {len(uncovered) - MAX_IMAGES} more" if len(uncovered) > MAX_IMAGES else ""
    return _blank(found) or (
        f"{found.head} does not name image {images}{more}.",
        [],
        "Images are compared exactly. Name them in spec.targets, with evidence for them: "
        + declare(found.request, found.rollout),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    named = rollout.images_in(look.request.spec.targets)
    return f"does not name {_listed(look.uncovered)}; it names {_listed(sorted(named))}"


def _listed(images: Iterable[str]) -> str:
    found = list(images)
    more = f" and {len(found) - MAX_IMAGES} more" if len(found) > MAX_IMAGES else ""
    return ", ".join(shortened(image, 160) for image in found[:MAX_IMAGES]) + more


RECORDS = (
    Record(
        Reason.NO_REQUEST,
        _no_request,
        says="no intent of this namespace names the workload",
        to_do="run the command it names (for several workloads the one with `-f`, once), complete "
        "the evidence, apply it",
    ),
    Record(
        Reason.IMAGES_NOT_COVERED,
        _not_covered,
        _line,
        says="a request names the workload, but not this image",
        to_do="put the image into `spec.targets`, with evidence for it",
    ),
)
