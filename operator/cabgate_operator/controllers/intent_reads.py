# SPDX-License-Identifier: Apache-2.0
"""Reads what one look at an intent needs: of the API server what no watch has brought.

What a look writes is believed by nobody for what was read here: statuses name the version that they
rest on, and the webhook reads intent, requests, models and policies itself before a request is
opened or approved by its score.
"""

import asyncio

from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.rollout.targets import Workload
from cabgate_kube.resources import INTENTS, REQUESTS, Object
from cabgate_operator.controllers.intent_work import Work
from cabgate_operator.controllers.related import intent_named, listed_naming
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.keys import Key
from cabgate_operator.work.remembered import ToList


async def read_work(context: Context, key: Key) -> Work | None:
    """What a look at an intent begins with; None where its namespace is gone or going. Raises
    `ApiError`, and `ValueError` for what cannot be read."""
    namespace, raw = await asyncio.gather(context.namespace(key.namespace), _intent(context, key))
    if namespace is None or namespace["metadata"].get("deletionTimestamp"):
        return None  # its objects are going, and nothing may be created there
    labels = namespace["metadata"].get("labels") or {}
    live = raw is not None and not raw["metadata"].get("deletionTimestamp")
    intent = parsed(DeploymentIntent, raw) if raw is not None and live else None
    own, naming = await _requests(context, key, intent)
    requests = {item["metadata"]["name"]: (item, _whole(item)) for item in own}
    return Work(
        key=key,
        labels=labels,
        ring=context.installation.namespace_ring(key.namespace, labels),
        raw=raw,
        intent=intent,
        requests={
            name: (item, request)
            for name, (item, request) in requests.items()
            if not item["metadata"].get("deletionTimestamp")
        },
        others=[_known(item, requests) for item in naming],
    )


async def _intent(context: Context, key: Key) -> Object | None:
    brought = context.remembered.take(key)
    if brought is not None:
        return brought
    return await context.api.get(INTENTS, key.namespace, key.name)


async def _requests(
    context: Context, key: Key, intent: DeploymentIntent | None
) -> tuple[list[Object], list[Object]]:
    """The requests made from an intent, and those that name one of its workloads."""
    targets = () if intent is None else intent.spec.targets
    wanted = ToList(naming=intent is not None)
    if not context.remembered.is_doubted(key):
        wanted = context.requests.to_list(key, {Workload.of(each).label for each in targets})

    async def own() -> list[Object]:
        if not wanted.own:
            return []
        selector = f"spec.intentRef.name={key.name}"
        return await context.api.list(REQUESTS, key.namespace, fields=selector)

    async def naming() -> list[Object]:
        return await listed_naming(context, key.namespace, targets) if wanted.naming else []

    # At once: lists wait for the API server's own cache where much is written.
    made, found = await asyncio.gather(own(), naming())
    if not wanted.own:
        made = [item for item in found if intent_named(item) == key.name]
    return made, found


def _known(item: Object, requests: dict[str, tuple[Object, WholeRequest]]) -> WholeRequest:
    """A request of a list; as it is known already, if that is the same version."""
    raw, request = requests.get(item["metadata"]["name"], (None, None))
    version = item["metadata"].get("resourceVersion")
    if raw is not None and request is not None and version == raw["metadata"]["resourceVersion"]:
        return request
    return _whole(item)


def _whole(item: Object) -> WholeRequest:
    return WholeRequest.of(parsed(CABRequest, item))
