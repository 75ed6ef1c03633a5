# SPDX-License-Identifier: Apache-2.0
"""What would have to change for the next lower tier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

from cabgate.api.riskmodel import RiskModel
from cabgate.api.stored import StoredAssessment, StoredFloor
from cabgate.api.types import Tier
from cabgate.risk.builtin_model import BUILT_IN, digest_of
from cabgate.risk.facts import FLOOR_FACTS, THIRD_PARTY_IMAGES
from cabgate.risk.image_evidence import STALE_EVIDENCE, UNNAMED_IMAGES
from cabgate.risk.scoring import NOT_SIGNED, SIGNED_OTHERWISE, stricter, weighted_score

_NEXT_LOWER = {
    Tier.EXCEPTION_REQUIRED: Tier.MANUAL_REVIEW,
    Tier.MANUAL_REVIEW: Tier.AUTO_APPROVE,
}


_CLEARED_BY_EVIDENCE = {*FLOOR_FACTS, UNNAMED_IMAGES, STALE_EVIDENCE} - {THIRD_PARTY_IMAGES}
"""Floors that other evidence clears; against what was said of images before, none does, and who
built an image is no matter of evidence."""


@dataclass(frozen=True)
class Change:
    """An improvement of one factor."""

    factor: str
    observed: str
    to: str

    def __str__(self) -> str:
        if self.observed.endswith(NOT_SIGNED):
            declared = self.observed.removesuffix(NOT_SIGNED)
            return f"{self.factor} signed by the pipeline ({declared} is declared), {self.to}"
        if self.observed.endswith(SIGNED_OTHERWISE):
            return f"{self.factor} declared as it was signed, {self.to}"
        return f"{self.factor} from {self.observed} to {self.to}"


@dataclass(frozen=True)
class Improvements:
    """The smallest set of changes that reaches the next lower tier."""

    gate: Tier
    """The gate that would be reached."""
    score: Decimal
    """The score that the changes would give."""
    changes: tuple[Change, ...]
    """Factors to improve; as few as can be, and each no further than it needs."""
    floors: tuple[StoredFloor, ...]
    """Floors that must no longer apply."""

    def __str__(self) -> str:
        parts = [str(change) for change in self.changes]
        parts += [f"resolve: {floor.explanation}" for floor in self.floors]
        return f"{self.gate} would take: " + "; ".join(parts)


def improvements(
    assessment: StoredAssessment, model: RiskModel | None = None
) -> Improvements | None:
    """The smallest set of factor changes, and the floors to clear, that reach the next lower tier.

    None where no lower gate can be reached, and where the assessment was made with another model
    than this one (without one: with none of the built-in ones), or has other factors. Among
    sets of the same size the one that asks for the least improvement wins, then the one whose
    factors stand first in the model: the same answer every time.
    """
    lower = _NEXT_LOWER.get(assessment.gate)
    model = model or BUILT_IN.get(assessment.risk_model.digest)
    if lower is None or model is None or assessment.risk_model.digest != digest_of(model):
        return None
    if [found.name for found in assessment.factors] != [each.name for each in model.spec.factors]:
        return None  # not an assessment as the operator makes it, whatever its digest says
    floors = tuple(f for f in assessment.floors if stricter(f.gate, lower) != lower)
    if any(floor.name not in _CLEARED_BY_EVIDENCE for floor in floors):
        return None
    best = _smallest(assessment, lower, model)
    if best is None:
        return None
    return Improvements(gate=lower, score=best[0], changes=best[1], floors=floors)


def _smallest(
    assessment: StoredAssessment, gate: Tier, model: RiskModel
) -> tuple[Decimal, tuple[Change, ...]] | None:
    factors = tuple(
        _Factor(
            Decimal(found.weight),
            Decimal(found.risk),
            tuple((band.risk, band.label) for band in factor.applicable),
        )
        for factor, found in zip(model.spec.factors, assessment.factors, strict=True)
    )
    spec = model.spec
    limit = spec.auto_approve_up_to if gate is Tier.AUTO_APPROVE else spec.manual_review_up_to
    best = _least(factors, limit)
    if best is None:
        return None
    score, labels = best
    named = zip(model.spec.factors, assessment.factors, labels, strict=True)
    changes = [Change(f.name.value, found.observed, to) for f, found, to in named if to]
    return score, tuple(changes)


class _Factor(NamedTuple):
    weight: Decimal
    risk: Decimal
    bands: tuple[tuple[Decimal, str], ...]


@lru_cache(maxsize=512)
def _least(factors: tuple[_Factor, ...], limit: Decimal) -> tuple[Decimal, tuple[str, ...]] | None:
    """The score that the smallest improvement gives which is enough, and for each factor the band
    that it takes; empty where the factor stays. A model knows few combinations of risks, and a
    denial asks for the same ones again and again."""
    better = {
        index: [band for band in factor.bands if band[0] < factor.risk]
        for index, factor in enumerate(factors)
    }
    improvable = [index for index, bands in better.items() if bands]
    for size in range(len(improvable) + 1):
        found = [
            (score, dict(zip(indexes, bands, strict=True)))
            for indexes in combinations(improvable, size)
            for bands in product(*(better[index] for index in indexes))
            for score in [_score_with(factors, dict(zip(indexes, bands, strict=True)))]
            if score <= limit
        ]
        if found:
            # The highest score that is enough asks for the least improvement.
            score, changed = max(found, key=lambda item: item[0])
            return score, tuple(changed[n][1] if n in changed else "" for n in range(len(factors)))
    return None  # even the best bands of this model carry too much risk


def _score_with(factors: Sequence[_Factor], changed: Mapping[int, tuple[Decimal, str]]) -> Decimal:
    return weighted_score(
        [
            (factor.weight, changed[n][0] if n in changed else factor.risk)
            for n, factor in enumerate(factors)
        ]
    )
