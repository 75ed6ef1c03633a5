# SPDX-License-Identifier: Apache-2.0
"""What another risk model would have made of requests that are there already. It changes none."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cabgate.api.request import Assessment, CABRequest
from cabgate.api.riskmodel import FloorName, RiskModel
from cabgate.api.types import Tier
from cabgate.calibration.changes import (
    Approval,
    Change,
    RequestKey,
    change_of,
    hundredths,
    newest,
)
from cabgate.calibration.outcomes import Outcome, matched
from cabgate.risk.image_evidence import missing_images
from cabgate.risk.scoring import CONTRADICTED, UNVERIFIED, assess

_OF_THE_MODEL = frozenset({*FloorName, CONTRADICTED, UNVERIFIED})
"""Floors that follow from a model and from who signed: they are found anew."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A request, and what another model makes of it."""

    change: Change
    score: int
    """In hundredths, by the other model."""
    tier: Tier
    """By the other model."""

    @property
    def approval_not_given(self) -> bool:
        """Whether it was approved in a way that the other model leaves to somebody else: by score
        where a person decides, or by a person where only an exception admits."""
        by = self.change.approval
        by_score = by is Approval.SCORE and self.tier is not Tier.AUTO_APPROVE
        return by_score or (by is Approval.PERSON and self.tier is Tier.EXCEPTION_REQUIRED)

    @property
    def approval_by_score(self) -> bool:
        """Whether a person decides it, or it takes an exception, and the other model would have had
        the system approve it."""
        return self.change.tier is not Tier.AUTO_APPROVE and self.tier is Tier.AUTO_APPROVE


def replayed(request: CABRequest, model: RiskModel) -> Replayed:
    """What a model makes of the frozen evidence of a request, by the scoring of every request."""
    found = frozen_assessment(request, model)
    return Replayed(change_of(request), hundredths(found.score), found.gate)


def frozen_assessment(request: CABRequest, model: RiskModel) -> Assessment:
    """The assessment of a request by a model, as it would have been when it was opened: who signed,
    what was decided before and which images had no evidence are as it records them."""
    spec = request.spec
    standing = [each for each in spec.assessment.floors if each.name not in _OF_THE_MODEL]
    missing = missing_images(spec.targets, spec.evidence)
    signed = spec.assessment.provenance
    return assess(spec.evidence, model, standing, missing, spec.targets, signed)


@dataclass(frozen=True)
class Replay:
    """What becomes of some requests by another model."""

    model: RiskModel
    items: Sequence[Replayed]
    """In the order of their namespaces and names."""
    failed: Mapping[RequestKey, bool] | None
    """Whether each failed whose outcome is known; None where no outcomes were given."""
    unknown: tuple[str, ...] = ()
    """Changes with an outcome of which no request was given; they do not count."""

    @cached_property
    def moves(self) -> Counter[tuple[Tier, Tier]]:
        """How many requests have a tier, and which they would have."""
        return Counter((each.change.tier, each.tier) for each in self.items)

    def before(self, tier: Tier) -> int:
        """How many requests have a tier."""
        return sum(number for (old, _), number in self.moves.items() if old is tier)

    def after(self, tier: Tier) -> int:
        """How many would have it."""
        return sum(number for (_, new), number in self.moves.items() if new is tier)

    @property
    def more_to_people(self) -> int:
        """How many more would go to people, CAB members or security reviewers; negative: fewer."""
        return self.before(Tier.AUTO_APPROVE) - self.after(Tier.AUTO_APPROVE)

    @cached_property
    def not_given(self) -> list[Replayed]:
        """Those whose approval would not have been given as it was."""
        return [each for each in self.items if each.approval_not_given]

    @cached_property
    def by_score(self) -> list[Replayed]:
        """Those that went to people, and would be approved by score."""
        return [each for each in self.items if each.approval_by_score]

    @cached_property
    def rejected_by_score(self) -> list[Replayed]:
        """Those of them that a person rejected."""
        return [each for each in self.by_score if each.change.rejected]

    @cached_property
    def caught(self) -> list[Replayed]:
        """Failures whose approval would not have been given as it was."""
        return self._failures(self.not_given)

    @cached_property
    def let_through(self) -> list[Replayed]:
        """Failures that went to people, and would have been approved by score."""
        return self._failures(self.by_score)

    @cached_property
    def failures(self) -> list[Replayed]:
        """All failures."""
        return self._failures(self.items)

    def _failures(self, some: Iterable[Replayed]) -> list[Replayed]:
        return [each for each in some if (self.failed or {}).get(each.change.key)]


def replay(
    model: RiskModel,
    items: Iterable[Replayed],
    outcomes: Sequence[Outcome] | None = None,
    since: datetime | None = None,
) -> Replay:
    """What becomes of the requests that were opened from a time on. Those of a broken glass have no
    evidence to score, and do not count.

    Raises `OutcomesError` for outcomes that cannot be tied to the requests, see `matched`.
    """
    every = newest(items, lambda item: item.change)
    failed: dict[RequestKey, bool] | None = None
    unknown: tuple[str, ...] = ()
    if outcomes is not None:
        found = matched(outcomes, [item.change for item in every])
        failed = {each.change.key: each.failed for each in found.observed}
        unknown = tuple(dict.fromkeys(each.change for each in found.unknown))
    some = [item for item in every if not item.change.for_break and _from(item.change, since)]
    return Replay(model, some, failed, unknown)


def _from(change: Change, since: datetime | None) -> bool:
    return since is None or (change.opened is not None and change.opened >= since)
