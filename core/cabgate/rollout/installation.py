# SPDX-License-Identifier: Apache-2.0
"""How the installation is set, as the chart tells everybody else: the ConfigMap and its one parser.

It is information. What the webhook enforces it is told by its own options, which nobody but who may
change its Deployment can write.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.rollout.modes import Mode
from cabgate.rollout.rings import HIGHEST, ring_of
from cabgate.rollout.workloads import GatedKindError, configured_kind
from cabgate.text.foreign import quoted

SYSTEM_NAMESPACE = "cabgate-system"
"""Where cabgate is installed."""

CONFIG_MAP = "cabgate-installation"
"""The ConfigMap there that says how."""

EXCLUDED = ("kube-system", "kube-public", "kube-node-lease")
"""Namespaces in which nothing is gated unless the chart is told otherwise, beside cabgate's own."""


class InstallationError(ValueError):
    """Settings that cannot be read; the message names the key and what is allowed."""


@dataclass(frozen=True)
class InstallationSettings:
    """What the chart was told. Without arguments: as it comes."""

    default_ring: int = 0
    """Ring of a namespace without the ring label."""
    mode: Mode = Mode.ENFORCE
    """The cluster's mode."""
    excluded: frozenset[str] = frozenset(EXCLUDED)
    """Namespaces in which nothing is gated; cabgate's own is one whether it is named or not."""
    kinds: tuple[GatedKind, ...] = ()
    """Kinds that are gated beside those that always are."""
    app_version: str = ""
    """The release that runs; empty where it is not known."""
    chart_version: str = ""
    """The release of the chart."""
    unknown_kinds: tuple[str, ...] = ()
    """Kinds that the installation always gates and this release knows nothing of, such as
    `Rollout.argoproj.io`."""

    def excludes(self, namespace: str) -> bool:
        """Whether nothing is gated in a namespace, whatever its ring and those of its workloads."""
        return namespace in self.all_excluded

    def namespace_ring(self, name: str, labels: Mapping[str, str] | None) -> int:
        """Ring of a namespace: 0 for one that is excluded."""
        return 0 if self.excludes(name) else ring_of(labels, self.default_ring)

    def workload_ring(self, namespace: str, *labels: Mapping[str, str] | None) -> int:
        """Ring that the labels of a workload ask for, the largest where there are several: 0 in a
        namespace that is excluded."""
        if self.excludes(namespace):
            return 0
        return max((ring_of(each, 0) for each in labels), default=0)

    @property
    def all_excluded(self) -> frozenset[str]:
        """The namespaces in which nothing is gated, cabgate's own with them."""
        return self.excluded | {SYSTEM_NAMESPACE}

    def same_kinds(self, other: "InstallationSettings") -> bool:
        """Whether both gate the same further kinds, in whatever order."""
        mine, theirs = ({_identity(kind) for kind in each.kinds} for each in (self, other))
        return mine == theirs


def parse_installation(data: Mapping[str, Any]) -> InstallationSettings:
    """What the data of the ConfigMap say. Raises `InstallationError` with the key that is wrong;
    keys of later releases are passed over."""
    return InstallationSettings(
        default_ring=_ring(_text(data, "defaultRing")),
        mode=_mode(_text(data, "mode")),
        excluded=frozenset(_text(data, "excludedNamespaces").split()),
        kinds=_kinds(_text(data, "gatedKinds").split()),
        app_version=_text(data, "appVersion").strip(),
        chart_version=_text(data, "chartVersion").strip(),
        unknown_kinds=_unknown(_text(data, "builtInKinds").split()),
    )


def kind_name(kind: GatedKind) -> str:
    """A kind with its group, as the ConfigMap names it: `Deployment.apps`, `Pod`."""
    return f"{kind.kind}.{kind.group}" if kind.group else kind.kind


def _identity(kind: GatedKind) -> tuple[str, str, frozenset[str]]:
    return kind.group, kind.kind, frozenset(kind.templates)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise InstallationError(f"data.{key}: {'absent' if value is None else 'not a text'}")
    return value


def _ring(text: str) -> int:
    if text.strip() not in {str(ring) for ring in range(HIGHEST + 1)}:
        raise InstallationError(f"data.defaultRing: {quoted(text)}; allowed: 0 to {HIGHEST}")
    return int(text)


def _mode(text: str) -> Mode:
    try:
        return Mode(text.strip())
    except ValueError:
        allowed = ", ".join(Mode)
        raise InstallationError(f"data.mode: {quoted(text)}; allowed: {allowed}") from None


def _kinds(texts: list[str]) -> tuple[GatedKind, ...]:
    try:
        return tuple(configured_kind(text) for text in texts)
    except GatedKindError as error:
        raise InstallationError(f"data.gatedKinds: {error}") from None


def _unknown(names: list[str]) -> tuple[str, ...]:
    known = {kind_name(kind) for kind in BUILT_IN}
    return tuple(name for name in names if name not in known)
