# SPDX-License-Identifier: Apache-2.0
"""An operator that is killed after each single write gets on with each of its lives."""

from datetime import timedelta

import pytest

from cabgate.lifecycle.limits.flapping import ABSENCE
from cabgate_kube.resources import EVENTS, INTENTS, REQUESTS, Object
from cabgate_operator.controllers.intents import reconcile_intent
from unit.operator.controllers.declaring import KEY, decide, declare
from unit.operator.support import GOOD, MIDDLING, World

WORSE = {**GOOD, "scanResults": {"critical": 0, "high": 9}}


class Killed(Exception):  # noqa: N818 - what happens to the operator, not a fault
    """The operator is no more."""


async def lives_until_done(world: World) -> int:
    """How many lives of one write it takes until nothing is left to write."""
    for lives in range(12):
        written = len(world.api.written)

        def once(what: str, before: int = written) -> None:
            if len(world.api.written) > before:
                raise Killed

        world.api.before_write = once
        world.clock.forward(1)
        try:
            await reconcile_intent(world.context, KEY)
        except Killed:
            continue
        if len(world.api.written) == written:
            world.api.before_write = lambda what: None
            return lives
    pytest.fail(f"it goes on for ever: {world.api.written[-6:]}")


@pytest.mark.parametrize(
    "contents", [(MIDDLING, GOOD), (GOOD, WORSE, GOOD), (GOOD, MIDDLING, GOOD, MIDDLING)]
)
async def test_whatever_an_intent_declares_is_finished(contents: tuple[Object, ...]) -> None:
    world = World()
    for content in contents:
        declare(world, content)
        world.clock.forward(int(timedelta(hours=1).total_seconds()))
        assert await lives_until_done(world) >= 2
    asked = {
        body["metadata"]["name"]: body["status"]["askedAt"] for body in world.api.all(REQUESTS)
    }
    current = world.intent_status()["requestName"]
    assert asked[current] == max(asked.values())


def told_of(world: World, name: str) -> list[str]:
    """Reasons of the Events that name a request."""
    return [body["reason"] for body in world.api.all(EVENTS) if name in body["message"]]


async def test_what_an_intent_moves_on_from_is_told_in_one_of_its_lives() -> None:
    world = World()
    declare(world, MIDDLING)
    await lives_until_done(world)
    first = world.intent_status()["requestName"]
    declare(world, {**MIDDLING, "scope": {"affectedComponents": 2}})
    await lives_until_done(world)
    assert world.requests()[first] == "Superseded"
    assert told_of(world, first).count("Superseded") == 1
    assert len(told_of(world, world.intent_status()["requestName"])) >= 1


async def test_a_deleted_intent_s_request_is_told_in_one_of_its_lives() -> None:
    world = World()
    declare(world, MIDDLING)
    await lives_until_done(world)
    [name] = world.requests()
    del world.api.objects[(INTENTS.plural, "team", "web")]
    await lives_until_done(world)
    world.clock.forward(ABSENCE.total_seconds())
    await lives_until_done(world)
    assert world.requests() == {name: "Superseded"}
    assert told_of(world, name).count("Superseded") == 1


async def test_an_approval_that_is_taken_back_is_told_in_one_of_its_lives() -> None:
    world = World()
    declare(world, MIDDLING)
    await lives_until_done(world)
    [name] = world.requests()
    decide(world, name, ("Approved", "dev"))  # who submitted it
    await lives_until_done(world)
    assert world.requests() == {name: "Submitted"}
    assert world.notes().count("ApprovalTakenBack") == 1
