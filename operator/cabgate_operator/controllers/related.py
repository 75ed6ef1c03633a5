# SPDX-License-Identifier: Apache-2.0
"""Which requests are about the same workloads, and which intent asked for one."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from cabgate.api.request import CABRequest
from cabgate.api.stored import StoredTarget
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.rollout.targets import Workload, selectors
from cabgate_kube.resources import REQUESTS, Object
from cabgate_operator.work.context import Context, parsed


async def requests_naming(
    context: Context,
    namespace: str,
    targets: Iterable[StoredTarget],
    known: Mapping[str, WholeRequest] | None = None,
) -> list[WholeRequest]:
    """The requests of a namespace that name a workload of one of some targets, each once. One of
    `known`, by name, is taken from there if it is the same version."""

    async def listed(selector: str) -> list[WholeRequest]:
        async with context.room.turn_to_list(namespace):
            found = await context.api.list(REQUESTS, namespace, labels=selector)
        return [_whole(item, known or {}) for item in found]

    lists = await asyncio.gather(*map(listed, selectors(map(Workload.of, targets))))
    return [request for found in lists for request in found]


def intent_named(request: Object) -> str:
    """Name of the intent that asked for a request as it is stored; empty if none did."""
    spec: dict[str, Any] = request.get("spec") or {}
    return str((spec.get("intentRef") or {}).get("name", ""))


def _whole(item: Object, known: Mapping[str, WholeRequest]) -> WholeRequest:
    metadata = item["metadata"]
    found, version = known.get(metadata["name"]), metadata.get("resourceVersion")
    if found is not None and version and found.stored.metadata.resource_version == version:
        return found
    return WholeRequest.of(parsed(CABRequest, item))
