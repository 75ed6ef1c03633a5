# SPDX-License-Identifier: Apache-2.0
"""How long the images of an outcome ran without a break, and how well: what promotion asks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from cabgate.api.outcome import Interruption, RolloutOutcome

_NONE = timedelta(0)


@dataclass(frozen=True)
class Occupancy:
    """A time in which a workload ran with the images of an outcome, without a break."""

    since: datetime
    until: datetime | None
    """None: it runs still."""

    def length(self, now: datetime) -> timedelta:
        """How long it lasted by a moment; never negative."""
        return max(_NONE, min(self.until or now, now) - self.since)


def occupancies(outcome: RolloutOutcome) -> Iterator[Occupancy]:
    """The times in which it ran without a break, in order; none of an outcome that is not stored,
    as it has no beginning."""
    since = outcome.metadata.creation_timestamp
    for each in outcome.status.interruptions:
        if since is not None:
            yield Occupancy(since, each.from_)
        since = each.until
    if since is not None:
        yield Occupancy(since, outcome.status.ended_at)


def longest_occupancy(outcome: RolloutOutcome, now: datetime) -> timedelta:
    """How long it ran without a break, running now or the longest that is over: the longer."""
    return max((each.length(now) for each in occupancies(outcome)), default=_NONE)


def running_since(outcome: RolloutOutcome) -> datetime | None:
    """Since when it runs without a break; None where it does not run now."""
    return next((each.since for each in occupancies(outcome) if each.until is None), None)


def open_interruption(outcome: RolloutOutcome) -> Interruption | None:
    """The interruption that it is in, if it is in one."""
    last = outcome.status.interruptions[-1:]
    return last[0] if last and last[0].until is None else None


def is_ended(outcome: RolloutOutcome) -> bool:
    """Whether it has ended, so that nothing is added to it but incidents."""
    return outcome.status.result is not None


def success_percent(outcome: RolloutOutcome) -> Decimal:
    """How many of its Pods did not fail, in percent with two places, rounded down so that it is
    never shown as more than `meets_percent` takes it for; 0.00 where none was seen."""
    good, total = _good(outcome)
    if not total:
        return Decimal("0.00")
    return (Decimal(100 * good) / total).quantize(Decimal("0.01"), rounding=ROUND_FLOOR)


def meets_percent(outcome: RolloutOutcome, percent: Decimal) -> bool:
    """Whether at least so many percent of its Pods did not fail, computed without rounding; never
    where none was seen."""
    good, total = _good(outcome)
    return total > 0 and Decimal(100 * good) >= percent * total


def incident_count(outcome: RolloutOutcome) -> int:
    """How many incidents were reported, of whatever severity."""
    return len(outcome.status.incidents)


def _good(outcome: RolloutOutcome) -> tuple[int, int]:
    """How many Pods did not fail, and of how many: of those that were seen ready, or, where more
    failed than were ever ready at one time, of those that failed."""
    pods = outcome.status.pods
    total = pods.seen if pods.seen > pods.failed else pods.failed
    return total - pods.failed, total if pods.seen else 0
