# SPDX-License-Identifier: Apache-2.0
"""The kinds that the gate stops, and what is rolled out by an object of such a kind."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cabgate.api.kinds import BUILT_IN, GatedKind, group_of
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.pods import PodTemplateError, images_by_name, mapping, template_images
from cabgate.rollout.rollout import Rollout, Scale
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, is_too_large, template_of_forms
from cabgate.text.foreign import quoted

ANY_NAME = "*"
"""What ends the name of a target, and of a workload, whose names are generated."""

_EACH = "[*]"
"""What ends a step of a path that leads through every item of a list."""


REFERABLE = frozenset({("apps", "Deployment"), ("apps", "ReplicaSet"), ("", "PodTemplate")})
"""Group and kind of what the `workloadRef` of an Argo Rollout may name, all of them gated."""

_OBJECT_NAME = "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
"""What the names of those look like."""

GENERATED = ("Job", "Pod")
"""Kinds whose objects come and go under generated names; see the rule of `Target.name`."""


class GatedKindError(ValueError):
    """A kind that cannot be gated as it was written; the message says why."""


def configured_kind(text: str) -> GatedKind:
    """The kind that a setting such as `apps.kruise.io/CloneSet=spec.template` means.

    Several paths, with commas between, name several pod templates. Raises `GatedKindError`.
    """
    identity, equals, paths = text.partition("=")
    group, slash, kind = identity.rpartition("/")
    templates = tuple(path.strip() for path in paths.split(","))
    if not (equals and slash and group and kind and all(templates)):
        raise GatedKindError(
            f"{quoted(text)}: not a kind; allowed: GROUP/KIND=PATH, such as "
            "apps.kruise.io/CloneSet=spec.template"
        )
    if any(not step.removesuffix(_EACH) for path in templates for step in path.split(".")):
        raise GatedKindError(f"{quoted(text)}: a path has an empty step")
    if kind_of(f"{group}/v1", kind) is not None:
        raise GatedKindError(f"{quoted(text)}: {kind} of {group} is gated already")
    return GatedKind(f"{group}/v1", kind, "", templates=templates)


def split_kinds(value: object) -> object:
    """The kinds of a setting, of which the variable has several in one text."""
    # Those may be separated by commas, too, which stand between the paths of one as well.
    if not isinstance(value, str):
        return value
    return tuple(part for part in re.split(r"\s+|,(?=[^,\s]*=)", value) if part)


def kind_of(api_version: str, kind: str, configured: Sequence[GatedKind] = ()) -> GatedKind | None:
    """The gated kind of an object's `apiVersion` and `kind`, or None."""
    group = group_of(api_version)
    return next((k for k in (*BUILT_IN, *configured) if (k.group, k.kind) == (group, kind)), None)


def named_kind(resource: str, configured: Sequence[GatedKind] = ()) -> GatedKind | None:
    """The gated kind that a person means: its kind, plural or short name as kubectl takes them,
    the group behind it or not, such as `deploy`, `cronjobs.batch` or `rollout.argoproj.io`; None
    for anything else.

    A kind that is gated by configuration is also known by its exact kind with its group, such as
    `CloneSet.apps.kruise.io`, as denials name it: then without the paths of its pod templates.
    """
    for kind in (*BUILT_IN, *configured):
        for word in kind.words:
            if resource.lower() in {word, f"{word}.{kind.group}"}:
                return kind
    name, dot, group = resource.partition(".")
    if dot and group.islower() and name.isalnum() and name[:1].isupper():
        return GatedKind(f"{group}/v1", name, "", templates=())
    return None


def rollout_of(
    kind: GatedKind,
    namespace: str,
    obj: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    referred: Mapping[str, Any] | None = None,
    configured: Sequence[GatedKind] = (),
) -> Rollout:
    """What an object rolls out.

    Of a Pod that exists, `old`, only the images that are new count: the others were admitted with
    whatever made it, and an approval for that may name them, as for `kubectl debug`. `referred` is
    the object that `reference_of` names, if it exists; `configured` are the kinds that are gated
    beside those that always are. Raises `PodTemplateError` for what cannot be read.
    """
    images = set(_own_images(kind, obj))
    if kind.is_pod and old:
        images -= set(_own_images(kind, old))
    also = list(_claimed_cron_jobs(kind, obj))
    if kind.is_pod and old:
        also += _claimed_makers(old, configured)
    elif old:
        also += _generated_from(kind, old)
    else:
        also[:0] = _named_itself(kind, obj)
    reference = reference_of(kind, obj)
    if reference is not None:
        also.append(reference)
        template_of = kind_of(_api_version_of(reference), reference.kind)
        if referred is not None and template_of is not None:
            images |= set(_own_images(template_of, referred))
    workload = Workload(kind.group, kind.kind, _name_of(kind, obj, created=not old))
    return Rollout(
        namespace, workload, tuple(sorted(images)), tuple(also), scale=Scale(_replicas(kind, obj))
    )


def _replicas(kind: GatedKind, obj: Mapping[str, Any]) -> int | None:
    """The replicas that an object says. What the API server defaults to 1 is 1 in a manifest too;
    an Argo Rollout may make more of them by its steps, and then those count."""
    spec = obj.get("spec")
    if not isinstance(spec, Mapping):
        return None
    found = spec.get("replicas")
    if found is None and (kind.group, kind.kind) in _DEFAULTED:
        return 1
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    if (kind.group, kind.kind) != ("argoproj.io", "Rollout"):
        return found
    return max(found, *_replicas_of_steps(spec.get("strategy")))


_DEFAULTED = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"),
     ("", "ReplicationController")}
)  # fmt: skip
"""Kinds whose `spec.replicas` the API server sets to 1 where it is absent."""


def _replicas_of_steps(strategy: Any) -> list[int]:
    """Every number of replicas in the strategy of a Rollout: previews, canaries, experiments."""
    if isinstance(strategy, list):
        return [found for each in strategy for found in _replicas_of_steps(each)]
    if not isinstance(strategy, Mapping):
        return [0]
    own = [
        value
        for name, value in strategy.items()
        if name in ("replicas", "previewReplicaCount") and isinstance(value, int)
    ]
    return [0, *own, *(found for value in strategy.values() for found in _replicas_of_steps(value))]


def running_rollout(
    kind: GatedKind,
    namespace: str,
    name: str,
    obj: Mapping[str, Any],
    referred: Mapping[str, Any] | None = None,
) -> Rollout:
    """What an object that is stored under a name would roll out if it were made now, with what its
    containers do. Raises `PodTemplateError` for what cannot be read."""
    rollout = rollout_of(kind, namespace, obj, None, referred)
    exact = Workload(kind.group, kind.kind, name)
    also = rollout.also if exact in rollout.workloads else (*rollout.also, exact)
    return replace(rollout, also=also, template=template_of(kind, obj, referred))


def template_of(
    kind: GatedKind, obj: Mapping[str, Any], referred: Mapping[str, Any] | None = None
) -> Template | None:
    """What the pod templates of an object come to; None where it has none. `referred` is the object
    that the `workloadRef` of an Argo Rollout names, if it exists.

    An object with one pod template has the digest of that, wherever it stands: a Job that is run
    from a CronJob has the CronJob's. What is too large to be compared has an empty digest. Raises
    `PodTemplateError` for what cannot be read.
    """
    if is_too_large(obj) or (referred is not None and is_too_large(referred)):
        return Template("")
    own = pod_templates(kind, obj)
    forms = [
        normal_form(template, path, of_pod=kind.is_pod, claims=claims)
        for (path, template), claims in zip(own, _claims_beside(kind, obj), strict=True)
    ]
    reference = reference_of(kind, obj)
    if reference is not None and referred is not None:
        other = kind_of(_api_version_of(reference), reference.kind)
        if other is not None:
            others = pod_templates(other, referred)
            forms += [normal_form(each, path) for path, each in others]
            own += others
    images = [images_by_name(template, path) for path, template in own]
    return template_of_forms(forms, images) if forms else None


def reference_of(kind: GatedKind, obj: Mapping[str, Any]) -> Workload | None:
    """The workload whose pod template an Argo Rollout takes, by `spec.workloadRef`; None if it
    has a template of its own. Raises `PodTemplateError` for a kind that is not gated."""
    if (kind.group, kind.kind) != ("argoproj.io", "Rollout"):
        return None
    spec = mapping(obj.get("spec"), "spec")
    if spec.get("workloadRef") is None:
        return None
    path = "spec.workloadRef"
    reference = mapping(spec["workloadRef"], path)
    found = [reference.get(field) for field in ("apiVersion", "kind", "name")]
    if not all(isinstance(value, str) and value for value in found):
        raise PodTemplateError(f"{path}: needs apiVersion, kind and name")
    api_version, name, object_name = map(str, found)
    if (group_of(api_version), name) not in REFERABLE:
        allowed = ", ".join(sorted(kind for _, kind in REFERABLE))
        raise PodTemplateError(f"{path}: {name} of {api_version} is not gated; allowed: {allowed}")
    if re.fullmatch(_OBJECT_NAME, object_name) is None:
        # It becomes part of a URL: "../other/deployments/x" would be somebody else's.
        raise PodTemplateError(f"{path}.name: not the name of an object")
    return Workload(group_of(api_version), name, object_name)


def pod_templates(kind: GatedKind, obj: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The pod templates of an object as they stand in it, each with its path. Raises
    `PodTemplateError` where the path leads to none."""
    return [
        found for path in kind.templates for found in _at(obj, path.split(".") if path else [], "")
    ]


def _claims_beside(kind: GatedKind, obj: Mapping[str, Any]) -> list[Any]:
    """Of each pod template of an object the `volumeClaimTemplates` that stand beside it, as in a
    StatefulSet; None where there are none."""
    found: list[Any] = []
    for path in kind.templates:
        *outer, last = path.split(".")
        for where, parent in _at(obj, outer, ""):
            templates = [1 for _ in _at(parent, [last] if last else [], where)]
            found += [parent.get("volumeClaimTemplates") for _ in templates]
    return found


def _own_images(kind: GatedKind, obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Every image of the pod templates of an object, sorted."""
    images: set[str] = set()
    for where, template in pod_templates(kind, obj):
        images |= set(template_images(template, where))
    if not images and not (kind.kind == "Rollout" and reference_of(kind, obj) is not None):
        raise PodTemplateError(f"{kind.templates[0]}: no pod template")
    return tuple(sorted(images))


def _at(value: Any, steps: Sequence[str], where: str) -> Iterable[tuple[str, Any]]:
    """What stands at a path, each with its field path; nothing where it is absent."""
    if not steps:
        return [(where, value)]
    name, rest = steps[0].removesuffix(_EACH), steps[1:]
    path = f"{where}.{name}" if where else name
    found = mapping(value, where or "object").get(name)
    if found is None:
        return []
    if not steps[0].endswith(_EACH):
        return _at(found, rest, path)
    if not isinstance(found, list):
        raise PodTemplateError(f"{path}: not a list")
    return [hit for n, item in enumerate(found) for hit in _at(item, rest, f"{path}[{n}]")]


def _name_of(kind: GatedKind, obj: Mapping[str, Any], *, created: bool) -> str:
    """Name of an object. Of a Job or a Pod that is created under a generated name, the prefix and
    `*`: the same rollout has the same name at each try."""
    metadata = mapping(obj.get("metadata") or {}, "metadata")
    name, generate = str(metadata.get("name") or ""), str(metadata.get("generateName") or "")
    if created and generate and name.startswith(generate) and kind.kind in GENERATED:
        return generate + ANY_NAME
    return name or generate + ANY_NAME


def _generated_from(kind: GatedKind, old: Mapping[str, Any]) -> list[Workload]:
    """What names a Job that exists, beside its own name, where that was generated: the prefix and
    `*`. A queue that starts it writes its template.

    Anybody who may write the Job can write that, or make another under it. It opens the gate to no
    image but those approved for such Jobs.
    """
    name = _name_of(kind, old, created=True)
    return [Workload(kind.group, kind.kind, name)] if name.endswith(ANY_NAME) else []


def _named_itself(kind: GatedKind, obj: Mapping[str, Any]) -> list[Workload]:
    """The own name of a Job or a Pod that is created and counts under its prefix: what was revoked
    for that name is not created by way of a prefix that fits it."""
    name = str(mapping(obj.get("metadata") or {}, "metadata").get("name") or "")
    counted = _name_of(kind, obj, created=True)
    return [Workload(kind.group, kind.kind, name)] if name and name != counted else []


def _claimed_cron_jobs(kind: GatedKind, obj: Mapping[str, Any]) -> list[Workload]:
    """The CronJob that a Job says it was made from, as `kubectl create job --from` writes it.

    Anybody can write that. It opens the gate to no image but those approved for that CronJob.
    """
    if (kind.group, kind.kind) != ("batch", "Job"):
        return []
    return [
        Workload("batch", "CronJob", str(owner.get("name")))
        for owner in _owners(mapping(obj.get("metadata") or {}, "metadata"))[:1]
        if owner.get("kind") == "CronJob" and group_of(str(owner.get("apiVersion"))) == "batch"
    ]


def _claimed_makers(pod: Mapping[str, Any], configured: Sequence[GatedKind] = ()) -> list[Workload]:
    """What a Pod that exists says it was made from, the workload that people know last.

    Anybody who may write the Pod can write that. It opens the gate to no image but those approved
    for that workload.
    """
    metadata = mapping(pod.get("metadata") or {}, "metadata")
    labels = mapping(metadata.get("labels") or {}, "metadata.labels")
    owner = next((each for each in _owners(metadata) if each.get("controller") is True), {})
    made_by = kind_of(str(owner.get("apiVersion")), str(owner.get("kind")), configured)
    if made_by is None:
        generate = str(metadata.get("generateName") or "")
        return [Workload("", "Pod", generate + ANY_NAME)] if generate and not owner else []
    if made_by.is_pod:
        return []
    name = str(owner.get("name"))
    found = [Workload(made_by.group, made_by.kind, name)]
    for label, (group, kind) in _HASHED.items():
        stem = name.removesuffix(f"-{labels.get(label)}")
        if (made_by.group, made_by.kind) == ("apps", "ReplicaSet") and stem != name:
            found.append(Workload(group, kind, stem))
    if (made_by.group, made_by.kind) != ("batch", "Job"):
        return found
    for pattern, (kind, ending) in _OF_JOBS.items():
        if made := re.fullmatch(pattern, name):
            found.append(Workload("batch", kind, made[1] + ending))
    return found


def claimed_maker(obj: Mapping[str, Any], configured: Sequence[GatedKind] = ()) -> Workload | None:
    """The workload of a custom kind from which an object says that a controller made it; None if
    it says none. Those of Kubernetes' own kinds are made by controllers that everybody knows.

    Anybody can write that: it opens the gate to nothing.
    """
    for owner in _owners(mapping(obj.get("metadata") or {}, "metadata")):
        kind = kind_of(str(owner.get("apiVersion")), str(owner.get("kind")), configured)
        if owner.get("controller") is True and kind is not None and "." in kind.group:
            return Workload(kind.group, kind.kind, str(owner.get("name")))
    return None


def _owners(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The ownerReferences of an object, those that can be read."""
    owners = metadata.get("ownerReferences") or []
    if not isinstance(owners, list):
        raise PodTemplateError("metadata.ownerReferences: not a list")
    return [owner for owner in owners if isinstance(owner, Mapping)]


_HASHED = {
    "pod-template-hash": ("apps", "Deployment"),
    "rollouts-pod-template-hash": ("argoproj.io", "Rollout"),
}
"""Labels of Pods with what ends the name of their ReplicaSet, and what made that."""


_OF_JOBS = {
    r"(.+)[bcdfghjklmnpqrstvwxz2456789]{5}": ("Job", ANY_NAME),
    r"(.+)-[0-9]{8,}": ("CronJob", ""),
}
"""What names of Jobs look like that were generated: from a `generateName`, of which a Pod knows
nothing else, and by a CronJob; with what was approved under which ending."""


def _api_version_of(workload: Workload) -> str:
    return f"{workload.group}/v1" if workload.group else "v1"
