# SPDX-License-Identifier: Apache-2.0
"""The requests that are about the same workloads."""

import asyncio
from collections.abc import Iterable, Mapping

from cabgate.api.request import CABRequest
from cabgate.api.stored import StoredTarget
from cabgate.lifecycle.standing import WholeRequest
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
    wanted = selectors(map(Workload.of, targets))
    lists = await asyncio.gather(
        *(context.api.list(REQUESTS, namespace, labels=selector) for selector in wanted)
    )
    return [_whole(item, known or {}) for items in lists for item in items]


def _whole(item: Object, known: Mapping[str, WholeRequest]) -> WholeRequest:
    metadata = item["metadata"]
    found, version = known.get(metadata["name"]), metadata.get("resourceVersion")
    if found is not None and version and found.stored.metadata.resource_version == version:
        return found
    return WholeRequest.of(parsed(CABRequest, item))
