# SPDX-License-Identifier: Apache-2.0
"""What became of changes once they were rolled out, as outcomes tell it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from cabgate.api.base import first_problem
from cabgate.api.outcome import KIND, InterruptionReason, OutcomeResult, RolloutOutcome
from cabgate.outcomes.occupancy import open_interruption
from cabgate.reports.lives import Life

ROLLED_BACK_WITHIN = timedelta(days=7)
"""A change that is rolled back this long after it became available, or sooner, failed: figures are
of all rings, which have no soak time in common."""

SEVERE = 2
"""An incident of this severity or worse says that a change failed."""

RequestKey = tuple[str, str]
"""Namespace and name of a request."""


@dataclass(frozen=True)
class _Run:
    """An outcome among those of its workload."""

    outcome: RolloutOutcome
    began: datetime
    followed: datetime | None
    """When the workload became available with something else afterwards."""


@dataclass(frozen=True)
class Change:
    """A change that became available: what outcomes of one workload say that name one request.

    What was rolled back to, and what no request asked for, is no change: its outcome names none.
    """

    outcome: RolloutOutcome
    """The first that says that it failed, or else the first."""
    request: Life | None
    """What records say of its request, if they are there."""
    began: datetime
    """When it became available first."""
    failed: bool
    """Whether an outcome says Failed, it was rolled back soon, or a severe incident is tied to
    it."""
    time_to_restore: timedelta | None
    """From when it was seen to fail until its workload became available with something else; None
    where it did not, or where nothing says since when it failed."""

    @property
    def name(self) -> str:
        """Namespace and name of the outcome."""
        return f"{self.outcome.metadata.namespace}/{self.outcome.metadata.name}"

    @property
    def lead_time(self) -> timedelta | None:
        """From the creation of its request until it became available first; None where no record
        says when that was."""
        opened = None if self.request is None else self.request.opened
        return None if opened is None else self.began - opened


def outcomes_in(raws: Iterable[Mapping[str, Any]]) -> tuple[list[RolloutOutcome], list[str]]:
    """Stored outcomes, and of each that this release cannot read which one it is and why."""
    found, unread = [], []
    for raw in raws:
        try:
            found.append(RolloutOutcome.model_validate(raw))
        except ValidationError as error:
            metadata = raw.get("metadata") or {}
            name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
            problem = first_problem(error)
            unread.append(f"{KIND} {name} cannot be read: {problem.path}: {problem.message}")
    return found, unread


def changes_of(outcomes: Iterable[RolloutOutcome], lives: Iterable[Life]) -> list[Change]:
    """The changes that some outcomes tell of, with what records say of their requests.

    Of several contents of one outcome, as an event store has them, the last counts: what an outcome
    says only grows. A request that several workloads were rolled out for is a change of each.
    """
    requests = {(each.namespace, each.entries[0].spec.subject.name): each for each in lives}
    found = []
    for runs in _by_workload(_newest(outcomes)):
        by_request: dict[RequestKey, list[_Run]] = defaultdict(list)
        for run in runs:
            if (request := request_of(run.outcome)) is not None:
                by_request[request].append(run)
        for request, some in by_request.items():
            telling = next((run for run in some if _failed(run)), some[0])
            found.append(
                Change(
                    telling.outcome,
                    requests.get(request),
                    began=some[0].began,
                    failed=_failed(telling),
                    time_to_restore=_time_to_restore(telling),
                )
            )
    return sorted(found, key=lambda each: (each.began, each.name))


def request_of(outcome: RolloutOutcome) -> RequestKey | None:
    """The request that an outcome names."""
    name = outcome.spec.request_name
    return None if name is None else (outcome.metadata.namespace, name)


def releases_of(outcomes: Iterable[RolloutOutcome]) -> Mapping[RequestKey, str]:
    """The release that each request belonged to, as far as outcomes say."""
    return {
        request: outcome.spec.release
        for outcome in outcomes
        if outcome.spec.release is not None and (request := request_of(outcome)) is not None
    }


def _failed(run: _Run) -> bool:
    status = run.outcome.status
    if status.result is OutcomeResult.FAILED or _severe(run.outcome):
        return True
    if status.result is not OutcomeResult.ROLLED_BACK or status.ended_at is None:
        return False
    return status.ended_at - run.began <= ROLLED_BACK_WITHIN


def _time_to_restore(run: _Run) -> timedelta | None:
    if run.followed is None or not _failed(run):
        return None
    moments, interruption = _severe(run.outcome), open_interruption(run.outcome)
    if interruption is not None and interruption.reason is InterruptionReason.UNAVAILABLE:
        moments.append(interruption.from_)
    seen = [moment for moment in moments if moment <= run.followed]
    return run.followed - min(seen) if seen else None


def _severe(outcome: RolloutOutcome) -> list[datetime]:
    return [each.at for each in outcome.status.incidents if each.severity <= SEVERE]


def _newest(outcomes: Iterable[RolloutOutcome]) -> Iterable[RolloutOutcome]:
    found: dict[str, RolloutOutcome] = {}
    for each in outcomes:
        key = each.metadata.uid or f"{each.metadata.namespace}/{each.metadata.name}"
        if key not in found or _grown(found[key]) < _grown(each):
            found[key] = each
    return found.values()


def _grown(outcome: RolloutOutcome) -> tuple[int, ...]:
    """What orders the contents of an outcome: none of it falls."""
    status = outcome.status
    over = sum(each.until is not None for each in status.interruptions)
    said = len(status.interruptions) + over + len(status.incidents)
    return (status.result is not None, said + status.pods.seen + status.pods.failed)


def _by_workload(outcomes: Iterable[RolloutOutcome]) -> Iterable[Sequence[_Run]]:
    """The outcomes of each workload, in the order in which they began."""
    found: dict[tuple[str, ...], list[tuple[datetime, str, RolloutOutcome]]] = defaultdict(list)
    for each in outcomes:
        metadata, target = each.metadata, each.spec.target
        if metadata.creation_timestamp is not None:  # no API server has it yet
            group = target.api_version.rpartition("/")[0]
            key = (metadata.namespace, group, target.kind, target.name)
            found[key].append((metadata.creation_timestamp, metadata.name, each))
    for some in found.values():
        some.sort(key=lambda each: each[:2])
        ends = [*(began for began, _, _ in some[1:]), None]
        yield [
            _Run(outcome, began, end) for (began, _, outcome), end in zip(some, ends, strict=True)
        ]
