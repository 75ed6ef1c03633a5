# SPDX-License-Identifier: Apache-2.0
"""What became of changes once they were rolled out, as outcomes tell it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from cabgate.api.decision import SubjectKind
from cabgate.api.outcome import KIND, InterruptionReason, OutcomeResult, RolloutOutcome
from cabgate.ledger.findings import unreadable
from cabgate.outcomes.occupancy import open_interruption
from cabgate.outcomes.writing import age_of_outcome, workload_of
from cabgate.reports.lives import Life
from cabgate.rollout.targets import Workload
from cabgate.text.moments import EARLIEST

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
    ran_since: datetime
    """Since when its workload ran what it says: earlier than it began where it follows one of
    another ring, release, intent or request that said the same."""
    followed: datetime | None
    """When the workload became available with something else afterwards."""

    @property
    def same_as_before(self) -> bool:
        """Whether nothing was rolled out as it began."""
        return self.ran_since < self.began


@dataclass(frozen=True)
class Change:
    """A change that became available: what outcomes of one workload say that name one request.

    What was rolled back to, and what no request asked for, is no change: its outcome names none.
    Nor is what ran already when its request came.
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
            finding = unreadable(KIND, raw, error)
            unread.append(f"{finding.where} cannot be read: {finding.message}")
    return found, unread


def changes_of(outcomes: Iterable[RolloutOutcome], lives: Iterable[Life]) -> list[Change]:
    """The changes that some outcomes tell of, with what records say of their requests.

    Of several contents of one outcome, as an event store has them, the last counts: what an outcome
    says only grows. A request that several workloads were rolled out for is a change of each.
    """
    requests: dict[RequestKey, list[Life]] = defaultdict(list)
    for each in lives:
        if each.kind is SubjectKind.REQUEST:
            requests[each.namespace, each.request_name].append(each)
    found = []
    for runs in _by_workload(_newest(outcomes)):
        by_request: dict[tuple[RequestKey, str], tuple[Life | None, list[_Run]]] = {}
        for run in runs:
            if (request := request_of(run.outcome)) is not None:
                asked = _asked_for(requests[request], run.began)
                uid = "" if asked is None else asked.uid
                by_request.setdefault((request, uid), (asked, []))[1].append(run)
        for life, some in by_request.values():
            if some[0].same_as_before:
                continue
            telling = next((run for run in some if _failed(run)), some[0])
            found.append(
                Change(
                    telling.outcome,
                    life,
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


def _asked_for(named: Sequence[Life], began: datetime) -> Life | None:
    """The request of some of one name that an outcome names: the last that was there by then. They
    have one name where a namespace was deleted and made anew."""
    there = [each for each in named if each.opened is None or each.opened <= began]
    return max(there, key=lambda each: each.opened or EARLIEST, default=None)


def releases_of(outcomes: Iterable[RolloutOutcome]) -> Mapping[RequestKey, str]:
    """The release that each request belonged to at last, as far as outcomes say."""
    return {
        request: outcome.spec.release
        for outcome in sorted(outcomes, key=age_of_outcome)
        if outcome.spec.release is not None and (request := request_of(outcome)) is not None
    }


def _failed(run: _Run) -> bool:
    status = run.outcome.status
    if status.result is OutcomeResult.FAILED or _severe(run.outcome):
        return True
    if status.result is not OutcomeResult.ROLLED_BACK or status.ended_at is None:
        return False
    return status.ended_at - run.ran_since <= ROLLED_BACK_WITHIN


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
    found: dict[tuple[str, Workload], list[RolloutOutcome]] = defaultdict(list)
    for each in outcomes:
        if each.metadata.creation_timestamp is not None:  # no API server has it yet
            found[each.metadata.namespace, workload_of(each.spec.target)].append(each)
    for some in found.values():
        some.sort(key=age_of_outcome)
        yield [*_runs(some)]


def _runs(outcomes: Sequence[RolloutOutcome]) -> Iterable[_Run]:
    """Those of one workload, the oldest first."""
    stretches: list[list[RolloutOutcome]] = []
    for outcome in outcomes:
        if stretches and _goes_on(stretches[-1][-1], outcome):
            stretches[-1].append(outcome)
        else:
            stretches.append([outcome])
    begins = [_began(stretch[0]) for stretch in stretches]
    for stretch, since, followed in zip(stretches, begins, [*begins[1:], None], strict=True):
        for outcome in stretch:
            yield _Run(outcome, _began(outcome), since, followed)


def _goes_on(before: RolloutOutcome, after: RolloutOutcome) -> bool:
    """Whether what ran before went on running as another outcome began. What is gone did not, nor
    what nobody saw end: its namespace was deleted."""
    if before.status.result in (None, OutcomeResult.SUCCEEDED):
        return False
    return (before.spec.images, before.spec.template) == (after.spec.images, after.spec.template)


def _began(outcome: RolloutOutcome) -> datetime:
    created = outcome.metadata.creation_timestamp
    if created is None:
        raise ValueError(f"{outcome.metadata.name}: no API server has it yet")
    return created
