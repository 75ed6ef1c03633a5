# SPDX-License-Identifier: Apache-2.0
"""Which freezes hold for a rollout at a moment, since when and until when.

Derived from stored ChangeFreezes and a clock, never stored: a freeze begins and ends by itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from cabgate.api.changefreeze import (
    ChangeFreeze,
    ChangeFreezeSpec,
    FreezeKind,
    FreezeOperator,
    FreezeSelector,
)
from cabgate.lifecycle.requests.terms import unknown_fields
from cabgate.rollout.rings import HIGHEST
from cabgate.text.moments import EARLIEST, LATEST

RawObject = Mapping[str, Any]


@dataclass(frozen=True)
class Interval:
    """From a moment until another, which is no longer in it."""

    begins: datetime
    ends: datetime
    titles: tuple[str, ...] = ()
    """What it is called, or those that were merged into it."""

    def holds(self, moment: datetime) -> bool:
        """Whether a moment is in it."""
        return self.begins <= moment < self.ends


@dataclass(frozen=True)
class FreezeInForce:
    """A freeze that holds at a moment."""

    name: str
    """Name of the ChangeFreeze."""
    title: str
    """What people call it."""
    since: datetime
    """When it began, or was declared if that was later."""
    until: datetime | None
    """When it ends; None where no end is known."""
    declared: datetime
    """When it was created: an approval of before overrides nothing of it."""
    after: datetime = EARLIEST
    """When its last interval before this one was over, or the window that was open last began: an
    approval of before overrode that one."""


@dataclass(frozen=True)
class KnownFreeze:
    """A freeze as far as it can be read."""

    name: str
    """Name of the ChangeFreeze."""
    title: str
    """What people call it; its name where that cannot be read."""
    kind: FreezeKind
    declared: datetime
    """When it was created."""
    intervals: Sequence[Interval]
    selector: FreezeSelector | None = None
    ring_from: int = 0


def freezes_in_force(
    freezes: Iterable[RawObject], namespace_labels: Mapping[str, str], ring: int, now: datetime
) -> list[FreezeInForce]:
    """The freezes that hold for rollouts of a ring in a namespace, by name.

    `freezes` are all that there are, as the API server has them. Within a Freeze each holds by
    itself. Outside of every interval of the Windows that are about the namespace, all of these hold
    together. One that this release cannot read, or that says more than it knows, is taken for a
    Freeze for everybody within its intervals: from its beginning on where the end of one cannot be
    read, until its end where the beginning cannot, and at no time where neither can. Of such a
    Window nobody knows when it is open: it holds at any time, where it is about the namespace as
    far as that can be read.
    """
    return in_force(read_freezes(freezes), namespace_labels, ring, now)


def declared_by(freezes: Iterable[RawObject], moment: datetime) -> list[RawObject]:
    """Those of some freezes that were there at a moment, or that no API server has yet."""
    return [each for each in freezes if _declared(each) <= moment]


def read_freezes(freezes: Iterable[RawObject]) -> list[KnownFreeze]:
    """All freezes that there are, to be asked about several namespaces."""
    return [_read(each) for each in freezes]


def in_force(
    freezes: Iterable[KnownFreeze], namespace_labels: Mapping[str, str], ring: int, now: datetime
) -> list[FreezeInForce]:
    """As `freezes_in_force`, of freezes that were read."""
    return of_these(about(freezes, namespace_labels, ring), now)


def may_hold(freezes: Iterable[KnownFreeze], now: datetime) -> bool:
    """Whether one of some freezes holds at a moment for anybody, whatever its namespace and ring:
    where none does, neither need be known."""
    # One at a time: another Window, open now, may be about other namespaces.
    return any(of_these([each], now) for each in freezes)


def about(
    freezes: Iterable[KnownFreeze], namespace_labels: Mapping[str, str], ring: int
) -> list[KnownFreeze]:
    """Those of some freezes that are about rollouts of a ring in a namespace, at any time."""
    return [each for each in freezes if _is_about(each, namespace_labels, ring)]


def of_these(about: Sequence[KnownFreeze], now: datetime) -> list[FreezeInForce]:
    """As `freezes_in_force`, of all freezes that are about some rollouts."""
    found = []
    windows = [each for each in about if each.kind is FreezeKind.WINDOW]
    for each in about:
        if each.kind is FreezeKind.FREEZE:
            within = _merged_at(each.intervals, now)
            if within is not None:
                earlier = [span.ends for span in each.intervals if span.ends <= within.begins]
                after = max(earlier, default=EARLIEST)
                found.append(_in_force(each, within.begins, within.ends, after))
    open_times = [interval for each in windows for interval in each.intervals]
    if windows and not any(each.holds(now) for each in open_times):
        closed = max((each.ends for each in open_times if each.ends <= now), default=EARLIEST)
        opens = min((each.begins for each in open_times if now < each.begins), default=None)
        after = max((each.begins for each in open_times if each.begins <= now), default=EARLIEST)
        found += [_in_force(each, closed, opens, after) for each in windows]
    return sorted(found, key=lambda each: each.name)


def merged(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """The same time in as few intervals as can be, by their beginning; what ends before it begins
    is no time."""
    around: Interval | None = None
    for each in sorted(intervals, key=attrgetter("begins")):
        if each.ends <= each.begins:
            continue
        if around is None:
            around = each
        elif each.begins <= around.ends:
            titles = tuple(dict.fromkeys((*around.titles, *each.titles)))
            around = Interval(around.begins, max(around.ends, each.ends), titles)
        else:
            yield around
            around = each
    if around is not None:
        yield around


def not_overridden(
    freezes: Iterable[FreezeInForce], overrides: Mapping[str, datetime]
) -> list[FreezeInForce]:
    """Those of some freezes that no approval overrides. `overrides` are the names of freezes with
    the moment at which each was last named: one that was declared after that is another freeze, and
    what was named for an interval that is over is good for no later one."""
    return [
        each
        for each in freezes
        if each.name not in overrides or overrides[each.name] < max(each.declared, each.after)
    ]


def next_edge(
    freezes: Iterable[KnownFreeze], namespace_labels: Mapping[str, str], ring: int, now: datetime
) -> datetime | None:
    """The next moment at which an interval of some freezes begins or ends that is about rollouts of
    a ring in a namespace; None after the last."""
    edges = (
        edge
        for each in freezes
        if _is_about(each, namespace_labels, ring)
        for span in each.intervals
        for edge in (span.begins, span.ends)
    )
    return min((edge for edge in edges if now < edge < LATEST), default=None)


def overridden_already(
    freezes: Iterable[KnownFreeze],
    namespace_labels: Mapping[str, str],
    overrides: Mapping[str, datetime],
    now: datetime,
) -> list[str]:
    """The names of those of some freezes that approvals override as far as another one could: for
    what of them holds now, or for what comes next."""
    known = list(freezes)
    windows = [each for each in known if each.kind is FreezeKind.WINDOW]
    opened = [
        span.begins
        for each in windows
        if _is_about(each, namespace_labels, HIGHEST)
        for span in each.intervals
    ]
    found = []
    for each in known:
        if each.kind is FreezeKind.WINDOW:
            past = [*opened, *(span.begins for span in each.intervals)]
        else:
            past = [span.ends for span in merged(each.intervals)]
        since = max([each.declared, *(moment for moment in past if moment <= now)])
        if each.name in overrides and overrides[each.name] >= since:
            found.append(each.name)
    return found


def without_rollbacks(
    freezes: Iterable[FreezeInForce], ran: Iterable[datetime]
) -> list[FreezeInForce]:
    """Those of some freezes that a rollout is no rollback of before: what it is to run, its
    workload ran from one of some moments on."""
    first = min(ran, default=None)
    # What was made in the very second in which a freeze began may have been made in it.
    return [each for each in freezes if first is None or each.since <= first]


def _in_force(
    freeze: KnownFreeze, begins: datetime, ends: datetime | None, after: datetime
) -> FreezeInForce:
    since, until = max(begins, freeze.declared), None if ends == LATEST else ends
    return FreezeInForce(freeze.name, freeze.title, since, until, freeze.declared, after)


def _merged_at(intervals: Sequence[Interval], now: datetime) -> Interval | None:
    """The time around a moment that is in one interval or the next without a gap; None where it is
    in none."""
    if not any(each.holds(now) for each in intervals):
        return None
    return next((each for each in merged(intervals) if each.holds(now)), None)


def _is_about(freeze: KnownFreeze, labels: Mapping[str, str], ring: int) -> bool:
    if ring < freeze.ring_from:
        return False
    terms = () if freeze.selector is None else freeze.selector.match_expressions
    return all(
        (labels.get(term.key) in term.values) is (term.operator is FreezeOperator.IN)
        for term in terms
    )


def _read(raw: RawObject) -> KnownFreeze:
    metadata = raw.get("metadata") or {}
    name = str(metadata.get("name", ""))
    declared = _declared(raw)
    spec = raw.get("spec")
    listed = spec.get("intervals") if isinstance(spec, Mapping) else None
    every = listed if isinstance(listed, list) else []
    intervals = [found for each in every if (found := _interval(each)) is not None]
    known = _known(raw) if len(intervals) == len(every) and all(map(_is_known, every)) else None
    if known is None:
        title = f"{name}, which this release of cabgate cannot read"
        if isinstance(spec, Mapping) and spec.get("kind") == FreezeKind.WINDOW:
            return KnownFreeze(name, title, FreezeKind.FREEZE, declared, _ALWAYS, *_reach_of(spec))
        parts = [found for each in every if (found := _part_of_interval(each)) is not None]
        return KnownFreeze(name, title, FreezeKind.FREEZE, declared, parts)
    about = (known.namespace_selector, known.ring_from or 0)
    return KnownFreeze(name, known.title, known.kind, declared, intervals, *about)


_ALWAYS = (Interval(EARLIEST, LATEST),)


def _reach_of(said: RawObject) -> tuple[FreezeSelector | None, int]:
    """Selector and lowest ring of a freeze that cannot be read as a whole; everybody where they
    cannot be read either."""
    selector, ring_from = said.get("namespaceSelector"), said.get("ringFrom")
    known = ring_from if type(ring_from) is int and ring_from <= HIGHEST else 0
    try:
        found = None if selector is None else FreezeSelector.model_validate(selector)
    except ValidationError:
        return None, known
    if found is not None and unknown_fields(selector, found.to_dict(), ""):
        found = None
    return found, known


def _declared(raw: RawObject) -> datetime:
    return _moment((raw.get("metadata") or {}).get("creationTimestamp")) or EARLIEST


def _known(raw: RawObject) -> ChangeFreezeSpec | None:
    """What a freeze says beside its intervals; None if it cannot be read, or says more than this
    release knows."""
    try:
        # With one of its intervals: all 400 would take the model milliseconds, at each rollout.
        said = {**raw["spec"], "intervals": raw["spec"]["intervals"][:1]}
        spec = ChangeFreeze.model_validate({**raw, "spec": said}).spec
    except (ValidationError, LookupError, TypeError):
        return None
    return None if unknown_fields(said, spec.to_dict(), "spec") else spec


def _is_known(interval: object) -> bool:
    return isinstance(interval, Mapping) and interval.keys() <= _FIELDS_OF_INTERVAL


_FIELDS_OF_INTERVAL = {"from", "until", "title"}


def _interval(value: object) -> Interval | None:
    if not isinstance(value, Mapping):
        return None
    begins, ends = _moment(value.get("from")), _moment(value.get("until"))
    return None if begins is None or ends is None else Interval(begins, ends)


def _part_of_interval(value: object) -> Interval | None:
    """What is frozen by an interval of which no more than one end can be read: all from its
    beginning on, or all until its end. None where neither can be."""
    if not isinstance(value, Mapping):
        return None
    begins, ends = _moment(value.get("from")), _moment(value.get("until"))
    if begins is None and ends is None:
        return None
    return Interval(begins or EARLIEST, ends or LATEST)


_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def _moment(value: object) -> datetime | None:
    """A moment as the schema takes it and the API server writes it."""
    if not isinstance(value, str) or _MOMENT.fullmatch(value) is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
