# SPDX-License-Identifier: Apache-2.0
"""A report over records of the ledger: figures of all of them, and of groups."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from cabgate.api.decision import CABDecision
from cabgate.api.outcome import RolloutOutcome
from cabgate.reports.counting import Value
from cabgate.reports.figures import FIGURES
from cabgate.reports.lives import Life, lives
from cabgate.reports.rollouts import Change, RequestKey, changes_of, releases_of
from cabgate.reports.scope import Scope


class By(StrEnum):
    """What figures are given for, beside all of it."""

    NAMESPACE = "namespace"
    RING = "ring"
    INTENT = "intent"
    RELEASE = "release"
    TIER = "tier"
    SCORE = "score"


UNKNOWN = "unknown"
"""The group of what records of an earlier release do not say."""

_BANDS = (25, 50, 75, 100)
"""Upper ends of the bands of scores."""

_KEYS: Mapping[By, Callable[[Life], str]] = {
    By.NAMESPACE: lambda life: life.namespace,
    By.RING: lambda life: UNKNOWN if life.ring is None else str(life.ring),
    By.INTENT: lambda life: f"{life.namespace}/{life.intent}" if life.intent else UNKNOWN,
    By.TIER: lambda life: UNKNOWN if life.tier is None else life.tier.value,
    By.SCORE: lambda life: UNKNOWN if life.score is None else band_of(life.score),
}

_KEYS_OF_ROLLOUTS: Mapping[By, Callable[[RolloutOutcome], str]] = {
    By.NAMESPACE: lambda outcome: outcome.metadata.namespace,
    By.RING: lambda outcome: str(outcome.spec.ring),
    By.INTENT: lambda outcome: f"{outcome.metadata.namespace}/{outcome.spec.intent_name}",
    By.RELEASE: lambda outcome: outcome.spec.release or UNKNOWN,
}
"""What outcomes say themselves; for the others their request is asked."""


def band_of(score: str) -> str:
    """The band of a score: `0 to 25`, `25.01 to 50` and so on, so that tiers of the built-in model
    are whole bands."""
    last = next(end for end in _BANDS if Decimal(score) <= end)
    return f"0 to {last}" if last == _BANDS[0] else f"{last - _BANDS[0]}.01 to {last}"


@dataclass(frozen=True)
class Group:
    """The figures of a part of the records."""

    name: str
    """Empty for all of them."""
    scope: Scope
    values: Mapping[str, Value]
    """By the names of the figures."""


@dataclass(frozen=True)
class Missing:
    """Records that a chain had and that were not given."""

    namespace: str
    first: int
    """Position of the first that is missing."""
    last: int
    """Position of the last that is missing."""


@dataclass(frozen=True)
class Report:
    """What became of requests and exceptions from `since` to before `until`."""

    since: datetime
    until: datetime
    by: By | None
    records: int
    """Records that it was made of, of any time."""
    total: Group
    groups: Sequence[Group]
    missing: Sequence[Missing]
    """What may be missing in it: records that were not given."""


def report(
    records: Iterable[CABDecision],
    since: datetime,
    until: datetime,
    by: By | None = None,
    outcomes: Iterable[RolloutOutcome] | None = None,
) -> Report:
    """The report over some records, and over what became of rollouts, where that was read. What
    came before `since` is wanted, too: what was decided then may have been opened earlier, and an
    exception been approved. Raises `ValueError` for a time that ends before it begins."""
    if since >= until:
        raise ValueError("the time of a report has to end after it begins")
    every = list(records)
    found = lives(every)
    known = None if outcomes is None else list(outcomes)
    changes = None if known is None else changes_of(known, found)
    total = Scope(found, since, until, changes)
    return Report(
        *(since, until, by, len({record.metadata.name for record in every})),
        total=_group("", total),
        groups=[] if by is None else _groups(total, by, releases_of(known or ())),
        missing=_missing(every),
    )


def _groups(whole: Scope, by: By, releases: Mapping[RequestKey, str]) -> list[Group]:
    def of_life(life: Life) -> str:
        if by is By.RELEASE:
            return releases.get((life.namespace, life.request_name), UNKNOWN)
        return _KEYS[by](life)

    def of_change(change: Change) -> str:
        if by in _KEYS_OF_ROLLOUTS:
            return _KEYS_OF_ROLLOUTS[by](change.outcome)
        return UNKNOWN if change.request is None else of_life(change.request)

    some_lives, some_changes = defaultdict(list), defaultdict(list)
    for life in whole.lives:
        some_lives[of_life(life)].append(life)
    for change in whole.rollouts or ():
        some_changes[of_change(change)].append(change)
    groups = []
    for name in sorted({*some_lives, *some_changes}):
        changes = None if whole.rollouts is None else some_changes[name]
        scope = Scope(some_lives[name], whole.since, whole.until, changes)
        if scope.rolled_out or any(_is_within(e, scope.since, scope.until) for e in scope.lives):
            groups.append(_group(name, scope))
    return groups


def _group(name: str, scope: Scope) -> Group:
    return Group(name, scope, {figure.name: figure.of(scope) for figure in FIGURES})


def _is_within(life: Life, since: datetime, until: datetime) -> bool:
    """Whether anything of it is of a time."""
    moments = [e.spec.at for e in life.entries]
    start, end = life.in_force or (since, since)
    return any(since <= moment < until for moment in moments) or (start < until and end > since)


def _missing(records: Iterable[CABDecision]) -> list[Missing]:
    chains: dict[str, set[int]] = {}
    for record in records:
        chains.setdefault(record.spec.subject.namespace, set()).add(record.spec.sequence)
    found = []
    for namespace, positions in sorted(chains.items()):
        last = 0
        for position in sorted(positions):
            if position > last + 1:
                found.append(Missing(namespace, last + 1, position - 1))
            last = position
    return found
