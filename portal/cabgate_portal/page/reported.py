# SPDX-License-Identifier: Apache-2.0
"""What the figures of the dashboard are made of, as far as whoever looks may read it."""

from collections.abc import Awaitable

from cabgate.api import RolloutOutcome
from cabgate.text.inert import inert
from cabgate_kube.resources import DECISIONS, OUTCOMES, Object
from cabgate_portal.problems import Problem
from cabgate_portal.reading import Notes, Reader, all_readable


async def records_of(reader: Reader, namespace: str, notes: Notes) -> list[Object] | None:
    """The records of the ledger; None where they may not be read, or are too many."""
    fields = f"spec.subject.namespace={namespace}" if namespace else ""
    return await _unless_denied(reader.api.all(DECISIONS, fields=fields), "the ledger", notes)


async def outcomes_of(reader: Reader, namespace: str, notes: Notes) -> list[RolloutOutcome] | None:
    """What became of rollouts; None where nothing did, or it may not be read, or is too much."""
    found = await _unless_denied(reader.api.all(OUTCOMES, namespace), "rollouts", notes)
    return await all_readable(RolloutOutcome, found, notes) if found else None


async def _unless_denied(
    reading: Awaitable[list[Object]], what: str, notes: Notes
) -> list[Object] | None:
    try:
        return await reading
    except Problem as problem:
        if problem.status not in (403, 422):
            raise
        notes.texts.append(f"the figures of {what}: {inert(problem.detail)}")
        return None
