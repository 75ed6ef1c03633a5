# SPDX-License-Identifier: Apache-2.0
"""Quantiles, and how far apart they are."""

import math
import statistics
from collections.abc import Sequence

from cabgate.reports.counting import percentile

QUANTILES = (50, 90, 99)


def pooled(blocks: Sequence[Sequence[float]]) -> list[float]:
    """The values of several blocks, ascending."""
    return sorted(value for block in blocks for value in block)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, middle and greatest."""
    if not values:
        return {"min": math.nan, "median": math.nan, "max": math.nan}
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99 (nearest rank); NaN of nothing."""
    return {f"p{each}": percentile(values, each) if values else math.nan for each in QUANTILES}
