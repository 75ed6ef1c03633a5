# SPDX-License-Identifier: Apache-2.0
"""Which freezes hold at a moment, and where; and in the coming weeks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.changefreeze import NAME_LABEL, OVERRIDE, PLURAL, POLICY_LABEL, FreezeKind
from cabgate.lifecycle.limits.freezes import (
    FreezeInForce,
    KnownFreeze,
    about,
    in_force,
    not_overridden,
    of_these,
    read_freezes,
)
from cabgate.lifecycle.limits.planned import ahead
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.rings import GATED_FROM, HIGHEST
from cabgate.text.moments import rfc3339

MAX_NAMED = 3
"""Namespaces that are named of many."""

_Rings = tuple[int, ...]
_Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OverrideRight:
    """What RBAC gives who may override a freeze, in a namespace or everywhere."""

    verb: str
    resource: str
    name: str


@dataclass(frozen=True, slots=True)
class HeldFreeze:
    """A freeze that holds for some rings of some namespaces."""

    name: str
    title: str
    since: str
    until: str | None
    """When it ends there; None where no end is known."""
    rings: tuple[int, ...]
    namespaces: tuple[str, ...]
    override: OverrideRight


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A time in which a Window lets rollouts in, of some rings of some namespaces."""

    name: str
    title: str
    since: str
    until: str
    rings: tuple[int, ...]
    namespaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is frozen, and when it will be."""

    now: tuple[HeldFreeze, ...]
    """What holds now, by name."""
    coming: tuple[HeldFreeze, ...]
    """What begins later, by its beginning."""
    outside: frozenset[str]
    """Names of the Windows: what holds of them does so outside of their times."""
    windows: tuple[OpenWindow, ...]
    """When windows are open, now or later, by their beginning. A Freeze holds within them, too."""


@dataclass(frozen=True)
class _Scope:
    """Rings of namespaces about which there are the same freezes."""

    freezes: Sequence[KnownFreeze]
    places: list[tuple[str, int]]


def held_freezes(
    freezes: Iterable[Mapping[str, Any]],
    namespaces: Mapping[str, Mapping[str, str]],
    settings: InstallationSettings,
    at: datetime,
) -> list[HeldFreeze]:
    """The freezes that hold at a moment, by name; `namespaces` are labels by name.

    Where a freeze ends differently for some namespaces or holds for other rings, as a Window may,
    there is one entry for each. Rings below that of the namespace are none that a rollout has.
    """
    return _held_at(_scopes(read_freezes(freezes), namespaces, settings), at)


def calendar(
    freezes: Iterable[Mapping[str, Any]],
    namespaces: Mapping[str, Mapping[str, str]],
    settings: InstallationSettings,
    now: datetime,
    until: datetime,
) -> Calendar:
    """What `held_freezes` says now and at each later moment until another at which that changes,
    and when windows are open in that time."""
    scopes = _scopes(read_freezes(freezes), namespaces, settings)
    known = {id(each): each for scope in scopes for each in scope.freezes}.values()
    # A Freeze holds from the beginning of its intervals on, a Window from their end on.
    begins = {
        moment
        for each in known
        for interval in each.intervals
        for moment in [interval.ends if each.kind is FreezeKind.WINDOW else interval.begins]
        if now < moment < until
    }
    held = _held_at(scopes, now)
    coming = {each: None for moment in sorted(begins) for each in _held_at(scopes, moment)}
    windows = (
        OpenWindow(each.name, each.title, rfc3339(open_.begins), rfc3339(open_.ends), *where)
        for each in known
        if each.kind is FreezeKind.WINDOW
        for where in _where(scopes, each)
        for open_ in ahead(each.intervals, now, until)
    )
    return Calendar(
        now=tuple(held),
        coming=tuple(each for each in coming if each not in held),
        outside=frozenset(each.name for each in known if each.kind is FreezeKind.WINDOW),
        windows=tuple(sorted(windows, key=lambda each: (each.since, each.name, each.namespaces))),
    )


def _scopes(
    known: Sequence[KnownFreeze],
    namespaces: Mapping[str, Mapping[str, str]],
    settings: InstallationSettings,
) -> list[_Scope]:
    """What there is to ask about: once for all namespaces that have the same freezes."""
    found: dict[tuple[int, ...], _Scope] = {}
    for namespace, own in sorted(namespaces.items()):
        if POLICY_LABEL not in own or settings.excludes(namespace):
            continue
        labels = {**own, NAME_LABEL: namespace}
        for ring in range(max(GATED_FROM, settings.namespace_ring(namespace, labels)), HIGHEST + 1):
            these = about(known, labels, ring)
            scope = found.setdefault(tuple(map(id, these)), _Scope(these, []))
            scope.places.append((namespace, ring))
    return list(found.values())


def _held_at(scopes: Sequence[_Scope], at: datetime) -> list[HeldFreeze]:
    rings: dict[tuple[FreezeInForce, str], list[int]] = {}
    for scope in scopes:
        for each in of_these(scope.freezes, at):
            for namespace, ring in scope.places:
                rings.setdefault((each, namespace), []).append(ring)
    places: dict[tuple[FreezeInForce, tuple[int, ...]], list[str]] = {}
    for (each, namespace), of in rings.items():
        places.setdefault((each, tuple(sorted(of))), []).append(namespace)
    found = [_held(each, of, sorted(names)) for (each, of), names in places.items()]
    return sorted(found, key=lambda each: (each.name, each.namespaces))


def _where(scopes: Sequence[_Scope], freeze: KnownFreeze) -> list[tuple[_Rings, _Names]]:
    """The rings that a freeze is about, with the namespaces in which it is these."""
    rings: dict[str, list[int]] = {}
    for scope in scopes:
        if any(each is freeze for each in scope.freezes):
            for namespace, ring in scope.places:
                rings.setdefault(namespace, []).append(ring)
    places: dict[_Rings, list[str]] = {}
    for namespace, of in sorted(rings.items()):
        places.setdefault(tuple(sorted(of)), []).append(namespace)
    return [(of, tuple(names)) for of, names in places.items()]


def _held(freeze: FreezeInForce, rings: tuple[int, ...], namespaces: list[str]) -> HeldFreeze:
    return HeldFreeze(
        name=freeze.name,
        title=freeze.title,
        since=rfc3339(freeze.since),
        until=None if freeze.until is None else rfc3339(freeze.until),
        rings=rings,
        namespaces=tuple(namespaces),
        override=OverrideRight(OVERRIDE, f"{PLURAL}.cabgate.dev", freeze.name),
    )


def frozen_text(
    freezes: Iterable[KnownFreeze],
    labels: Mapping[str, str],
    ring: int,
    overrides: Mapping[str, datetime],
    now: datetime,
) -> str:
    """Until when freezes would keep back what is approved in a ring of a namespace, but for what
    its approvals override; empty where none would. A rollback passes all the same."""
    if ring < GATED_FROM:
        return ""
    held = not_overridden(in_force(freezes, labels, ring, now), overrides)
    if not held:
        return ""
    ends = [each.until for each in held if each.until is not None]
    known = len(ends) == len(held)
    end = f"until {rfc3339(max(ends))}" if known else "with no end that is known"
    names = ", ".join(f"{each.title} (ChangeFreeze {each.name})" for each in held[:MAX_NAMED])
    more = len(held) - MAX_NAMED
    return f"frozen {end}: {names}" + (f" and {more} more" if more > 0 else "")


def override_advice(held: HeldFreeze) -> str:
    """Who lets one rollout into a freeze, and by which command."""
    right = held.override
    return (
        f"who holds the verb {right.verb} on {right.resource} in the namespace lets one approved "
        f"rollout in: kubectl cab approve -n {held.namespaces[0]} NAME --override {held.name}"
    )


def nothing_frozen(
    namespaces: Mapping[str, Mapping[str, str]], settings: InstallationSettings, at: datetime
) -> str:
    """That nothing is frozen at a moment in some namespaces, and why where nothing can be."""
    having = [name for name, labels in namespaces.items() if POLICY_LABEL in labels]
    if not having:
        return (
            f"nothing is frozen: no namespace that was asked about carries the label "
            f"{POLICY_LABEL}, and freezes hold where one does"
        )
    if all(map(settings.excludes, having)):
        return f"nothing is frozen: the installation excludes {namespaces_text(having)}"
    return f"nothing is frozen at {rfc3339(at)}"


def rings_text(rings: Sequence[int]) -> str:
    """Rings that are next to one another: a freeze is about all from one on."""
    return str(rings[0]) if len(rings) == 1 else f"{rings[0]}-{rings[-1]}"


def namespaces_text(namespaces: Sequence[str]) -> str:
    """The first few of some namespaces, and how many more there are."""
    named = ",".join(namespaces[:MAX_NAMED])
    more = len(namespaces) - MAX_NAMED
    return f"{named} and {more} more" if more > 0 else named
