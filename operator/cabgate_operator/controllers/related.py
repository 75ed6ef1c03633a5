# SPDX-License-Identifier: Apache-2.0
"""Which requests are about the same workloads, and which intent asked for one."""

import asyncio
from collections.abc import Iterable
from typing import Any

from cabgate.api.request import CABRequest
from cabgate.api.stored import StoredTarget
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.rollout.targets import Workload, selectors
from cabgate_kube.resources import REQUESTS, Object
from cabgate_operator.work.context import Context, parsed


async def requests_naming(
    context: Context, namespace: str, targets: Iterable[StoredTarget]
) -> list[WholeRequest]:
    """The requests of a namespace that name a workload of one of some targets, each once."""
    found = await listed_naming(context, namespace, targets)
    return [WholeRequest.of(parsed(CABRequest, item)) for item in found]


async def listed_naming(
    context: Context, namespace: str, targets: Iterable[StoredTarget]
) -> list[Object]:
    """The same, as they are stored."""

    async def listed(selector: str) -> list[Object]:
        async with context.room.turn_to_list(namespace):
            return await context.api.list(REQUESTS, namespace, labels=selector)

    lists = await asyncio.gather(*map(listed, selectors(map(Workload.of, targets))))
    return [item for found in lists for item in found]


def intent_named(request: Object) -> str:
    """Name of the intent that asked for a request as it is stored; empty if none did."""
    spec: dict[str, Any] = request.get("spec") or {}
    return str((spec.get("intentRef") or {}).get("name", ""))
