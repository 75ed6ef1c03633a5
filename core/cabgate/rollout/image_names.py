# SPDX-License-Identifier: Apache-2.0
"""Whether what an intent names as an image can be the name of one that runs.

With a blank at its end it looks like another that it is not: the intent would be Ready, and every
rollout of what was meant be denied.
"""

import re
from collections.abc import Iterator, Sequence

from cabgate.api.evidence import NO_IMAGE_CHARACTER
from cabgate.api.intent import DeploymentIntentSpec
from cabgate.text.refusal import Refusal, RefusalReason, combined

_NO_IMAGE = re.compile(NO_IMAGE_CHARACTER)

_DIGEST = re.compile(r"[^@]+@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


def digest_of(image: str) -> str | None:
    """The digest that an image is named by, beside a tag or without one; None where by none."""
    found = _DIGEST.fullmatch(image)
    return None if found is None else found[1]


def image_problem(image: str) -> str | None:
    """Why a text is the name of no image; None if it can be one."""
    found = _NO_IMAGE.search(image)
    if found is None:
        return None
    meant = image.strip()
    advice = f"; write {meant}" if meant and not _NO_IMAGE.search(meant) else ""
    return (
        f"'{image}' is the name of no image: it holds U+{ord(found[0]):04X} at character "
        f"{found.start() + 1}, and one has printed ASCII characters alone, without blanks{advice}"
    )


def image_problems(spec: DeploymentIntentSpec) -> Iterator[tuple[str, str]]:
    """The field path of each image of an intent that is the name of none, and why."""
    for index, target in enumerate(spec.targets):
        yield from _problems(f"spec.targets[{index}].images", target.images)
    for index, artifact in enumerate(spec.evidence.artifacts or ()):
        yield from _problems(f"spec.evidence.artifacts[{index}].images", artifact.images or ())


def _problems(path: str, images: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, image in enumerate(images):
        problem = image_problem(image)
        if problem is not None:
            yield f"{path}[{index}]", problem


def check_images(old: DeploymentIntentSpec | None, new: DeploymentIntentSpec) -> None:
    """Raise `Refusal` for images that are the names of none, if targets or evidence are declared
    anew; `old` is None for a new intent."""
    if old is not None and (old.targets, old.evidence) == (new.targets, new.evidence):
        return
    problems = [
        Refusal(RefusalReason.INVALID, problem, path) for path, problem in image_problems(new)
    ]
    if problems:
        raise combined(problems)
