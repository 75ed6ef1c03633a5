# SPDX-License-Identifier: Apache-2.0
"""Workloads of the kinds that the gate stops, as they are named and found, and their images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from cabgate import API_VERSION
from cabgate.api import DeploymentIntent
from cabgate.api.intent import KIND as INTENT
from cabgate.api.kinds import BUILT_IN, GatedKind
from cabgate.api.types import Target
from cabgate.rollout.gated_targets import kind_problem, target_problems
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template
from cabgate.rollout.workloads import (
    ANY_NAME,
    GENERATED,
    GatedKindError,
    configured_kind,
    kind_of,
    named_kind,
    reference_of,
    rollout_of,
    template_of,
)
from cabgate.text.foreign import quoted
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.files.documents import Document
from cabgate_cli.input.names import namespace_name, object_name


@dataclass(frozen=True)
class Found:
    """A workload and what it runs."""

    api_version: str
    workload: Workload
    namespace: str
    """Empty where a manifest does not say."""
    images: tuple[str, ...]
    template: Template | None = None
    """What its containers do, where an approval is to cover that."""
    content: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """The manifest or the object itself; None where images alone were named."""
    referred: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """The object whose pod template it takes, if it takes one."""


@dataclass(frozen=True)
class Wanted:
    """A workload that was named on the command line."""

    kind: GatedKind
    name: str
    """Ends in `*` for every Job or Pod whose name is generated from what stands before it."""

    def __str__(self) -> str:
        return f"{self.kind.kind.lower()}/{self.name}"


def configured(texts: Iterable[str]) -> tuple[GatedKind, ...]:
    """The kinds that `--gated-kind` names; raises `BadInput`."""
    try:
        return tuple(configured_kind(text) for text in texts)
    except GatedKindError as error:
        raise BadInput(f"--gated-kind: {error}") from None


def kind_names(kinds: Sequence[GatedKind] = ()) -> str:
    """Every kind that is gated everywhere, and further ones, for a message."""
    return ", ".join(kind.kind for kind in (*BUILT_IN, *kinds))


def wanted(argument: str, kinds: Sequence[GatedKind] = ()) -> Wanted:
    """The workload that an argument such as `deployment/checkout` names.

    Raises `BadInput` for anything else.
    """
    resource, slash, name = argument.partition("/")
    if not slash or not name:
        raise BadInput(
            f"{quoted(argument)}: not a workload; allowed: KIND/NAME, deployment/checkout"
        )
    kind = named_kind(resource, kinds)
    if kind is None:
        raise BadInput(
            f"{argument}: {quoted(resource)} is not a kind that is gated; allowed: "
            f"{kind_names(kinds).lower()}, and what the installation gates or --gated-kind names"
        )
    prefix = name.removesuffix(ANY_NAME)
    if prefix == name:
        return Wanted(kind, object_name(name, argument))
    if kind.kind not in GENERATED:
        kinds_with = " and ".join(GENERATED)
        raise BadInput(f"{argument}: a name with * is for a {kinds_with} with a generated name")
    # What is generated begins with anything that a name may begin with, a `-` at its end as well.
    object_name(f"{prefix}0", argument)
    return Wanted(kind, name)


def with_images(wanted: Wanted, images: Iterable[str]) -> Found:
    """A workload with images that somebody names, whether it exists or not."""
    kind = wanted.kind
    return Found(
        api_version=kind.api_version,
        workload=Workload(kind.group, kind.kind, wanted.name),
        namespace="",
        images=tuple(sorted(set(images))),
    )


def check_spelling(documents: Iterable[Document], kinds: Sequence[GatedKind] = ()) -> None:
    """Refuse manifests of which the gate would never be asked, though something was meant that is
    gated, and intents that would cover nothing: raises `BadInput`, in the webhook's words."""
    problems = []
    for document in documents:
        if document.api_version == API_VERSION and document.kind == INTENT:
            found = [p for p in target_problems(_targets(document), kinds) if p.final]
        else:
            problem = kind_problem(document.api_version, document.kind, kinds)
            found = [problem] if problem is not None and problem.misspelt else []
        problems += [f"{document.source}: {problem}" for problem in found]
    if problems:
        raise BadInput(*problems)


def _targets(document: Document) -> list[Target]:
    """The targets of an intent, if they can be read; that is told where it is scored."""
    try:
        return list(DeploymentIntent.model_validate(document.content).spec.targets)
    except ValidationError:
        return []


def found_in(documents: Iterable[Document], kinds: Sequence[GatedKind] = ()) -> list[Found]:
    """The workloads among the objects of files; what else is there is named in a note."""
    documents = list(documents)
    check_spelling(documents, kinds)
    gated = {number: kind_in(document, kinds) for number, document in enumerate(documents)}
    found, ignored, problems = [], [], []
    for number, document in enumerate(documents):
        kind = gated[number]
        if kind is None:
            ignored.append(f"{document.kind or 'an object without kind'} ({document.source})")
            continue
        try:
            referred = referred_among(kind, document.content, documents)
            found.append(read_workload(kind, document.content, referred))
        except BadInput as error:
            problems += [f"{document.source}: {problem}" for problem in error.problems]
    if problems:
        raise BadInput(*problems)
    if ignored:
        note(f"ignored, not a kind that is gated: {', '.join(ignored)}")
    return found


def kind_in(document: Document, kinds: Sequence[GatedKind] = ()) -> GatedKind | None:
    """The gated kind of an object of a file, if it has one."""
    return kind_of(document.api_version, document.kind, kinds)


def referred_among(
    kind: GatedKind, content: Mapping[str, Any], documents: Iterable[Document]
) -> Mapping[str, Any] | None:
    """The object whose pod template an Argo Rollout takes, if it is among those of the files."""
    reference = referred_by(kind, content)
    for document in documents:
        found = kind_in(document)
        if found is None or reference is None:
            continue
        if Workload(found.group, found.kind, document.metadata.get("name", "")) == reference:
            return document.content
    return None


def referred_by(kind: GatedKind, content: Mapping[str, Any]) -> Workload | None:
    """The workload whose pod template an object takes; raises `BadInput`."""
    try:
        return reference_of(kind, content)
    except PodTemplateError as error:
        raise BadInput(str(error)) from None


def rollout_in(
    kind: GatedKind,
    content: Mapping[str, Any],
    namespace: str,
    referred: Mapping[str, Any] | None = None,
    old: Mapping[str, Any] | None = None,
) -> Rollout:
    """What an object rolls out; raises `BadInput` with the path of what is wrong.

    `referred` is the object that a Rollout refers to, `old` the object as it is stored.
    """
    metadata = content.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else {}
    if isinstance(named.get("name"), str):
        object_name(str(named["name"]), "metadata.name")
    elif isinstance(named.get("generateName"), str) and kind.kind in GENERATED:
        object_name(f"{named['generateName']}0", "metadata.generateName")
    else:
        raise BadInput("metadata.name: absent; allowed: the name of the workload")
    try:
        return rollout_of(kind, namespace, content, old, referred)
    except PodTemplateError as error:
        raise BadInput(f"{error}; allowed: a pod template that names its images") from None


def template_in(
    kind: GatedKind, content: Mapping[str, Any], referred: Mapping[str, Any] | None = None
) -> Template | None:
    """What the containers of an object do; raises `BadInput` with the path of what is wrong."""
    try:
        return template_of(kind, content, referred)
    except PodTemplateError as error:
        raise BadInput(str(error)) from None


def read_workload(
    kind: GatedKind, content: Mapping[str, Any], referred: Mapping[str, Any] | None = None
) -> Found:
    """Identity and images of a workload; raises `BadInput` with the path of what is wrong."""
    rollout = rollout_in(kind, content, "", referred)
    namespace = content["metadata"].get("namespace") or ""
    if namespace != "":
        namespace_name(str(namespace), "metadata.namespace")
    if not rollout.images:
        raise BadInput(
            f"spec.workloadRef: takes the images of {rollout.also[0]}, which is not there; "
            "allowed: a manifest that holds it too"
        )
    return Found(
        api_version=content.get("apiVersion") or kind.api_version,
        workload=rollout.workload,
        namespace=str(namespace),
        images=rollout.images,
        content=content,
        referred=referred,
    )


def selected_out(namespace: str, stated: Iterable[str]) -> set[str]:
    """The namespaces that manifests name beside the one that was selected, told in a note."""
    others = {name for name in stated if name not in ("", namespace)}
    if others:
        note(f"left out, not of namespace {namespace}: what is of {', '.join(sorted(others))}")
    return others


def merged(found: Iterable[Found]) -> list[Found]:
    """Each workload once, with all the images that it was found with: what runs now and what a
    manifest will roll out may both be meant. What its containers do is what was found last."""
    result: dict[Workload, Found] = {}
    for item in found:
        before = result.get(item.workload)
        images = {*item.images, *(before.images if before else ())}
        first = before or item
        result[item.workload] = Found(
            first.api_version,
            first.workload,
            first.namespace,
            tuple(sorted(images)),
            content=item.content or first.content,
            referred=item.referred if item.content else first.referred,
        )
    return list(result.values())
