# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a request comes before it, and goes when the request is gone."""

from typing import Any

import pytest

from cabgate.lifecycle.requests.kept_evidence import ABANDONED
from cabgate.rollout.templates import Template, form_text, template_of_forms
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import EVIDENCES, INTENTS, REQUESTS, Object
from cabgate_operator.controllers.kept_evidence import KeptEvidence, discard
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.controllers.declaring import look
from unit.operator.support import MIDDLING, NOW, World, intent_object

ALL = Key(Subject.EVIDENCE, "", "")


def template(command: str) -> Template:
    return template_of_forms([{"containers": {"app": {"command": [command]}}}])


def declare(world: World, command: str = "serve") -> str:
    """Name of the request that an intent asks for whose template is written out."""
    body = intent_object(MIDDLING)
    made = template(command)
    body["spec"]["targets"][0]["template"] = made.digest
    body["spec"]["templateForms"] = [{"template": made.digest, "form": form_text(made)}]
    world.api.put(INTENTS, body)
    return made.digest


def stored(world: World, **changes: Any) -> Object:
    """The one that is kept, changed by an administrator."""
    [found] = world.api.all(EVIDENCES)
    found["metadata"] |= {"creationTimestamp": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), **changes}
    return world.api.put(EVIDENCES, found)


async def test_it_is_written_before_the_request_and_once() -> None:
    world = World()
    digest = declare(world)
    await look(world)
    assert world.api.written[:2] == ["create cabevidences", "create cabrequests"]
    [kept], [request] = world.api.all(EVIDENCES), world.api.all(REQUESTS)
    assert kept["metadata"]["name"] == request["metadata"]["name"]
    assert [each["template"] for each in kept["spec"]["templateForms"]] == [digest]
    assert "templateForms" not in request["spec"]
    await look(world)
    assert world.api.written.count("create cabevidences") == 1


async def test_a_request_that_is_refused_leaves_nothing_behind() -> None:
    world = World()
    declare(world)

    def refuse(what: str) -> None:
        if what == "create cabrequests":
            raise ApiError(403, "Forbidden", "no")

    world.api.before_write = refuse
    with pytest.raises(ApiError):
        await look(world)
    assert world.api.all(EVIDENCES) == []
    world.api.before_write = lambda what: None
    await look(world)
    assert len(world.api.all(EVIDENCES)) == len(world.api.all(REQUESTS)) == 1


@pytest.mark.parametrize(
    ("spec", "age", "again"),
    [({}, 0, False), ({}, 0.6, True), ({"templateForms": []}, 0, True)],
    ids=["the same", "old, so that the sweep may come", "other"],
)
async def test_what_a_killed_operator_left_is_taken_or_replaced(
    spec: Object, age: float, again: bool
) -> None:
    world = World()
    declare(world)
    await look(world)
    [request] = world.api.all(REQUESTS)
    del world.api.objects[(REQUESTS.plural, "team", request["metadata"]["name"])]
    left = stored(world, uid="left")
    world.api.put(EVIDENCES, {**left, "spec": {**left["spec"], **spec}})
    world.clock.forward(ABANDONED.total_seconds() * age)
    await look(world)
    [kept] = world.api.all(EVIDENCES)
    assert kept["spec"]["templateForms"]
    assert (kept["metadata"].get("uid") != "left") is again
    assert len(world.api.all(REQUESTS)) == 1


async def swept(world: World, controller: KeptEvidence) -> None:
    await controller.begin_sweep(world.context)
    for raw in world.api.all(REQUESTS):
        controller.saw(WatchEvent(REQUESTS, raw, world.context.clock(), swept=True))
    for key in controller.end_sweep():
        await controller.reconcile(world.context, key)


async def test_a_sweep_removes_what_has_no_request_and_never_will() -> None:
    world, controller = World(), KeptEvidence()
    declare(world)
    await look(world)
    stored(world)
    world.clock.forward(2 * ABANDONED.total_seconds())
    await swept(world, controller)
    [request] = world.api.all(REQUESTS)
    assert world.api.all(EVIDENCES), "its request is there"
    # One that a sweep did not bring is asked for.
    await controller.begin_sweep(world.context)
    await controller.reconcile(world.context, ALL)
    assert world.api.all(EVIDENCES)
    world.clock.forward(-2 * ABANDONED.total_seconds())
    del world.api.objects[(REQUESTS.plural, "team", request["metadata"]["name"])]
    await swept(world, controller)
    assert world.api.all(EVIDENCES), "its request may be about to come"
    world.clock.forward(ABANDONED.total_seconds() + 1)
    await swept(world, controller)
    assert world.api.all(EVIDENCES) == []


async def test_one_that_may_not_be_removed_holds_up_no_other() -> None:
    world, controller = World(), KeptEvidence()
    declare(world)
    await look(world)
    found = stored(world)
    for name in ("a-kept", "z-kept"):
        world.api.put(EVIDENCES, {**found, "metadata": {**found["metadata"], "name": name}})
    world.clock.forward(2 * ABANDONED.total_seconds())
    refused: list[str] = []

    def refuse_once(what: str) -> None:
        if what == "delete cabevidences" and not refused:
            refused.append(what)
            raise ApiError(403, "Forbidden", "by a policy of the namespace")

    world.api.before_write = refuse_once
    with pytest.raises(ApiError, match="403 Forbidden"):
        await swept(world, controller)
    assert len(world.api.all(EVIDENCES)) == 2, "the refused one, and that of the request"


async def test_what_a_live_request_has_is_not_discarded() -> None:
    """Another operator opened it between two looks."""
    world = World()
    declare(world)
    await look(world)
    [found] = world.api.all(EVIDENCES)
    await discard(world.context, found)
    assert world.api.all(EVIDENCES)


async def test_it_goes_with_its_request() -> None:
    world, controller = World(), KeptEvidence()
    declare(world)
    await look(world)
    stored(world)
    [request] = world.api.all(REQUESTS)
    gone = WatchEvent(REQUESTS, request, NOW, deleted=True)
    [key] = controller.saw(gone)
    await controller.reconcile(world.context, key)
    assert world.api.all(EVIDENCES), "there is another of its name"
    del world.api.objects[(REQUESTS.plural, "team", request["metadata"]["name"])]
    await controller.reconcile(world.context, key)
    assert world.api.all(EVIDENCES) == []
    await controller.reconcile(world.context, key)
