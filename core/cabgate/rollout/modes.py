# SPDX-License-Identifier: Apache-2.0
"""Modes: what becomes of a rollout that the gate denies."""

from collections.abc import Mapping
from enum import StrEnum

MODE_LABEL = "cabgate.dev/mode"
"""Label on a namespace: its mode, where that is stricter than the cluster's."""

DRY_RUN_LABEL = "cabgate.dev/dry-run"
"""Label on a namespace: `Warn` where what the gate denies is a warning in dry runs. It loosens
nothing: a dry run stores nothing, and the rollout itself is asked for anew."""


class Mode(StrEnum):
    """What becomes of a rollout that the gate denies, the strictest first; part of the API."""

    ENFORCE = "Enforce"
    """It is refused."""
    WARN = "Warn"
    """It is admitted, and whoever rolls out is shown the denial."""
    AUDIT = "Audit"
    """It is admitted, and nobody but the metric, the log and the audit log is told."""


_STRICTEST_FIRST = tuple(Mode)


def mode_of(labels: Mapping[str, str] | None) -> Mode | None:
    """Mode that a namespace's labels ask for: None without the label, Enforce if malformed."""
    value = (labels or {}).get(MODE_LABEL)
    if value is None:
        return None
    return Mode(value) if value in _STRICTEST_FIRST else Mode.ENFORCE


def too_loose(cluster: Mode, labels: Mapping[str, str] | None) -> str:
    """What to say of a namespace's mode that does not count; empty where it does, or is absent."""
    own = mode_of(labels)
    if own is None or _STRICTEST_FIRST.index(own) <= _STRICTEST_FIRST.index(cluster):
        return ""
    return (
        f"{MODE_LABEL}={own} does not count: the cluster's mode is {cluster}, and a namespace's "
        "counts only where it is stricter"
    )


def effective_mode(
    cluster: Mode, labels: Mapping[str, str] | None, *, at_least: Mode = Mode.AUDIT
) -> Mode:
    """Mode that holds in a namespace: the strictest of the cluster's and the namespace's.

    `labels` is None where they could not be read. Then `at_least` is what is known of them all
    the same; with labels it is not asked.
    """
    own = at_least if labels is None else mode_of(labels)
    return min(filter(None, (cluster, own)), key=_STRICTEST_FIRST.index)


def dry_run_mode(mode: Mode, labels: Mapping[str, str] | None) -> Mode:
    """Mode that holds for dry runs in a namespace, where `mode` holds for rollouts; `labels` is
    None where they could not be read."""
    warns = (labels or {}).get(DRY_RUN_LABEL) == Mode.WARN
    return Mode.WARN if warns and mode is Mode.ENFORCE else mode
