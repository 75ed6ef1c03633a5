# SPDX-License-Identifier: Apache-2.0
"""A report over records of the ledger: figures of all of them, and of groups."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cabgate.api.decision import CABDecision
from cabgate.reports.figures import FIGURES, Value
from cabgate.reports.lives import Life, lives
from cabgate.reports.scope import Scope


class By(StrEnum):
    """What figures are given for, beside all of it."""

    NAMESPACE = "namespace"
    RING = "ring"
    INTENT = "intent"


UNKNOWN = "unknown"
"""The group of what records of an earlier release do not say."""

_KEYS: Mapping[By, Callable[[Life], str]] = {
    By.NAMESPACE: lambda life: life.namespace,
    By.RING: lambda life: UNKNOWN if life.ring is None else str(life.ring),
    By.INTENT: lambda life: f"{life.namespace}/{life.intent}" if life.intent else UNKNOWN,
}


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
) -> Report:
    """The report over some records. What came before `since` is wanted, too: what was decided then
    may have been opened earlier, and an exception been approved. Raises `ValueError` for a time
    that ends before it begins."""
    if since >= until:
        raise ValueError("the time of a report has to end after it begins")
    every = list(records)
    found = lives(every)
    by_group: dict[str, list[Life]] = {}
    if by is not None:
        for life in found:
            by_group.setdefault(_KEYS[by](life), []).append(life)
    groups = [
        _group(name, Scope(some, since, until))
        for name, some in sorted(by_group.items())
        if any(_is_within(life, since, until) for life in some)
    ]
    return Report(
        *(since, until, by, len({record.metadata.name for record in every})),
        total=_group("", Scope(found, since, until)),
        groups=groups,
        missing=_missing(every),
    )


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
