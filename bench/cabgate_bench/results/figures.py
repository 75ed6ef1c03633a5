# SPDX-License-Identifier: Apache-2.0
"""Quantiles, and how far apart they are."""

import math
import statistics
from collections.abc import Sequence

QUANTILES = (50, 90, 99)


def quantile(ascending: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed (nearest rank); NaN of nothing."""
    if not ascending:
        return math.nan
    return ascending[max(math.ceil(len(ascending) * percent / 100) - 1, 0)]


def pooled(blocks: Sequence[Sequence[float]]) -> list[float]:
    """The values of several blocks, ascending."""
    return sorted(value for block in blocks for value in block)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, middle and greatest."""
    if not values:
        return {"min": math.nan, "median": math.nan, "max": math.nan}
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def quantiles(ascending: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99."""
    return {f"p{percent}": quantile(ascending, percent) for percent in QUANTILES}
