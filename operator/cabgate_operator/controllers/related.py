# SPDX-License-Identifier: Apache-2.0
"""The requests that are about the same workloads."""

import asyncio
from collections.abc import Iterable

from cabgate.api.request import CABRequest
from cabgate.api.types import Target
from cabgate.rollout.targets import Workload, selectors
from cabgate_operator.client.apiserver import REQUESTS
from cabgate_operator.work.context import Context, parsed


async def requests_naming(
    context: Context, namespace: str, targets: Iterable[Target]
) -> list[CABRequest]:
    """The requests of a namespace that name a workload of one of some targets, each once."""
    wanted = selectors(map(Workload.of, targets))
    lists = await asyncio.gather(
        *(context.api.list(REQUESTS, namespace, labels=selector) for selector in wanted)
    )
    return [parsed(CABRequest, item) for items in lists for item in items]
