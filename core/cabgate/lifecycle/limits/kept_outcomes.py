# SPDX-License-Identifier: Apache-2.0
"""Which outcomes of a workload are no longer needed."""

from collections.abc import Sequence
from datetime import datetime

from cabgate.api.outcome import RolloutOutcome
from cabgate.lifecycle.limits.retention import KEPT_FOR
from cabgate.outcomes.occupancy import is_ended
from cabgate.outcomes.writing import age_of_outcome


def removable_outcomes(
    outcomes: Sequence[RolloutOutcome], now: datetime, kept: int, *, is_declared: bool
) -> list[RolloutOutcome]:
    """The outcomes of one workload that retention may remove, the oldest first: those that ended,
    but for the `kept` that began last; and all that ended 7 days ago where no intent has the
    workload any more (`is_declared`). One that has not ended stays."""
    order = sorted(outcomes, key=age_of_outcome)
    surplus = order[:-kept] if kept else order
    return [
        each
        for each in order
        if is_ended(each) and (each in surplus or (not is_declared and is_outlived(each, now)))
    ]


def is_outlived(outcome: RolloutOutcome, now: datetime) -> bool:
    """Whether an outcome ended so long ago that it stays only while an intent has its workload."""
    at = outcome.status.ended_at
    return at is not None and now - at >= KEPT_FOR
