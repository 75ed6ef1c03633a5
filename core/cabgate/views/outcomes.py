# SPDX-License-Identifier: Apache-2.0
"""What became of rollouts, as a list."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cabgate.api.outcome import RolloutOutcome
from cabgate.outcomes.occupancy import (
    incident_count,
    is_ended,
    longest_occupancy,
    open_interruption,
    success_percent,
)
from cabgate.outcomes.writing import age_of_outcome, workload_of
from cabgate.text.inert import inert

RUNNING = "Running"
"""What stands for the result of an outcome that has not ended."""


@dataclass(frozen=True)
class OutcomeRow:
    """An outcome."""

    namespace: str
    name: str
    workload: str
    """As an argument of kubectl: deployment/web."""
    release: str
    """Empty where it is of none."""
    ring: int
    began: datetime | None
    soak: timedelta
    """How long it ran without a break, at the longest."""
    state: str
    """Its result; Running, or why it is interrupted, where it has not ended."""
    seen: int
    failed: int
    success_percent: str
    incidents: int


def outcome_rows(outcomes: Iterable[RolloutOutcome], now: datetime) -> list[OutcomeRow]:
    """Outcomes as a list, the latest of each workload first."""
    latest = sorted(outcomes, key=age_of_outcome, reverse=True)
    rows = [_row(each, now) for each in latest]
    return sorted(rows, key=lambda row: (row.namespace, row.workload))


def _row(outcome: RolloutOutcome, now: datetime) -> OutcomeRow:
    meta, spec, pods = outcome.metadata, outcome.spec, outcome.status.pods
    return OutcomeRow(
        inert(meta.namespace),
        inert(meta.name),
        inert(workload_of(spec.target).argument),
        inert(spec.release or ""),
        spec.ring,
        meta.creation_timestamp,
        longest_occupancy(outcome, now),
        _state(outcome),
        pods.seen,
        pods.failed,
        str(success_percent(outcome)),
        incident_count(outcome),
    )


def _state(outcome: RolloutOutcome) -> str:
    if is_ended(outcome):
        return str(outcome.status.result)
    interruption = open_interruption(outcome)
    return RUNNING if interruption is None else str(interruption.reason)
