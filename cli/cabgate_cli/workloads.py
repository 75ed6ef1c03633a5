# SPDX-License-Identifier: Apache-2.0
"""The kinds of workloads that the gate stops, and their images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cabgate.pods import PodTemplateError, template_images
from cabgate.targets import Workload, group_of
from cabgate_cli.documents import Document
from cabgate_cli.errors import BadInput, note
from cabgate_cli.names import namespace_name, object_name, shown


@dataclass(frozen=True)
class Kind:
    """A kind whose rollouts are gated."""

    name: str
    api_version: str
    short: str
    """How kubectl shortens it."""

    @property
    def group(self) -> str:
        """Its API group."""
        return group_of(self.api_version)


KINDS = (
    Kind("Deployment", "apps/v1", "deploy"),
    Kind("StatefulSet", "apps/v1", "sts"),
    Kind("DaemonSet", "apps/v1", "ds"),
)
"""Every kind whose rollouts are gated."""


@dataclass(frozen=True)
class Found:
    """A workload and what it runs."""

    api_version: str
    workload: Workload
    namespace: str
    """Empty where a manifest does not say."""
    images: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """A workload that was named on the command line."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name.lower()}/{self.name}"


def wanted(argument: str) -> Wanted:
    """The workload that an argument such as `deployment/checkout` names.

    Raises `BadInput` for anything else.
    """
    resource, slash, name = argument.partition("/")
    if not slash or not name:
        raise BadInput(
            f"{shown(argument)}: not a workload; allowed: KIND/NAME, deployment/checkout"
        )
    for kind in KINDS:
        singular = kind.name.lower()
        spelled = {singular, f"{singular}s", kind.short}
        spelled |= {f"{singular}.{kind.group}", f"{singular}s.{kind.group}"}
        if resource.lower() in spelled:
            return Wanted(kind, object_name(name, argument))
    names = ", ".join(kind.name.lower() for kind in KINDS)
    raise BadInput(f"{argument}: {shown(resource)} is not a kind that is gated; allowed: {names}")


def with_images(wanted: Wanted, images: Iterable[str]) -> Found:
    """A workload with images that somebody names, whether it exists or not."""
    kind = wanted.kind
    return Found(
        api_version=kind.api_version,
        workload=Workload(kind.group, kind.name, wanted.name),
        namespace="",
        images=tuple(sorted(set(images))),
    )


def found_in(documents: Iterable[Document]) -> list[Found]:
    """The workloads among the objects of files; what else is there is named in a note."""
    found, ignored, problems = [], [], []
    for document in documents:
        kind = _kind_of(document)
        if kind is None:
            ignored.append(f"{document.kind or 'an object without kind'} ({document.source})")
            continue
        try:
            found.append(read_workload(kind, document.content))
        except BadInput as error:
            problems += [f"{document.source}: {problem}" for problem in error.problems]
    if problems:
        raise BadInput(*problems)
    if ignored:
        note(f"ignored, not a kind that is gated: {', '.join(ignored)}")
    return found


def _kind_of(document: Document) -> Kind | None:
    group = group_of(document.api_version)
    return next((k for k in KINDS if (k.name, k.group) == (document.kind, group)), None)


def read_workload(kind: Kind, content: dict[str, Any]) -> Found:
    """Identity and images of a workload; raises `BadInput` with the path of what is wrong."""
    metadata = content.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise BadInput("metadata.name: absent; allowed: the name of the workload")
    namespace = metadata.get("namespace") or ""
    if namespace != "":
        namespace_name(str(namespace), "metadata.namespace")
    spec = content.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    try:
        images = template_images(template)
    except PodTemplateError as error:
        raise BadInput(f"{error}; allowed: a pod template that names its images") from None
    return Found(
        api_version=content.get("apiVersion") or kind.api_version,
        workload=Workload(kind.group, kind.name, object_name(metadata["name"], "metadata.name")),
        namespace=str(namespace),
        images=images,
    )


def merged(found: Iterable[Found]) -> list[Found]:
    """Each workload once, with all the images that it was found with: what runs now and what a
    manifest will roll out may both be meant."""
    result: dict[Workload, Found] = {}
    for item in found:
        before = result.get(item.workload)
        images = {*item.images, *(before.images if before else ())}
        first = before or item
        result[item.workload] = Found(
            first.api_version, first.workload, first.namespace, tuple(sorted(images))
        )
    return list(result.values())
