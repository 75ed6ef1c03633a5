# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent --update` and `--live`: an intent that is there, brought up to date."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate import API_VERSION
from cabgate.api import DeploymentIntent
from cabgate.api.evidence import Evidence
from cabgate.api.intent import KIND, PLURAL
from cabgate.api.kinds import GatedKind
from cabgate.api.types import Target
from cabgate.risk.image_evidence import unnamed_images
from cabgate.risk.next_release import REPORTS, next_release
from cabgate.rollout.targets import Workload
from cabgate_cli.commands.declarations.intent_template import written_out
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.files.documents import Document, documents_in, read_text, shown_path
from cabgate_cli.input.files.edits import edited
from cabgate_cli.input.files.validation import intent_from
from cabgate_cli.input.workloads import Found
from cabgate_cli.output.files import put_in_place
from cabgate_cli.output.objects import as_json, as_yaml, write

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_FIELDS = {part: str(Evidence.model_fields[part].alias) for part in REPORTS}
"""The reports as they are called in a file."""


@dataclass(frozen=True)
class Existing:
    """An intent that is there."""

    document: Document
    intent: DeploymentIntent
    text: str = ""
    """The text of its file."""
    path: str = ""

    @property
    def namespace(self) -> str | None:
        """Its namespace, if it says one."""
        return self.intent.metadata.namespace or None


def from_file(path: str, kinds: Sequence[GatedKind], option: str = "--update") -> Existing:
    """The intent of a file, given with an option. Raises `BadInput` unless that is all that the
    file holds."""
    text = read_text(path)
    documents = documents_in(text, shown_path(path))
    if [document.kind for document in documents] != [KIND]:
        raise BadInput(
            f"{option}: {shown_path(path)}: holds {len(documents)} objects; allowed: one {KIND}, "
            "and nothing else"
        )
    return Existing(documents[0], intent_from(documents[0], kinds), text, path)


def from_cluster(
    name: str,
    namespace: str,
    kinds: Sequence[GatedKind],
    kubeconfig: str | None,
    context: str | None,
) -> Existing:
    """The intent of a cluster, without what others than its owner keep in it. Raises
    `Unavailable`."""
    from cabgate_cli.input.cluster.client import Cluster, NotFound

    what = f"{KIND} {namespace}/{name}"
    path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/{name}"
    try:
        found = Cluster(kubeconfig, context).get(path, what)
    except NotFound:
        raise NotFound(
            f"{what} not found. Name another (--name, -n), or leave --live out for a first one."
        ) from None
    document = Document(what, declared(found))
    return Existing(document, intent_from(document, kinds))


def declared(stored: dict[str, Any]) -> dict[str, Any]:
    """An intent as its owner declares it: of the metadata and the spec of a stored one, without
    what API server, webhook and operator keep there."""
    metadata, spec = stored.get("metadata") or {}, dict(stored.get("spec") or {})
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(_LAST_APPLIED, None)
    for field in ("submittedBy", "requestedBy"):
        spec.pop(field, None)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": kept | ({"annotations": annotations} if annotations else {}),
        "spec": spec,
    }


def update(
    existing: Existing,
    found: Iterable[Found],
    kinds: Sequence[GatedKind],
    *,
    output: str,
    in_place: bool,
) -> None:
    """Print an intent brought up to date, or write it where it stands, and note what became of its
    evidence. Raises `BadInput` for what the API server would refuse."""
    workloads = list(found)
    named = [
        Target(
            api_version=item.api_version,
            kind=item.workload.kind,
            name=item.workload.name,
            images=list(item.images),
            template=None if item.template is None else item.template.digest,
            template_fields=[] if item.template is None else item.template.fields,
        )
        for item in workloads
    ]
    old, source = existing.document.content, existing.document.source
    before = existing.intent
    after = before.model_copy(update={"spec": next_release(before.spec, named)})
    new = _rewritten(old, before, after)
    wanted = {target.template for target in after.spec.targets}
    kept = [each for each in before.spec.template_forms if each.template in wanted]
    new["spec"].pop("templateForms", None)
    if forms := written_out(workloads, kept):
        new["spec"]["templateForms"] = forms
    intent_from(Document(source, new), kinds)
    _tell(before, after, named)
    put(existing, new, output=output, in_place=in_place)


def put(existing: Existing, new: dict[str, Any], *, output: str, in_place: bool) -> None:
    """Print an intent that has become another object, or write it where it stands."""
    old, text = existing.document.content, existing.text
    if not in_place:
        write(as_json(new) if output == "json" else _as_text(existing, old, new, output))
    elif new != old:
        is_json = text.lstrip().startswith("{")
        made = as_json(new) if is_json else _as_text(existing, old, new, "text")
        put_in_place(existing.path, made.encode())


def _as_text(existing: Existing, old: dict[str, Any], new: dict[str, Any], output: str) -> str:
    """YAML; where it is for people, with the comments that stood there."""
    if output == "yaml" or not existing.text or existing.text.lstrip().startswith("{"):
        return as_yaml(new)
    if new == old:
        return existing.text
    made = edited(existing.text, old, new, as_yaml)
    if made is not None:
        return made
    if "#" in existing.text:
        note(f"{shown_path(existing.path)}: written anew, without its comments")
    return as_yaml(new)


def _rewritten(
    old: dict[str, Any], before: DeploymentIntent, after: DeploymentIntent
) -> dict[str, Any]:
    """The object as it is written, with what is other in it."""
    new = copy.deepcopy(old)
    spec = new["spec"]
    written: dict[Workload, dict[str, Any]] = {}
    for raw, target in zip(spec["targets"], before.spec.targets, strict=True):
        written.setdefault(Workload.of(target), raw)
    spec["targets"] = [
        {
            **written.get(Workload.of(target), {}),
            "apiVersion": target.api_version,
            "kind": target.kind,
            "name": target.name,
            "images": target.images,
            **_template(target),
        }
        for target in after.spec.targets
    ]
    evidence = spec.get("evidence") or {}
    for part in _dropped_reports(before, after):
        del evidence[_FIELDS[part]]
    if after.spec.evidence.attestations is None:
        evidence.pop("attestations", None)
    kept = {artifact.name: artifact for artifact in after.spec.evidence.artifacts or ()}
    if kept:
        evidence["artifacts"] = [
            {**raw, "images": kept[raw["name"]].images} if raw.get("images") else raw
            for raw in evidence["artifacts"]
            if raw["name"] in kept
        ]
    elif before.spec.evidence.artifacts:
        del evidence["artifacts"]
    return new


def _template(target: Target) -> dict[str, Any]:
    if target.template is None:
        return {}
    return {"template": target.template, "templateFields": target.template_fields}


def _dropped_reports(before: DeploymentIntent, after: DeploymentIntent) -> list[str]:
    old, new = before.spec.evidence, after.spec.evidence
    return [part for part in REPORTS if getattr(new, part) != getattr(old, part)]


def _tell(before: DeploymentIntent, after: DeploymentIntent, named: Sequence[Target]) -> None:
    """What became of the evidence, what was left as it is, and what is missing."""
    old, new = before.spec.evidence, after.spec.evidence
    names = {artifact.name for artifact in new.artifacts or ()}
    gone = [f"artifact {each.name}" for each in old.artifacts or () if each.name not in names]
    reports = [_FIELDS[part] for part in _dropped_reports(before, after)]
    if old.attestations and not new.attestations:
        note("dropped, since it signs what was there before: attestations. Sign it anew")
    if gone or reports:
        note(f"dropped, about other images: {', '.join([*gone, *reports])}")
    missing = unnamed_images(after.spec.targets, new)
    if missing:
        note(
            f"no artifact names {', '.join(missing)}: name in evidence.artifacts[].images what was "
            "tested and scanned, with the reports of it"
        )
    known = {Workload.of(target) for target in named}
    others = [Workload.of(each) for each in after.spec.targets if Workload.of(each) not in known]
    if others:
        note(f"left as they are: {', '.join(map(str, others))}")
    again = {Workload.of(target) for target in named if target.template is not None}
    stale = [Workload.of(each) for each in after.spec.targets if each.template is not None]
    stale = [each for each in stale if each in known - again]
    if stale:
        note(
            f"left as it is, what the containers of {', '.join(map(str, stale))} do: --template "
            "says it anew"
        )
    if before.spec.targets == after.spec.targets:
        return
    spec = {"summary": before.spec.summary, "correlationID": before.spec.correlation_id}
    stays = [name for name, value in spec.items() if value]
    stays += [_FIELDS[part] for part in REPORTS if getattr(new, part) is not None]
    if stays:
        note(f"kept, look whether it holds for this release: {', '.join(stays)}")
