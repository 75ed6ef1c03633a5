# SPDX-License-Identifier: Apache-2.0
"""Scores against failures, as exact fractions: Brier score, its decomposition, Wilson intervals.

A score of 0 to 100 is read as a forecast of 0 to 1 that the change fails.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isqrt
from typing import NamedTuple

WHOLE = 10_000
"""A forecast of 1, in hundredths of a score."""

BIN = 1_000
"""Width of a bin, in hundredths of a score: 0.00 to 9.99, and so on; the last one holds 100.00."""

Z = Fraction("1.959963984540054")
"""The quantile of the normal distribution that leaves 2.5 % above it."""

_PLACES = 10**12


class Case(NamedTuple):
    """A forecast in hundredths of a score, and whether it came true."""

    score: int
    failed: bool


class Interval(NamedTuple):
    """From where to where a rate may lie."""

    low: Fraction
    high: Fraction


@dataclass(frozen=True)
class Rate:
    """How many of some changes failed."""

    changes: int
    failures: int

    @property
    def value(self) -> Fraction | None:
        """The share that failed; None of no changes."""
        return Fraction(self.failures, self.changes) if self.changes else None

    @cached_property
    def interval(self) -> Interval:
        """Wilson's interval, in which a rate lies with 95 % confidence. Exact but for one root,
        which is rounded up at the twelfth place. Of no changes, everything from 0 to 1."""
        n = self.changes
        if not n:
            return Interval(Fraction(0), Fraction(1))
        rate, square = Fraction(self.failures, n), Z * Z
        root = _root_above(rate * (1 - rate) / n + square / (4 * n * n))
        middle, wide = rate + square / (2 * n), Z * root
        whole = 1 + square / n
        return Interval(
            max(Fraction(0), (middle - wide) / whole), min(Fraction(1), (middle + wide) / whole)
        )


def _root_above(number: Fraction) -> Fraction:
    """The square root of a number that is not negative, rounded up at the twelfth place."""
    scaled = -(-number.numerator * _PLACES * _PLACES // number.denominator)
    root = isqrt(scaled)
    return Fraction(root + (root * root < scaled), _PLACES)


@dataclass(frozen=True)
class Bin:
    """The changes whose scores are near one another."""

    number: int
    """0 for the lowest scores."""
    rate: Rate
    forecast: Fraction
    """The mean of their forecasts, 0 to 1."""

    @property
    def low(self) -> int:
        """The least score that it may hold, 0 to 90."""
        return self.number * BIN // 100

    @property
    def high(self) -> int:
        """The score that the next one begins with; 100 belongs to the last."""
        return self.low + BIN // 100


@dataclass(frozen=True)
class Decomposition:
    """A Brier score and what it comes from, by Murphy (1973), with the two terms of Stephenson,
    Coelho and Jolliffe (2008) for forecasts that differ within a bin.

    Exactly, brier = reliability - resolution + uncertainty + within_variance -
    within_covariance.
    """

    brier: Fraction
    """Mean square of forecast less outcome: 0 is best, 1 worst."""
    reliability: Fraction
    """How far forecasts are from what came true in their bin: 0 is best."""
    resolution: Fraction
    """How far bins differ in what came true: the more the better."""
    uncertainty: Fraction
    """The Brier score of who always forecasts the base rate."""
    within_variance: Fraction
    """How far forecasts differ within their bins."""
    within_covariance: Fraction
    """How far they go with what came true there."""
    bins: tuple[Bin, ...]
    """The bins that hold a change, from low scores to high ones."""

    @property
    def skill(self) -> Fraction | None:
        """What the scores are better than the base rate: 1 is best, 0 no better, negative worse;
        None where all failed or none."""
        return 1 - self.brier / self.uncertainty if self.uncertainty else None


def brier(cases: Sequence[Case]) -> Fraction:
    """The Brier score of at least one case."""
    return Fraction(sum((c.score - WHOLE * c.failed) ** 2 for c in cases), WHOLE**2 * len(cases))


def bin_of(score: int) -> int:
    """The number of the bin of a score in hundredths."""
    return min(score // BIN, WHOLE // BIN - 1)


def decomposition(cases: Sequence[Case]) -> Decomposition:
    """The Brier score of at least one case, taken apart."""
    n = len(cases)
    base = Fraction(sum(c.failed for c in cases), n)
    by_bin: dict[int, list[Case]] = defaultdict(list)
    for case in cases:
        by_bin[bin_of(case.score)].append(case)
    bins = []
    reliability = resolution = variance = covariance = Fraction(0)
    for number, some in sorted(by_bin.items()):
        size, failures = len(some), sum(c.failed for c in some)
        total = sum(c.score for c in some)
        forecast, rate = Fraction(total, WHOLE * size), Fraction(failures, size)
        bins.append(Bin(number, Rate(size, failures), forecast))
        reliability += size * (forecast - rate) ** 2
        resolution += size * (rate - base) ** 2
        squares = Fraction(sum(c.score**2 for c in some), WHOLE**2)
        together = Fraction(sum(c.score for c in some if c.failed), WHOLE)
        variance += squares - size * forecast**2
        covariance += 2 * (together - size * forecast * rate)
    return Decomposition(
        brier=brier(cases),
        reliability=reliability / n,
        resolution=resolution / n,
        uncertainty=base * (1 - base),
        within_variance=variance / n,
        within_covariance=covariance / n,
        bins=tuple(bins),
    )
