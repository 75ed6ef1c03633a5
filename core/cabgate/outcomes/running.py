# SPDX-License-Identifier: Apache-2.0
"""What a workload runs and how much of it is available, by the object as it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.outcomes.stored import RawObject, entries, moment, number, part
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import ring_template
from cabgate.rollout.workloads import running_rollout

AVAILABLE = {
    ("apps", "Deployment"): ("updatedReplicas", "availableReplicas"),
    ("apps", "StatefulSet"): ("updatedReplicas", "availableReplicas"),
    ("apps", "DaemonSet"): ("updatedNumberScheduled", "numberAvailable"),
    ("argoproj.io", "Rollout"): ("updatedReplicas", "availableReplicas"),
}
"""Group and kind of the workloads that say whether their Pods are available, with the fields of
their status that count Pods of the present template, and available ones."""

OUTCOME_KINDS = tuple(kind for kind in BUILT_IN if (kind.group, kind.kind) in AVAILABLE)
"""The kinds that have outcomes. What runs to an end, and what others make, has none."""


@dataclass(frozen=True)
class RunningWorkload:
    """A workload as it is stored."""

    kind: GatedKind
    workload: Workload
    uid: str
    version: str
    """The resourceVersion that this is of."""
    created: datetime | None
    images: tuple[str, ...]
    """Every image of its pod template, sorted."""
    template: str | None
    """What its containers do but for their variables; None where it is too large to be compared."""
    observed: bool
    """Whether its controller has seen the pod template that stands there now: what the status
    counts is about another otherwise."""
    rolled_out: bool
    """Whether as many Pods of that template as it wants, one at least, are available, and no other
    is left."""
    available: int
    """How many of its Pods are available."""
    scaled_down: bool
    """Whether none of its Pods is asked for, as its controller has seen."""
    selector: str
    """Label selector of its Pods; empty where it has none that can be asked for."""


def outcome_kind(group: str, kind: str) -> GatedKind | None:
    """A kind that has outcomes, or None."""
    return next((each for each in OUTCOME_KINDS if (each.group, each.kind) == (group, kind)), None)


def running_workload(
    kind: GatedKind, stored: RawObject, referred: RawObject | None = None
) -> RunningWorkload:
    """What a stored workload of one of `OUTCOME_KINDS` runs; `referred` is what the `workloadRef`
    of an Argo Rollout names. Raises `PodTemplateError` for what cannot be read."""
    metadata, status = part(stored, "metadata"), part(stored, "status")
    name = str(metadata.get("name") or "")
    rollout = running_rollout(kind, str(metadata.get("namespace") or ""), name, stored, referred)
    updated, available = (number(status, name) for name in AVAILABLE[kind.group, kind.kind])
    wanted = _wanted(kind, stored)
    observed = _is_observed(kind, stored, referred)
    return RunningWorkload(
        kind,
        Workload(kind.group, kind.kind, name),
        str(metadata.get("uid") or ""),
        str(metadata.get("resourceVersion") or ""),
        moment(metadata.get("creationTimestamp")),
        rollout.images,
        ring_template(rollout.template),
        observed,
        observed
        and updated >= wanted > 0
        and available >= wanted
        and not _others_left(kind, status, updated),
        available,
        observed and wanted == 0,
        _selector(stored, referred),
    )


def _wanted(kind: GatedKind, stored: RawObject) -> int:
    """How many Pods it wants."""
    if kind.kind == "DaemonSet":
        return number(part(stored, "status"), "desiredNumberScheduled")
    return number(part(stored, "spec"), "replicas", 1)


def _is_observed(kind: GatedKind, stored: RawObject, referred: RawObject | None) -> bool:
    # Argo writes the number as a text, and that of what its workloadRef names beside it.
    pairs = [(stored, "observedGeneration")]
    if kind.kind == "Rollout" and referred is not None:
        pairs.append((referred, "workloadObservedGeneration"))
    status = part(stored, "status")
    return all(
        str(status.get(field) or "") == str(part(each, "metadata").get("generation") or 0)
        for each, field in pairs
    )


def _others_left(kind: GatedKind, status: Mapping[str, Any], updated: int) -> bool:
    """Whether Pods of another template are there yet."""
    if kind.kind == "Rollout":
        return (
            status.get("stableRS") != status.get("currentPodHash")
            or status.get("phase") != "Healthy"
        )
    every = "currentNumberScheduled" if kind.kind == "DaemonSet" else "replicas"
    return number(status, every) > updated


def _selector(stored: RawObject, referred: RawObject | None) -> str:
    """Its label selector as a list asks by it. That of an Argo Rollout may be of what it refers
    to."""
    for each in (stored, referred or {}):
        selector = part(part(each, "spec"), "selector")
        labels = part(selector, "matchLabels")
        parts = [f"{key}={value}" for key, value in sorted(labels.items())]
        parts += [_expression(term) for term in entries(selector, "matchExpressions")]
        if parts:
            return ",".join(parts)
    return ""


def _expression(term: Mapping[str, Any]) -> str:
    key, values = term.get("key"), ",".join(term.get("values") or [])
    return {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": f"{key}",
        "DoesNotExist": f"!{key}",
    }.get(str(term.get("operator")), f"{key}")
