# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent --template`: what the containers of workloads do, as an approval can cover it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from cabgate.api.kinds import GatedKind
from cabgate.rollout.templates import MAX_SOURCE_BYTES
from cabgate.rollout.workloads import kind_of
from cabgate_cli.errors import BadInput
from cabgate_cli.input.workloads import Found, rollout_in, template_in


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
    return [_told(item, kinds, way, namespace, kubeconfig, context) for item in found]


def template_fields(item: Found) -> dict[str, Any]:
    """The fields of a target that say what the containers do; none where that is not told."""
    if item.template is None:
        return {}
    return {"template": item.template.digest, "templateFields": item.template.fields}


def _told(
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
    whole = {key: item.content[key] for key in ("spec", "template") if key in item.content}
    if len(json.dumps(whole)) > MAX_SOURCE_BYTES:
        raise BadInput(
            f"--template: {name}: has more than {MAX_SOURCE_BYTES // 1024} KiB, which the gate "
            "compares with no approval; allowed: --template left out"
        )
    # A running workload is stored already.
    if way == "client" or "uid" in item.content["metadata"]:
        return replace(item, template=template_in(kind, item.content, item.referred))
    from cabgate_cli.input.cluster.client import Cluster

    cluster = Cluster(kubeconfig, context)
    stored = cluster.tried(kind, item.content, namespace)
    referred = cluster.referred(kind, stored, namespace)
    # With the images that other webhooks add: the gate is asked about them too.
    images = {*item.images, *rollout_in(kind, stored, namespace, referred).images}
    return replace(item, images=tuple(sorted(images)), template=template_in(kind, stored, referred))
