# SPDX-License-Identifier: Apache-2.0
"""Which freezes hold at a moment, and where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.changefreeze import NAME_LABEL, OVERRIDE, PLURAL, POLICY_LABEL
from cabgate.lifecycle.limits.freezes import FreezeInForce, in_force, read_freezes
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.rings import GATED_FROM, HIGHEST
from cabgate.text.moments import rfc3339


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
    known = read_freezes(freezes)
    places: dict[tuple[FreezeInForce, tuple[int, ...]], list[str]] = {}
    for namespace, own in sorted(namespaces.items()):
        if POLICY_LABEL not in own or settings.excludes(namespace):
            continue
        labels = {**own, NAME_LABEL: namespace}
        rings: dict[FreezeInForce, list[int]] = {}
        for ring in range(max(GATED_FROM, settings.namespace_ring(namespace, labels)), HIGHEST + 1):
            for each in in_force(known, labels, ring, at):
                rings.setdefault(each, []).append(ring)
        for each, of in rings.items():
            places.setdefault((each, tuple(of)), []).append(namespace)
    found = [_held(each, rings, names) for (each, rings), names in places.items()]
    return sorted(found, key=lambda each: (each.name, each.namespaces))


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
