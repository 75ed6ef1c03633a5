# SPDX-License-Identifier: Apache-2.0
"""What became of a release in the ring before, and whether that is what its promotion asks for.

Derived from stored outcomes and a clock, never stored: a soak goes on by itself, and what is told
of it is told by what decides.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from cabgate.api.outcome import OutcomeResult, RolloutOutcome
from cabgate.api.stored import Declared
from cabgate.api.stored_terms import StoredPromotion, StoredPromotionNeed, StoredTerms
from cabgate.outcomes.occupancy import (
    incident_count,
    is_ended,
    longest_occupancy,
    meets_percent,
    open_interruption,
    running_since,
    success_percent,
)
from cabgate.rollout.image_names import digest_of
from cabgate.text.moments import EARLIEST, rfc3339

_OVERRIDE = re.compile(r"promotion\.ring-([1-4])")

_FAILED = frozenset({OutcomeResult.FAILED, OutcomeResult.ROLLED_BACK})


OutcomeKey = tuple[str, str]
"""Namespace and name of an outcome."""

MAX_LOOKED_AT = 3
"""Workloads of the ring before that are looked at for one rollout, those first that began first."""


@dataclass(frozen=True)
class EarlierRings:
    """What is known of the rings before that of a rollout."""

    outcomes: Mapping[str, Sequence[RolloutOutcome]]
    """The outcomes of each release that was asked about, of every namespace."""
    template: str | None
    """Digest of what the containers of the rollout do but for their variables; None where that was
    not asked, so that every one fits. One that nothing has fits none."""
    waived: bool = False
    """Whether nothing is asked of them: it rolls back to what ran here before, or runs already."""
    any_ring: bool = False
    """Whether the ring of the rollout is not known, so that an override may be that of another."""
    running: frozenset[OutcomeKey] | None = None
    """Those of the outcomes whose workloads run now what they say, by a look at these; None where
    nobody looked, so that what has not ended is taken to run."""


FITS_NONE = ""
"""In place of a digest of what the containers do, where nobody can tell that."""

UNKNOWN = EarlierRings({}, template=FITS_NONE)
"""Where nobody has read what became of a release: nothing of it is known, and no outcome is a
denial."""

WAIVED = EarlierRings({}, template=None, waived=True)
"""Where the rings before are not asked about."""


@dataclass(frozen=True)
class PriorRing:
    """Where a release stands in the ring before, as far as a need goes by that."""

    need: StoredPromotionNeed
    release: str | None
    met: bool
    failed: bool
    """Whether waiting does not help: it failed there."""
    says: str
    """Why it is met or not, as half a sentence about the release."""
    since: datetime | None = None
    """Since when it has run there without a break; None where it does not run there now."""
    until: datetime | None = None
    """When it will have soaked, if nothing interrupts it; None where it has, or does not run."""
    undeclared: bool = False
    """Whether the intent says too little for anything to be known."""
    rests_on: tuple[RolloutOutcome, ...] = ()
    """The outcomes each of which meets it, where none of those has ended."""


def override_name(ring: int) -> str:
    """What an approval names in `overrides` to let a rollout into a ring before its promotion."""
    return f"promotion.ring-{ring}"


def overridden_ring(name: str) -> int | None:
    """The ring whose promotion a name in `overrides` is about; None for that of a freeze."""
    found = _OVERRIDE.fullmatch(name)
    return None if found is None else int(found[1])


def override_text(name: str) -> str:
    """What an approval overrides, as it is shown."""
    ring = overridden_ring(name)
    if ring is None:
        return f"overrides ChangeFreeze {name}"
    return f"overrides the promotion into ring {ring}"


def need_for(terms: StoredTerms | None, ring: int) -> StoredPromotionNeed | None:
    """What is asked of the ring before for a rollout into a ring: the entry for that ring, or for
    the highest below it, so that a workload that labels itself higher leaves none behind. None
    where nothing is asked."""
    promotion = None if terms is None else terms.promotion
    needs = () if promotion is None else promotion.needs
    return max((each for each in needs if each.ring <= ring), key=_ring, default=None)


def _ring(need: StoredPromotionNeed) -> int:
    return need.ring


def asks_before(requests: Iterable[Declared], ring: int) -> bool:
    """Whether one of some requests asks for a ring before that of a rollout."""
    return any(need_for(request.spec.terms, ring) is not None for request in requests)


def places_of(requests: Iterable[Declared], ring: int) -> dict[str, list[str] | None]:
    """The releases whose outcomes are read for a rollout into a ring, by the requests that may
    admit it, with the namespaces in which those count: None is all, where one request names none.
    What nobody counts is not read, however much of it there is."""
    found: dict[str, list[str] | None] = {}
    for request in requests:
        promotion, need = _promotion(request), need_for(request.spec.terms, ring)
        if promotion is None or promotion.release is None or need is None:
            continue
        places = found.get(promotion.release, [])
        if places is None or not need.namespaces:
            found[promotion.release] = None
        else:
            found[promotion.release] = sorted({*places, *need.namespaces})
    return dict(sorted(found.items()))


def releases_for(requests: Iterable[Declared], ring: int) -> list[str]:
    """The releases whose outcomes are read for a rollout into a ring, each once, wherever they
    count."""
    return list(places_of(requests, ring))


def _promotion(request: Declared) -> StoredPromotion | None:
    return None if request.spec.terms is None else request.spec.terms.promotion


def prior_ring(
    need: StoredPromotionNeed,
    release: str | None,
    images: Iterable[str],
    earlier: EarlierRings,
    now: datetime,
) -> PriorRing:
    """Whether a need is met for some images of a release at a moment, and why.

    The outcomes that count are those of the release in the ring that the need names, with the same
    images by their digests, the same template but for variables, and in one of its namespaces if it
    names any. What each workload ran last must not have failed, too many incidents of any of them
    fail it, and one has to have soaked, with enough Pods.
    """
    where = f"ring {need.from_}"
    if release is None:
        return _undeclared(need, None, "names no release (spec.release)")
    wanted = digests_of(images)
    if wanted is None:
        says = f"names an image without its digest, so that nobody knows whether {where} ran it"
        return _undeclared(need, release, says)
    found = [
        each
        for each in earlier.outcomes.get(release, ())
        if each.spec.release == release and _is_about(each, need, wanted, earlier.template)
    ]
    if release not in earlier.outcomes:
        says = f"is not known to have run in {where}: what became of it was not read"
        return PriorRing(need, release, met=False, failed=False, says=says)
    if not found:
        says = f"has not run in {where} with these images and this template"
        return PriorRing(need, release, met=False, failed=False, says=says)
    latest = _latest(found)
    why = _failure(found, latest, need)
    if why:
        return PriorRing(need, release, met=False, failed=True, says=f"{why} in {where}")
    return _soaked(_since_failures(found), need, release, earlier.running, now)


def key_of(outcome: RolloutOutcome) -> OutcomeKey:
    """What an outcome is told apart by."""
    return outcome.metadata.namespace, outcome.metadata.name


def to_look_at(
    requests: Iterable[Declared],
    ring: int,
    images: Sequence[str],
    earlier: EarlierRings,
    now: datetime,
) -> list[RolloutOutcome]:
    """The outcomes by which alone a rollout into a ring would be let in under some requests, and
    that have not ended: whether their workloads run so is looked at first, since an outcome that
    nobody ends would soak for ever. At most `MAX_LOOKED_AT`."""
    found: dict[OutcomeKey, RolloutOutcome] = {}
    for request in requests:
        promotion, need = _promotion(request), need_for(request.spec.terms, ring)
        if promotion is not None and need is not None:
            prior = prior_ring(need, promotion.release, images, earlier, now)
            found |= {key_of(each): each for each in prior.rests_on}
    return sorted(found.values(), key=_age)[:MAX_LOOKED_AT]


def _undeclared(need: StoredPromotionNeed, release: str | None, says: str) -> PriorRing:
    return PriorRing(need, release, met=False, failed=False, says=says, undeclared=True)


def _since_failures(found: Sequence[RolloutOutcome]) -> list[RolloutOutcome]:
    """Without what each workload ran up to the last of its outcomes that failed: what failed soaks
    anew."""
    failed = {_workload(each): _age(each) for each in sorted(found, key=_age) if _has_failed(each)}
    return [
        each
        for each in found
        if _workload(each) not in failed or _age(each) > failed[_workload(each)]
    ]


def _is_down(outcome: RolloutOutcome) -> bool:
    """Whether it does not run now, and nobody knows yet how that ends: however long it ran before,
    it may come to be rolled back."""
    return open_interruption(outcome) is not None and not is_ended(outcome)


def _workload(outcome: RolloutOutcome) -> tuple[str, str, str, str]:
    target = outcome.spec.target
    return outcome.metadata.namespace, target.api_version, target.kind, target.name


def _failure(
    found: Sequence[RolloutOutcome], latest: Sequence[RolloutOutcome], need: StoredPromotionNeed
) -> str:
    """What went wrong; empty where nothing did."""
    if any(map(_has_failed, latest)):
        return "failed, or was rolled back,"
    incidents = sum(map(incident_count, found))
    if incidents > need.incidents:
        return f"had {_counted(incidents, 'incident')}, of at most {need.incidents},"
    least = Decimal(need.success_percent)
    bad = [each for each in latest if each.status.pods.seen and not meets_percent(each, least)]
    if bad:
        percent = min(map(success_percent, bad))
        return f"had {percent} % of its Pods succeed, of {need.success_percent} % that are needed,"
    return ""


def _soaked(
    found: Sequence[RolloutOutcome],
    need: StoredPromotionNeed,
    release: str,
    running: frozenset[OutcomeKey] | None,
    now: datetime,
) -> PriorRing:
    """Whether one of the outcomes that did not fail has run for long enough, with enough Pods."""
    soak, where = timedelta(seconds=need.soak_seconds), f"ring {need.from_}"
    enough = [each for each in found if each.status.pods.seen >= need.min_pods]
    least = Decimal(need.success_percent)
    done = [
        each
        for each in enough
        if not _is_down(each)
        and longest_occupancy(each, now) >= soak
        and meets_percent(each, least)
    ]
    over = any(map(is_ended, done))
    if over or any(running is None or key_of(each) in running for each in done):
        says = f"has run in {where} for {length_text(need.soak_seconds)}, and did not fail there"
        rests_on = () if over else tuple(done)
        return PriorRing(need, release, met=True, failed=False, says=says, rests_on=rests_on)
    if done:
        says = (
            f"does not run in {where} as its outcome says: the workload is gone, runs something "
            "else, or has no Pod available"
        )
        return PriorRing(need, release, met=False, failed=False, says=says)
    nearest = enough or found
    begun = [since for each in nearest if (since := running_since(each)) is not None]
    since = min(begun, default=None)
    asked = f"{length_text(need.soak_seconds)} without a break"
    until = None if since is None or since + soak <= now else since + soak
    if since is None:
        longest = max((longest_occupancy(each, now) for each in nearest), default=timedelta())
        ran = length_text(int(longest.total_seconds()))
        says = f"does not run in {where} now, and ran there for {ran} of {asked}"
    else:
        says = f"has run in {where} since {rfc3339(since)}"
        says += "" if until is None else f", and has to for {asked}: until {rfc3339(until)}"
    if not enough:
        seen = max((each.status.pods.seen for each in found), default=0)
        are = "is" if need.min_pods == 1 else "are"
        says += (
            f"; at most {_counted(seen, 'Pod')} with a readiness probe ran there, and "
            f"{need.min_pods} {are} asked for"
        )
    return PriorRing(need, release, met=False, failed=False, says=says, since=since, until=until)


def length_text(seconds: int) -> str:
    """A length of time as policies say it, in the largest unit that it is a number of."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def digests_of(images: Iterable[str]) -> frozenset[str] | None:
    """The digests of some images, wherever they are kept; None where one is named without."""
    found = set()
    for image in images:
        digest = digest_of(image)
        if digest is None:
            return None
        found.add(digest)
    return frozenset(found) or None


def _is_about(
    outcome: RolloutOutcome,
    need: StoredPromotionNeed,
    images: frozenset[str],
    template: str | None,
) -> bool:
    spec = outcome.spec
    return (
        spec.ring == need.from_
        and (not need.namespaces or outcome.metadata.namespace in need.namespaces)
        and digests_of(spec.images) == images
        and (template is None or spec.template == template)
    )


def _latest(found: Iterable[RolloutOutcome]) -> list[RolloutOutcome]:
    """Of each workload the outcome that began last."""
    return list({_workload(each): each for each in sorted(found, key=_age)}.values())


def _age(outcome: RolloutOutcome) -> tuple[datetime, str]:
    return outcome.metadata.creation_timestamp or EARLIEST, outcome.metadata.name


def _has_failed(outcome: RolloutOutcome) -> bool:
    return outcome.status.result in _FAILED


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
