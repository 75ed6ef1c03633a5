# SPDX-License-Identifier: Apache-2.0
"""Whether high scores fail more often than low ones. It measures, and changes no model."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from cabgate.api.types import Tier
from cabgate.calibration.changes import Approval, Change
from cabgate.calibration.outcomes import Matched, Observed
from cabgate.calibration.statistics import Case, Decomposition, Rate, decomposition

LEAST_FAILURES = 30
LEAST_CHANGES = 300


class TooFewError(ValueError):
    """Too few changes or failures to say anything; the message says how many there are."""


class Agreement(StrEnum):
    """Whether the failures go with the risk that a factor gives."""

    AGREES = "Agrees"
    UNCLEAR = "Unclear"
    DISAGREES = "Disagrees"


@dataclass(frozen=True)
class Group:
    """The changes that have something in common."""

    name: str
    rate: Rate
    brier: Decomposition


@dataclass(frozen=True)
class RiskRate:
    """The changes to which a factor gives a risk."""

    risk: str
    """0 to 1, as the requests write it."""
    rate: Rate


@dataclass(frozen=True)
class Reversal:
    """Two risks of a factor, of which the lower one failed more often."""

    lower: str
    higher: str
    clear: bool
    """Whether their intervals are apart; if not, it may be chance."""


@dataclass(frozen=True)
class FactorRates:
    """How often changes failed at each risk of a factor."""

    name: str
    risks: tuple[RiskRate, ...]
    """From the lowest risk to the highest."""
    reversals: tuple[Reversal, ...]
    agreement: Agreement
    """Disagrees: a lower risk failed clearly more often than a higher one. Agrees: the highest
    failed clearly more often than the lowest, and none disagrees."""


@dataclass(frozen=True)
class Selection:
    """What the figures do not see: requests without an outcome."""

    requests: int
    """All that were given, those without an outcome too; none for a broken glass."""
    rejected: int
    """Those without an outcome that a person rejected."""
    not_approved: int
    """Those without an outcome that nobody approved and nobody rejected."""
    approved: int
    """Those without an outcome that were approved: nobody says what became of them."""


@dataclass(frozen=True)
class Calibration:
    """Scores against failures."""

    since: datetime
    """The first outcome."""
    until: datetime
    """The last one."""
    total: Group
    tiers: tuple[Group, ...]
    approvals: tuple[Group, ...]
    models: tuple[Group, ...]
    factors: tuple[FactorRates, ...]
    selection: Selection
    breaks: tuple[str, ...]
    """Requests for a broken glass that have an outcome: they have no score, and do not count."""
    unknown: tuple[str, ...]
    """Changes with an outcome of which no request was given; they do not count."""


def calibrate(changes: Sequence[Change], outcomes: Matched) -> Calibration:
    """Scores against failures.

    Raises `TooFewError` below `LEAST_FAILURES` failures or `LEAST_CHANGES` changes.
    """
    observed = [each for each in outcomes.observed if not each.change.for_break]
    failures = sum(each.failed for each in observed)
    if failures < LEAST_FAILURES or len(observed) < LEAST_CHANGES:
        raise TooFewError(
            f"{len(observed)} changes with a score and an outcome, {failures} of which failed: "
            f"nothing is said below {LEAST_CHANGES} changes and {LEAST_FAILURES} failures, where "
            "chance is larger than what is to be seen"
        )
    return Calibration(
        since=min(each.at for each in observed),
        until=max(each.at for each in observed),
        total=_group("all", observed),
        tiers=_groups(observed, lambda change: change.tier.value, [tier.value for tier in Tier]),
        approvals=_groups(
            observed, lambda change: change.approval.value, [each.value for each in Approval]
        ),
        models=_groups(
            observed, lambda change: change.model, sorted({each.change.model for each in observed})
        ),
        factors=_factors(observed),
        selection=_selection(changes, observed),
        breaks=tuple(str(each.change.key) for each in outcomes.observed if each.change.for_break),
        unknown=tuple(dict.fromkeys(each.change for each in outcomes.unknown)),
    )


def _group(name: str, observed: Sequence[Observed]) -> Group:
    cases = [Case(each.change.score, each.failed) for each in observed]
    return Group(name, _rate(observed), decomposition(cases))


def _rate(observed: Sequence[Observed]) -> Rate:
    return Rate(len(observed), sum(each.failed for each in observed))


def _groups(
    observed: Sequence[Observed], key: Callable[[Change], str], order: Sequence[str]
) -> tuple[Group, ...]:
    found: dict[str, list[Observed]] = defaultdict(list)
    for each in observed:
        found[key(each.change)].append(each)
    return tuple(_group(name, found[name]) for name in order if name in found)


def _factors(observed: Sequence[Observed]) -> tuple[FactorRates, ...]:
    """Factors by name: two models may have them in another order. Risks of one value are one,
    however they are written."""
    found: dict[str, dict[Decimal, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for each in observed:
        for name, risk in each.change.risks:
            found[name][Decimal(risk)].append(each.failed)
    return tuple(_factor_rates(name, risks) for name, risks in sorted(found.items()))


def _factor_rates(name: str, by_risk: dict[Decimal, list[bool]]) -> FactorRates:
    risks = tuple(
        RiskRate(f"{risk.normalize():f}", Rate(len(failed), sum(failed)))
        for risk, failed in sorted(by_risk.items())
    )
    reversals = tuple(
        Reversal(low.risk, high.risk, _clearly_more(low.rate, high.rate))
        for place, low in enumerate(risks)
        for high in risks[place + 1 :]
        if low.rate.failures * high.rate.changes > high.rate.failures * low.rate.changes
    )
    agreement = Agreement.UNCLEAR
    if any(each.clear for each in reversals):
        agreement = Agreement.DISAGREES
    elif _clearly_more(risks[-1].rate, risks[0].rate):
        agreement = Agreement.AGREES
    return FactorRates(name, risks, reversals, agreement)


def _clearly_more(more: Rate, less: Rate) -> bool:
    """Whether changes failed more often, so that their intervals are apart."""
    return more.interval.low > less.interval.high


def _selection(changes: Sequence[Change], observed: Sequence[Observed]) -> Selection:
    seen = {each.change.key for each in observed}
    scored = [change for change in changes if not change.for_break]
    unseen = [change for change in scored if change.key not in seen]
    rejected = sum(change.rejected for change in unseen)
    approved = sum(change.approval is not Approval.NOBODY for change in unseen)
    return Selection(len(scored), rejected, len(unseen) - rejected - approved, approved)
