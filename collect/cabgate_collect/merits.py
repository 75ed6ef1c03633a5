# SPDX-License-Identifier: Apache-2.0
"""Whether a report counts: it has to be of the image, of the commit and recent enough, as far as
that is asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cabgate_collect.facts import DIGEST, Facts

_AHEAD = timedelta(minutes=5)
"""How much the clock of what made a report may be ahead of ours."""

_LEAST_OF_COMMIT = 7
"""Fewest digits of a commit that a report may give."""


@dataclass(frozen=True)
class Wanted:
    """What reports have to be of."""

    now: datetime
    images: tuple[str, ...] = ()
    """The images, as the targets name them."""
    commit: str | None = None
    """The commit, in full; None if any will do."""
    max_age: timedelta | None = None
    """How old a report may be; None if it does not matter."""


def images_of(facts: Facts, wanted: Wanted) -> tuple[str, ...]:
    """Those of the images that a report is about; all of them where it is about none alone."""
    if facts.images is None:
        return wanted.images
    return tuple(image for image in wanted.images if _is_named(image, facts.images))


def _is_named(image: str, stated: Iterable[str]) -> bool:
    """Whether a report names an image: by its digest where it has one, else as it is written."""
    digest = DIGEST.search(image)
    if digest is None:
        return image in stated
    return any(DIGEST.findall(each)[-1:] == [digest[0]] for each in stated)


def why_not(facts: Facts, wanted: Wanted) -> str | None:
    """Why a report does not count; None if it does."""
    return facts.nothing or _other_image(facts, wanted) or _other_commit(facts, wanted) or _too_old(
        facts, wanted
    )  # fmt: skip


def _other_image(facts: Facts, wanted: Wanted) -> str | None:
    if images_of(facts, wanted) or (facts.images is None and not wanted.images):
        return None
    digests = [each for each in facts.images or () if DIGEST.search(each)]
    named = ", ".join((digests or list(facts.images or ()))[:3])
    asked = ", ".join(wanted.images[:3]) or "none"
    if not named:
        return f"does not say of which image it is; asked for: {asked}"
    return f"is of another image, {named}; asked for: {asked}"


def _other_commit(facts: Facts, wanted: Wanted) -> str | None:
    if wanted.commit is None:
        return None
    asked = wanted.commit.lower()
    for commit in facts.commits:
        found = commit.strip().lower()
        if len(found) < _LEAST_OF_COMMIT or not asked.startswith(found):
            return f"is of another commit, {commit[:80]}; asked for: {wanted.commit}"
    return None


def _too_old(facts: Facts, wanted: Wanted) -> str | None:
    if wanted.max_age is None:
        return None
    made = facts.made
    if made is None:
        return "does not say when it was made, and --max-age asks for that"
    at = made.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    if made.at > wanted.now + _AHEAD:
        return f"says that it was made at {at}, which is still to come"
    if wanted.now - made.at <= wanted.max_age:
        return None
    if made.zoned:
        return f"is too old: made at {at}"
    return f"is too old: made at {at}, if its time, which names no zone, is the earliest it can be"
