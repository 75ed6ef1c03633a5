# SPDX-License-Identifier: Apache-2.0
"""Requests for one workload are opened one after the other, so that a budget is not spent twice."""

import asyncio

import pytest

from cabgate_kube.resources import INTENTS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.controllers.test_tenant_cost import declared
from unit.operator.support import MIDDLING, World, evidence


class Slow:
    """Creates take some turns of the event loop; the most that were under way at once."""

    def __init__(self, world):
        self._create = world.api.create
        self.under_way = self.most = 0
        world.api.create = self.create

    async def create(self, resource, namespace, body):
        if resource.plural != "cabrequests":
            return await self._create(resource, namespace, body)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(20):
                await asyncio.sleep(0)
            return await self._create(resource, namespace, body)
        finally:
            self.under_way -= 1


async def opened(*bodies):
    """The most requests that are being opened at once for some intents."""
    world = World()
    for body in bodies:
        world.api.put(INTENTS, body)
    slow = Slow(world)
    names = [body["metadata"]["name"] for body in bodies]
    await asyncio.gather(
        *(reconcile_intent(world.context, Key(Subject.INTENT, "team", name)) for name in names)
    )
    assert len(world.requests()) == len(bodies)
    assert not world.context.room._turns
    return slow.most


@pytest.mark.parametrize("targets", [1, 3])
async def test_requests_for_one_workload_one_after_the_other(targets):
    bodies = [declared(evidence(MIDDLING, f"n{n}"), 1 + n % targets, f"web-{n}") for n in range(6)]
    assert await opened(*bodies) == 1


async def test_those_for_others_do_not_wait():
    bodies = [declared(MIDDLING, 1, f"web-{n}") for n in range(6)]
    for number, body in enumerate(bodies):
        body["spec"]["targets"][0]["name"] = f"other-{number}"
    assert await opened(*bodies) == 6
