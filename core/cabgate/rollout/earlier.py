# SPDX-License-Identifier: Apache-2.0
"""What a workload ran before, by what its controller keeps of it: ReplicaSets of a Deployment or an
Argo Rollout, ControllerRevisions of a StatefulSet or a DaemonSet.

Who rolls out may want to forge that. Of a revision the API server sets `creationTimestamp`, and its
name never changes; anybody may write the owners and labels of a ReplicaSet. The pod template of a
ReplicaSet can be changed by whoever gets that past the gate, and a ControllerRevision is written by
controllers alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cabgate.api.base import Timestamp
from cabgate.api.kinds import group_of
from cabgate.api.stored import Declared
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.pods import PodTemplateError, images_by_name, template_images
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, is_too_large, template_of_forms

RawObject = Mapping[str, Any]

REPLICA_SET = ("apps", "ReplicaSet")
CONTROLLER_REVISION = ("apps", "ControllerRevision")

KEPT_AS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("apps", "Deployment"): REPLICA_SET,
    ("argoproj.io", "Rollout"): REPLICA_SET,
    ("apps", "StatefulSet"): CONTROLLER_REVISION,
    ("apps", "DaemonSet"): CONTROLLER_REVISION,
}
"""Group and kind of workloads with those of what their controllers keep of each pod template."""

# Ends the name of what a controller makes: `k8s.io/apimachinery/pkg/util/rand.SafeEncodeString`.
_HASH = "[bcdfghjklmnpqrstvwxz2456789]{1,12}"


@dataclass(frozen=True)
class Revision:
    """What a workload ran from a moment on."""

    name: str
    """Name of the ReplicaSet or ControllerRevision."""
    created: datetime
    images: tuple[str, ...]
    """Every image that it ran, sorted."""
    template: Template
    """What its containers did, whatever their images."""


def revisions_of(workload: Workload, uid: str, kept: Iterable[RawObject]) -> list[Revision]:
    """The revisions of a workload among the objects of the kind that its controller keeps them as;
    what cannot be read is none. `uid` is that of the workload as it is stored."""
    name = re.compile(re.escape(workload.name) + f"-{_HASH}")
    found = []
    for each in kept:
        metadata = each.get("metadata") or {}
        if name.fullmatch(str(metadata.get("name"))) and _is_owned(metadata, workload, uid):
            created, ran = _created(metadata), _ran(each)
            if created is not None and ran is not None:
                found.append(Revision(str(metadata["name"]), created, *ran))
    return found


def same_as(
    images: Iterable[str], template: Template | None, revisions: Iterable[Revision]
) -> list[Revision]:
    """The revisions that ran these very images, each in the same container, and whose containers
    did what a template has them do."""
    if template is None or not template.digest:
        return []
    wanted = (tuple(sorted(set(images))), template.digest, template.images)
    return [
        each
        for each in revisions
        if (each.images, each.template.digest, each.template.images) == wanted
    ]


def replica_sets(revisions: Iterable[Revision]) -> list[Workload]:
    """Some revisions as the ReplicaSets that they are: requests may name one."""
    return [Workload(*REPLICA_SET, each.name) for each in revisions]


def made_by_controllers(
    revisions: Iterable[Revision], requests: Iterable[Declared]
) -> list[Revision]:
    """Those of some ReplicaSets that none of some requests names: those by which one may have been
    admitted that people made."""
    named = named_sets(requests)
    return [each for each in revisions if each.name not in named]


def named_sets(requests: Iterable[Declared]) -> set[str]:
    """The names of the ReplicaSets that some requests name: people made those, not a controller."""
    named = (Workload.of(target) for request in requests for target in request.spec.targets)
    return {each.name for each in named if (each.group, each.kind) == REPLICA_SET}


def selected_by(stored: RawObject) -> str:
    """The label selector by which a workload finds its revisions, as lists ask for it."""
    selector = (stored.get("spec") or {}).get("selector") or {}
    labels = sorted((selector.get("matchLabels") or {}).items())
    terms = [f"{key}={value}" for key, value in labels]
    for each in selector.get("matchExpressions") or []:
        written = _EXPRESSIONS.get(each.get("operator"))
        # One that is not known asks for less, and so finds more: who made it is looked at anyway.
        if written is not None:
            terms.append(written.format(each["key"], ",".join(each.get("values") or [])))
    return ",".join(terms)


_EXPRESSIONS = {
    "In": "{} in ({})",
    "NotIn": "{} notin ({})",
    "Exists": "{}",
    "DoesNotExist": "!{}",
}
"""How lists ask for what a `matchExpressions` says, of its key and its values."""


def without_claims(obj: RawObject) -> RawObject:
    """A workload without the `volumeClaimTemplates` that stand beside its pod template: those of a
    StatefulSet never change, and no revision has them."""
    spec = obj.get("spec")
    if not isinstance(spec, Mapping):
        return obj
    return {**obj, "spec": {k: v for k, v in spec.items() if k != "volumeClaimTemplates"}}


def _is_owned(metadata: Mapping[str, Any], workload: Workload, uid: str) -> bool:
    owners = metadata.get("ownerReferences")
    return bool(uid) and any(
        isinstance(owner, Mapping)
        and owner.get("controller") is True
        and (group_of(str(owner.get("apiVersion"))), owner.get("kind"), owner.get("name"))
        == (workload.group, workload.kind, workload.name)
        and owner.get("uid") == uid
        for owner in (owners if isinstance(owners, list) else [])
    )


def _ran(revision: RawObject) -> tuple[tuple[str, ...], Template] | None:
    """The images of a revision and what its containers did, by `spec.template` of a ReplicaSet or
    of the `data` of a ControllerRevision."""
    holder = revision.get("data") or revision
    if not isinstance(holder, Mapping) or is_too_large(holder):
        return None
    spec = holder.get("spec")
    template = spec.get("template") if isinstance(spec, Mapping) else None
    try:
        by_name = [images_by_name(template)]
        return template_images(template), template_of_forms([normal_form(template)], by_name)
    except PodTemplateError:
        return None


_MOMENT: TypeAdapter[datetime] = TypeAdapter(Timestamp)


def _created(metadata: Mapping[str, Any]) -> datetime | None:
    try:
        return _MOMENT.validate_python(metadata.get("creationTimestamp"))
    except ValidationError:
        return None
