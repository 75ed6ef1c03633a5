# SPDX-License-Identifier: Apache-2.0
"""Where intents must name their images by digest, since a tag can be moved after the approval."""

import shlex

from cabgate.api.intent import DeploymentIntent
from cabgate.gate.commands import MAX_IMAGES_LENGTH, can_be_pasted
from cabgate.rollout.image_names import digest_of
from cabgate.text.refusal import Refusal, RefusalReason


def changes_targets(old: DeploymentIntent | None, new: DeploymentIntent) -> bool:
    """Whether a write of an intent says anew what is to run; `old` is None for a creation."""
    return old is None or old.spec.targets != new.spec.targets


def check_digests(intent: DeploymentIntent, ring: int, required_from: int) -> None:
    """Refuse an intent that names an image without a digest where its ring asks for one.

    `ring` is that of its namespace, `required_from` the lowest that asks. Raises `Refusal` for the
    first such image.
    """
    if ring < required_from:
        return
    for index, target in enumerate(intent.spec.targets):
        for position, image in enumerate(target.images):
            if digest_of(image) is None:
                raise Refusal(
                    RefusalReason.DIGEST_REQUIRED,
                    f"names an image without a digest, and namespace {intent.metadata.namespace} "
                    f"is of ring {ring}: from ring {required_from} on, images are named as "
                    "NAME:TAG@sha256:DIGEST or NAME@sha256:DIGEST, there and in the workload. Its "
                    f"registry tells the digest: {_inspect(image)}",
                    f"spec.targets[{index}].images[{position}]",
                )


def _inspect(image: str) -> str:
    """The command that shows the digest of an image."""
    quoted = shlex.quote(image)
    named = quoted if can_be_pasted(image) and len(quoted) <= MAX_IMAGES_LENGTH else "IMAGE"
    return f"docker buildx imagetools inspect {named}"
