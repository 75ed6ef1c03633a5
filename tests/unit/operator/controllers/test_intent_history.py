# SPDX-License-Identifier: Apache-2.0
"""Intents that go back and forth, and how often they may."""

import pytest

from cabgate.lifecycle.limits.flapping import MAX_OPENED, MAX_REOPENED
from cabgate_kube.resources import REQUESTS
from cabgate_operator.work.keys import Key, Subject
from unit.operator.controllers.declaring import KEY, declare, look, name_of
from unit.operator.support import (
    MIDDLING,
    World,
    decisions,
    evidence,
)


async def test_a_then_b_then_a() -> None:
    world = World()
    other = evidence(MIDDLING, "other")
    declare(world, MIDDLING)
    await look(world)
    declare(world, other)
    await look(world)
    assert world.requests() == {name_of(MIDDLING): "Superseded", name_of(other): "Submitted"}
    assert world.intent_status()["requestName"] == name_of(other)
    declare(world, MIDDLING)
    await look(world)
    assert world.requests() == {name_of(MIDDLING): "Submitted", name_of(other): "Superseded"}
    assert world.intent_status()["observedGeneration"] == 3
    assert world.notes() == [
        "ReviewNeeded",
        "ReviewNeeded",
        "ReviewNeeded",
        "Superseded",
        "Superseded",
    ]


async def test_an_intent_that_goes_back_and_forth_waits() -> None:
    world = World()
    other = evidence(MIDDLING, "other")
    for _ in range(MAX_REOPENED + 2):
        declare(world, MIDDLING)
        await look(world)
        declare(world, other)
        await look(world)
    seen = [len(body["status"]["decisions"]) for body in world.api.all(REQUESTS)]
    assert seen == [2 * MAX_REOPENED + 1] * 2
    assert world.ready() == ("False", "ChangedTooOften")
    assert not world.stalled()
    world.api.written.clear()
    await look(world)
    assert world.api.written == []
    world.clock.forward(3601)
    world.queue.tick()
    assert len(world.queue) > 0
    await look(world)
    assert world.ready()[1] == "ReviewPending"


async def test_what_is_changed_too_often_is_ready_where_it_is_admitted() -> None:
    world = World()
    other = evidence(MIDDLING, "other")
    declare(world, MIDDLING)
    await look(world)
    (body,) = world.api.all(REQUESTS)
    approved = decisions(body["spec"]["evidenceDigest"], ("Approved", "ann"))
    world.api.put(REQUESTS, {**body, "status": {"state": "Approved", "decisions": approved}})
    for _ in range(MAX_REOPENED + 2):
        declare(world, MIDDLING)
        await look(world)
        declare(world, other)
        await look(world)
    assert world.ready() == ("True", "RequestApproved")


@pytest.mark.slow
async def test_of_one_intent_so_many_requests_are_opened_in_an_hour() -> None:
    world = World()
    for number in range(MAX_OPENED + 2):
        declare(world, evidence(MIDDLING, f"release-{number}"))
        await look(world)
    assert len(world.requests()) == MAX_OPENED
    assert world.ready() == ("False", "ChangedTooOften")
    declare(world, evidence(MIDDLING, "release-7"))
    await look(world)
    assert world.ready()[1] == "ReviewPending", "what was opened before is not held back"
    declare(world, evidence(MIDDLING, "last"))
    await look(world)
    world.clock.forward(3601)
    await look(world)
    assert len(world.requests()) == MAX_OPENED + 1


def test_when_requests_were_opened_is_forgotten_after_an_hour() -> None:
    world = World()
    context, other = world.context, Key(Subject.INTENT, "team", "other")
    for key in (KEY, other, KEY):
        context.note_opened(key)
        world.clock.forward(1000)
    assert {key: len(times) for key, times in context.opened.items()} == {other: 1, KEY: 2}
    world.clock.forward(1800)
    context.note_opened(KEY)
    assert {key: len(times) for key, times in context.opened.items()} == {KEY: 2}
