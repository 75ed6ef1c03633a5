# SPDX-License-Identifier: Apache-2.0
"""What would have to change for the next lower gate."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, product

from cabgate.api.request import Assessment, Floor
from cabgate.api.riskmodel import Band, RiskModel
from cabgate.api.types import Gate
from cabgate.facts import FLOOR_FACTS
from cabgate.risk import stricter, weighted_score
from cabgate.riskmodel import DEFAULT_RISK_MODEL

_NEXT_LOWER = {
    Gate.EXCEPTION_REQUIRED: Gate.MANUAL_REVIEW,
    Gate.MANUAL_REVIEW: Gate.AUTO_APPROVE,
}


@dataclass(frozen=True)
class Change:
    """An improvement of one factor."""

    factor: str
    observed: str
    to: str

    def __str__(self) -> str:
        return f"{self.factor} from {self.observed} to {self.to}"


@dataclass(frozen=True)
class WayDown:
    """The smallest set of changes that reaches the next lower gate."""

    gate: Gate
    """The gate that would be reached."""
    score: Decimal
    """The score that the changes would give."""
    changes: tuple[Change, ...]
    """Factors to improve; as few as can be, and each no further than it needs."""
    floors: tuple[Floor, ...]
    """Floors that must no longer apply."""

    def __str__(self) -> str:
        parts = [str(change) for change in self.changes]
        parts += [f"resolve: {floor.explanation}" for floor in self.floors]
        return f"{self.gate} would take: " + "; ".join(parts)


def way_down(assessment: Assessment, model: RiskModel = DEFAULT_RISK_MODEL) -> WayDown | None:
    """The smallest set of factor changes, and the floors to clear, that reach the next lower gate.

    None where no lower gate can be reached, and where the assessment was made with another model
    than this one, as it is after an upgrade that changes the model. Among sets of the same size
    the one that asks for the least improvement wins, then the one whose factors stand first in the
    model: the same answer every time.
    """
    lower = _NEXT_LOWER.get(assessment.gate)
    if lower is None or assessment.risk_model.digest != model.digest:
        return None
    floors = tuple(f for f in assessment.floors if stricter(f.gate, lower) != lower)
    if any(floor.name not in FLOOR_FACTS for floor in floors):
        return None  # no evidence clears what was said of these images before
    best = _smallest(assessment, lower, model)
    if best is None:
        return None
    return WayDown(gate=lower, score=best[0], changes=best[1], floors=floors)


def _smallest(
    assessment: Assessment, gate: Gate, model: RiskModel
) -> tuple[Decimal, tuple[Change, ...]] | None:
    options = {
        factor.name.value: [band for band in factor.bands if band.risk < Decimal(found.risk)]
        for factor, found in zip(model.spec.factors, assessment.factors, strict=True)
    }
    spec = model.spec
    limit = spec.auto_approve_up_to if gate is Gate.AUTO_APPROVE else spec.manual_review_up_to
    improvable = [name for name, bands in options.items() if bands]
    for size in range(len(improvable) + 1):
        found = [
            (score, names, bands)
            for names in combinations(improvable, size)
            for bands in product(*(options[name] for name in names))
            for score in [_score_with(assessment, dict(zip(names, bands, strict=True)))]
            if score <= limit
        ]
        if found:
            # The highest score that is enough asks for the least improvement.
            score, names, bands = max(found, key=lambda item: item[0])
            observed = {factor.name: factor.observed for factor in assessment.factors}
            changes = zip(names, bands, strict=True)
            return score, tuple(Change(n, observed[n], band.label) for n, band in changes)
    return None  # even the best bands of this model carry too much risk


def _score_with(assessment: Assessment, changed: dict[str, Band]) -> Decimal:
    return weighted_score(
        [
            (Decimal(f.weight), changed[f.name].risk if f.name in changed else Decimal(f.risk))
            for f in assessment.factors
        ]
    )
