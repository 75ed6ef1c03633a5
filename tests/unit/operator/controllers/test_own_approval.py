# SPDX-License-Identifier: Apache-2.0
"""The operator notices an approval by writing its intent first, and takes back one whose author
stands in the intent."""

import copy
from typing import Any

import pytest

from cabgate.api import CABRequest
from cabgate.review.identity import Machines
from cabgate_kube.errors import ConflictError
from cabgate_kube.resources import INTENTS, REQUESTS, Object
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.context import parsed
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import GOOD, MIDDLING, World, decisions, intent_object, request

KEY = Key(Subject.INTENT, "team", "web")
NAME = request(MIDDLING).metadata.name


async def look(world: World) -> None:
    await reconcile_intent(world.context, KEY)


def declare(world: World, **spec: Any) -> None:
    old = world.api.objects.get((INTENTS.plural, "team", "web"))
    body = intent_object(MIDDLING)
    body["spec"] |= spec
    if old is not None:
        body["metadata"]["generation"] = old["metadata"]["generation"] + 1
        body["status"] = old.get("status", {})
    world.api.put(INTENTS, body)


def stored(world: World) -> Object:
    body: Object = world.api.objects[(REQUESTS.plural, "team", NAME)]
    return body


def approve(world: World) -> str:
    """Approve the request as a person; who that was."""
    body = stored(world)
    body["status"]["decisions"] = decisions(body["spec"]["evidenceDigest"], ("Approved", "rita"))
    world.api.put(REQUESTS, body)
    return str(body["status"]["decisions"][0]["author"]["username"])


async def opened(**spec: Any) -> World:
    world = World()
    declare(world, **spec)
    await look(world)
    world.api.written.clear()
    return world


async def test_an_approval_is_told_by_the_intent_first() -> None:
    world = await opened(submittedBy=[{"username": "ann"}])
    approve(world)
    await look(world)
    statuses = [each for each in world.api.written if each.startswith("status")]
    assert statuses == ["status deploymentintents", "status cabrequests"]
    assert world.requests() == {NAME: "Approved"}
    assert world.ready() == ("True", "RequestApproved")
    world.api.written.clear()
    await look(world)
    assert world.api.written == []


async def test_without_the_intent_s_word_the_request_s_is_not_written() -> None:
    """A change that comes in between is looked at anew, and the approval taken back."""
    world = await opened(submittedBy=[{"username": "ann"}])
    person = approve(world)
    replace = world.api.replace_status

    async def beaten(resource: Any, body: Object) -> Object:
        if resource is INTENTS:
            declare(world, submittedBy=[{"username": "ann"}, {"username": person}])
        return await replace(resource, body)

    world.api.replace_status = beaten  # type: ignore[method-assign]
    with pytest.raises(ConflictError):
        await look(world)
    assert world.api.written == ["create events"]
    world.api.replace_status = replace  # type: ignore[method-assign]
    await look(world)
    assert world.requests() == {NAME: "Submitted"}


@pytest.mark.parametrize("field", ["submittedBy", "requester", "requestedBy"])
async def test_the_approval_of_who_stands_in_the_intent_is_taken_back(field: str) -> None:
    world = await opened(submittedBy=[{"username": "ann"}])
    person = approve(world)
    value: Any = {
        "submittedBy": [{"username": "ann"}, {"username": person}],
        "requester": person,
        "requestedBy": [person],
    }[field]
    declare(world, **{field: value})
    await look(world)
    assert world.requests() == {NAME: "Submitted"}
    verdicts = [entry["verdict"] for entry in stored(world)["status"]["decisions"]]
    assert verdicts == ["Approved", "Reopened"]
    assert person in stored(world)["status"]["decisions"][1]["rationale"]
    assert "ApprovalTakenBack" in world.notes()
    assert world.ready() == ("False", "ReviewPending")
    world.api.written.clear()
    await look(world)
    assert world.api.written == []


async def test_what_was_noticed_stands_whoever_declares_it_again() -> None:
    world = await opened(submittedBy=[{"username": "ann"}])
    person = approve(world)
    await look(world)
    declare(world, submittedBy=[{"username": person}])
    await look(world)
    assert world.requests() == {NAME: "Approved"}


async def test_a_request_of_a_newer_release_is_left_alone() -> None:
    world = await opened(submittedBy=[{"username": "ann"}])
    body = stored(world)
    body["spec"]["requires"] = ["quorum"]
    before = body["status"]
    world.api.put(REQUESTS, body)
    approve(world)
    await look(world)
    assert "status cabrequests" not in world.api.written
    assert stored(world)["status"]["state"] == before["state"]
    assert world.ready() == ("False", "UnknownRequirement")
    assert world.stalled()
    assert parsed(CABRequest, stored(world)).spec.requires == ["quorum"]


async def test_machines_by_configuration_are_told_of() -> None:
    world = World()
    world.context.machines = Machines(user_prefixes=("ci:",))
    declare(world, submittedBy=[{"username": "ci:deploy"}])
    await look(world)
    conditions = {c["type"]: c["message"] for c in world.intent_status()["conditions"]}
    assert "Only machines submitted it" in conditions["Ready"]
    seen = {c["type"]: c["message"] for c in stored(world)["status"]["conditions"]}
    assert "Only machines submitted it" in seen["Decided"]


async def test_what_was_taken_back_is_not_said_to_lack_a_model() -> None:
    """Its score asks for nobody: the operator looks at the model before it says why it waits."""
    world = World()
    name = request(GOOD).metadata.name
    body = intent_object(GOOD)
    world.api.put(INTENTS, body)
    await look(world)
    asked = copy.deepcopy(world.api.objects[(INTENTS.plural, "team", "web")])
    found = world.api.objects[(REQUESTS.plural, "team", name)]
    found["status"] = {
        "decisions": decisions(found["spec"]["evidenceDigest"], ("Approved", "dev")),
        "state": "Approved",
    }
    world.api.put(REQUESTS, found)
    world.api.put(INTENTS, asked)
    await look(world)
    seen = world.api.objects[(REQUESTS.plural, "team", name)]["status"]["conditions"][0]["message"]
    assert "cannot be recomputed" not in seen
    entries = world.api.objects[(REQUESTS.plural, "team", name)]["status"]["decisions"]
    assert [each["verdict"] for each in entries] == ["Approved", "Reopened", "AutoApproved"]
