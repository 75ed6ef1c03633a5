# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent --template`: what the containers of workloads do, as an approval can cover it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cabgate.api.kinds import GatedKind
from cabgate.api.types import TemplateForm
from cabgate.lifecycle.limits.capacity import MAX_SPEC_BYTES
from cabgate.rollout.templates import MAX_SOURCE_BYTES, Template, form_text
from cabgate.rollout.workloads import kind_of
from cabgate.writes.template_forms import MAX_FORM_BYTES
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.workloads import Found, rollout_in, template_in

_MOST_BYTES = MAX_SPEC_BYTES // 2
"""Bytes of templates that are written out into one intent: the rest of it is for all else."""


def told_templates(
    found: Iterable[Found],
    kinds: Sequence[GatedKind],
    way: str | None,
    namespace: str,
    kubeconfig: str | None,
    context: str | None,
) -> list[Found]:
    """Workloads with what their containers do, as their manifests say (`client`) or as the API
    server of a cluster would store them (`server`); without it where `way` is None. Raises
    `BadInput` and `Unavailable`."""
    if way is None:
        return list(found)
    return [_note_on_template(item, kinds, way, namespace, kubeconfig, context) for item in found]


def template_fields(item: Found) -> dict[str, Any]:
    """The fields of a target that say what the containers do; none where that is not told."""
    if item.template is None:
        return {}
    return {"template": item.template.digest, "templateFields": item.template.fields}


def written_out(
    found: Iterable[Found], before: Iterable[TemplateForm] = ()
) -> list[dict[str, Any]]:
    """What the containers of workloads do, for people: the `templateForms` of an intent that names
    them, those from before of its other workloads included. Notes what is too large for it."""
    texts = {each.template: each.form for each in before}
    large, room = [], _MOST_BYTES - sum(len(text.encode()) for text in texts.values())
    for item in found:
        if item.template is None or item.template.digest in texts:
            continue
        text = form_text(item.template)
        size = len(text.encode())
        if size > min(MAX_FORM_BYTES, room):
            large.append(str(item.workload))
            continue
        texts[item.template.digest] = text
        room -= size
    if large:
        note(
            f"too large to be written out: what the containers of {', '.join(large)} do. It is "
            "covered all the same; reviewers are shown which fields change, without their values"
        )
    return [{"template": digest, "form": text} for digest, text in texts.items()]


def _note_on_template(
    item: Found,
    kinds: Sequence[GatedKind],
    way: str,
    namespace: str,
    kubeconfig: str | None,
    context: str | None,
) -> Found:
    name = item.workload.argument
    kind = kind_of(item.api_version, item.workload.kind, kinds)
    if item.content is None or kind is None:
        raise BadInput(
            f"--template: {name}: what its containers do is not known; allowed: a manifest of it "
            "(-f FILE), or the running workload, without --image"
        )
    # A running workload is stored already.
    if way == "client" or "uid" in item.content["metadata"]:
        return replace(item, template=_compared(name, kind, item.content, item.referred))
    from cabgate_cli.input.cluster.client import Cluster

    cluster = Cluster(kubeconfig, context)
    stored = cluster.tried(kind, item.content, namespace)
    referred = cluster.referred(kind, stored, namespace)
    # With the images that other webhooks add: the gate is asked about them too.
    images = {*item.images, *rollout_in(kind, stored, namespace, referred).images}
    template = _compared(name, kind, stored, referred)
    return replace(item, images=tuple(sorted(images)), template=template)


def _compared(
    name: str, kind: GatedKind, content: Mapping[str, Any], referred: Mapping[str, Any] | None
) -> Template | None:
    """What the containers do. Raises `BadInput` where that is too large for the gate."""
    found = template_in(kind, content, referred)
    if found is not None and not found.digest:
        raise BadInput(
            f"--template: {name}: has more than {MAX_SOURCE_BYTES // 1024} KiB, which the gate "
            "compares with no approval; allowed: --template left out"
        )
    return found
