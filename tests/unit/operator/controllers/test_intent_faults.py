# SPDX-License-Identifier: Apache-2.0
"""What refuses, fails or is gone while an intent is looked at."""

import pytest

from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.resources import INTENTS, NAMESPACES, REQUESTS
from unit.operator.controllers.declaring import declare, look, name_of
from unit.operator.support import (
    GOOD,
    MIDDLING,
    World,
    request,
)


async def test_a_name_that_is_taken_is_not_touched() -> None:
    world = World()
    taken = request(GOOD).model_dump(mode="json", by_alias=True)
    taken["spec"]["intentRef"]["name"] = "another"
    taken["status"] = {"state": "Submitted"}
    world.api.put(REQUESTS, taken)
    before = world.api.all(REQUESTS)
    declare(world, GOOD)
    await look(world)
    assert world.api.all(REQUESTS) == before
    assert world.ready() == ("False", "RequestNameTaken")
    assert world.stalled()
    assert world.notes() == ["RequestNameTaken"]
    assert "state" not in world.intent_status()
    world.api.written.clear()
    await look(world)
    assert world.api.written == []


async def test_the_first_digits_of_a_digest_may_be_the_same() -> None:
    world = World()
    twin = request(MIDDLING).model_dump(mode="json", by_alias=True)
    twin["metadata"]["name"] = name_of(GOOD)
    world.api.put(REQUESTS, twin)
    declare(world, GOOD)
    await look(world)
    assert world.ready() == ("False", "RequestNameTaken")


async def test_two_that_create_the_same_request_agree() -> None:
    world = World()
    declare(world, GOOD)

    def first(what: str) -> None:
        world.api.before_write = lambda what: None
        made = request(GOOD).model_dump(mode="json", by_alias=True)
        world.api.put(REQUESTS, made)

    world.api.before_write = first
    await look(world)
    assert world.requests() == {name_of(GOOD): "AutoApproved"}


def refuse(world: World, refused: str, error: ApiError) -> None:
    def check(what: str) -> None:
        if what == refused:
            raise error

    world.api.before_write = check


async def test_a_refused_request_is_shown_and_tried_again() -> None:
    world = World()
    declare(world, GOOD)
    refuse(world, "create cabrequests", ApiError(403, "Forbidden", "the webhook says no"))
    with pytest.raises(ApiError):
        await look(world)
    assert world.ready() == ("False", "RequestRefused")
    assert not world.stalled()
    world.api.before_write = lambda what: None
    await look(world)
    assert world.ready() == ("True", "RequestApproved")


async def test_a_refused_status_is_tried_again_and_the_rest_is_done() -> None:
    world = World()
    declare(world, GOOD)
    refuse(world, "status cabrequests", ApiError(403, "Forbidden", "the webhook says no"))
    with pytest.raises(ApiError):
        await look(world)
    assert world.ready() == ("False", "RequestRefused")
    world.api.before_write = lambda what: None
    await look(world)
    assert world.ready() == ("True", "RequestApproved")


@pytest.mark.parametrize("what", ["create cabrequests", "status cabrequests"])
@pytest.mark.parametrize(
    "error", [ApiError(0, "Unreachable", ""), ConflictError(409, "Conflict", "")]
)
async def test_an_api_server_in_trouble_leaves_the_status_alone(what: str, error: ApiError) -> None:
    world = World()
    declare(world, GOOD)
    refuse(world, what, error)
    with pytest.raises(ApiError):
        await look(world)
    assert "status" not in world.api.objects[(INTENTS.plural, "team", "web")]


async def test_events_that_cannot_be_written_stop_nothing() -> None:
    world = World()
    declare(world, GOOD)
    refuse(world, "create events", ApiError(403, "Forbidden", "no"))
    await look(world)
    assert world.ready() == ("True", "RequestApproved")


async def test_killed_before_any_write_the_next_look_finishes() -> None:
    calm = World()
    for content in (MIDDLING, GOOD):
        declare(calm, content)
        await look(calm)
    hasty = World()
    declare(hasty, MIDDLING)
    await look(hasty)
    declare(hasty, GOOD)
    budget = 0

    def die(what: str) -> None:
        nonlocal budget
        if budget == 0:
            raise KeyboardInterrupt
        budget -= 1

    hasty.api.before_write = die
    for lives in range(10):
        # An Event that is there already costs a call in each life, and none is written twice.
        budget = 2 if lives else 0
        try:
            await look(hasty)
        except KeyboardInterrupt:
            continue
        break
    assert hasty.requests() == calm.requests()
    assert hasty.intent_status() == calm.intent_status()
    assert len(hasty.api.all(REQUESTS)) == 2
    assert set(calm.notes()) - set(hasty.notes()) <= {"Superseded"}
    assert len(hasty.notes()) <= len(calm.notes())


async def test_a_namespace_on_its_way_out_is_left_alone() -> None:
    for namespace in (None, {"metadata": {"name": "team", "deletionTimestamp": "x"}}):
        world = World()
        declare(world, GOOD)
        if namespace is None:
            del world.api.objects[(NAMESPACES.plural, "", "team")]
        else:
            world.api.put(NAMESPACES, namespace)
        await look(world)
        assert world.api.written == []


async def test_a_refusal_because_the_intent_changed_is_no_news() -> None:
    world = World()
    declare(world, GOOD)

    def change(what: str) -> None:
        if what == "create cabrequests":
            declare(world, MIDDLING)
            raise ApiError(403, "Forbidden", "is not what the live intent says")

    world.api.before_write = change
    with pytest.raises(ConflictError):
        await look(world)
    assert world.api.written == []
    assert world.notes() == []
