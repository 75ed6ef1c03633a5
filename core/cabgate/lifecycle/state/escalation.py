# SPDX-License-Identifier: Apache-2.0
"""How far a request has escalated that waits for its approvals: derived from its frozen terms, from
when it began to wait, and from the time. Nothing here is stored, so that nobody moves it."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cabgate.api.stored_terms import StoredEscalation, StoredTerms


def level(terms: StoredTerms | None, opened_at: datetime | None, now: datetime) -> int:
    """The level that is reached; 0 before the first, and where the terms have none."""
    return max((step.level for step in _reached(terms, opened_at, now)), default=0)


def also_deciding(
    terms: StoredTerms | None, opened_at: datetime | None, now: datetime
) -> frozenset[str]:
    """The verbs whose holders decide by now beside those that the terms ask for. A level takes
    nothing away that one before it gave."""
    reached = _reached(terms, opened_at, now)
    return frozenset(step.also_decides for step in reached if step.also_decides is not None)


def reached_at(
    terms: StoredTerms | None, opened_at: datetime | None, now: datetime
) -> datetime | None:
    """When the level that is reached was; None where it is 0."""
    reached = list(_reached(terms, opened_at, now))
    if opened_at is None or not reached:
        return None
    highest = max(step.level for step in reached)
    return opened_at + min(_age(step) for step in reached if step.level == highest)


def decides_from(
    terms: StoredTerms | None, opened_at: datetime | None, verb: str
) -> datetime | None:
    """From when on the holders of a verb decide as well; None where they never do."""
    if terms is None or opened_at is None:
        return None
    ages = [_age(step) for step in terms.escalation if step.also_decides == verb]
    return opened_at + min(ages) if ages else None


def _reached(
    terms: StoredTerms | None, opened_at: datetime | None, now: datetime
) -> Iterator[StoredEscalation]:
    if terms is not None and opened_at is not None:
        yield from (step for step in terms.escalation if opened_at + _age(step) <= now)


def _age(step: StoredEscalation) -> timedelta:
    return timedelta(seconds=step.after_seconds)
