# SPDX-License-Identifier: Apache-2.0
"""From an intent to a request that is decided: what is written, and when it is ready."""

import pytest

from cabgate.rollout.installation import InstallationSettings
from cabgate_kube.resources import EVENTS, EXCEPTIONS, INTENTS, NAMESPACES, REQUESTS, Object
from cabgate_operator.work.metrics import Metrics
from unit.operator.controllers.declaring import decide, declare, look, name_of
from unit.operator.support import (
    BAD,
    GOOD,
    ME,
    MIDDLING,
    World,
    decisions,
    exception_object,
    intent_object,
    request,
)


async def test_low_risk_is_approved_with_four_writes() -> None:
    world = World()
    declare(world, GOOD)
    await look(world)
    assert world.requests() == {name_of(GOOD): "AutoApproved"}
    assert world.ready() == ("True", "RequestApproved")
    assert world.notes() == ["AutoApproved"]
    assert world.api.written == [
        "create cabrequests",
        "status cabrequests",
        "create events",
        "status deploymentintents",
    ]
    status = world.intent_status()
    assert status["requestName"] == name_of(GOOD)
    assert status["observedGeneration"] == 1
    assert (status["score"], status["gate"], status["state"]) == (
        "0.00",
        "AutoApprove",
        "AutoApproved",
    )
    assert status["correlationID"].startswith("CAB-")


async def test_a_request_repeats_the_labels_that_the_operator_was_told_of() -> None:
    world = World()
    world.context.labels = ("team",)
    declare(world, MIDDLING, labels={"team": "shop", "tier": "gold"})
    await look(world)
    [made] = world.api.all(REQUESTS)
    own = [key for key in made["metadata"]["labels"] if not key.startswith("target.cabgate.dev/")]
    assert own == ["team"]
    assert made["metadata"]["labels"]["team"] == "shop"
    # It is a record: what the label becomes later is not its.
    declare(world, MIDDLING, labels={"team": "bank"})
    await look(world)
    [still] = world.api.all(REQUESTS)
    assert still["metadata"]["labels"] == made["metadata"]["labels"]


async def test_nothing_is_written_where_all_is_right() -> None:
    for content in (GOOD, MIDDLING, BAD):
        world = World()
        declare(world, content)
        await look(world)
        world.api.written.clear()
        world.clock.forward(3600)
        await look(world)
        assert world.api.written == []


@pytest.mark.parametrize(
    ("content", "ready", "stalled", "seen"),
    [
        (GOOD, ("True", "RequestApproved"), False, "AutoApproved"),
        (MIDDLING, ("False", "ReviewPending"), False, "ReviewNeeded"),
        (BAD, ("False", "ExceptionRequired"), True, "ExceptionRequired"),
    ],
)
async def test_ready_and_stalled(
    content: Object, ready: tuple[str, str], stalled: bool, seen: str
) -> None:
    world = World()
    declare(world, content)
    await look(world)
    assert (world.ready(), world.stalled()) == (ready, stalled)
    assert world.notes() == [seen]


async def test_rings_below_two_need_nothing() -> None:
    world = World()
    world.api.put(NAMESPACES, {"metadata": {"name": "team"}})
    declare(world, BAD)
    await look(world)
    assert world.ready() == ("True", "RingNotGated")
    assert not world.stalled()
    assert world.requests() == {name_of(BAD): "ExceptionRequired"}


async def test_an_excluded_namespace_needs_nothing_whatever_its_ring() -> None:
    world = World()
    world.context.installation = InstallationSettings(excluded=frozenset({"team"}))
    declare(world, BAD)
    await look(world)
    assert world.ready() == ("True", "RingNotGated")


async def test_the_default_ring_counts_where_there_is_no_label() -> None:
    world = World()
    world.context.installation = InstallationSettings(default_ring=2)
    world.api.put(NAMESPACES, {"metadata": {"name": "team"}})
    declare(world, BAD)
    await look(world)
    assert world.ready() == ("False", "ExceptionRequired")


async def test_a_person_decides() -> None:
    for verdict, ready in (("Approved", "RequestApproved"), ("Rejected", "Rejected")):
        world = World()
        declare(world, MIDDLING)
        await look(world)
        decide(world, name_of(MIDDLING), (verdict, "ann"))
        await look(world)
        assert world.ready()[1] == ready
        assert world.stalled() == (verdict == "Rejected")
        assert verdict in world.notes()
        decided = world.api.all(REQUESTS)[0]["status"]["conditions"][0]
        assert (decided["status"], decided["reason"]) == ("True", verdict)


async def test_a_deleted_intent_supersedes_what_is_undecided_only() -> None:
    world = World()
    declare(world, GOOD)
    await look(world)
    declare(world, MIDDLING, images=("r/web:2",))
    await look(world)
    gone = world.api.objects.pop((INTENTS.plural, "team", "web"))
    await look(world)
    later = request(MIDDLING, images=("r/web:2",)).metadata.name
    as_it_was = {name_of(GOOD): "AutoApproved", later: "Submitted"}
    assert world.requests() == as_it_was
    # Deleted and created anew in one go: nothing happened.
    world.clock.forward(4)
    world.api.put(INTENTS, gone)
    await look(world)
    assert (world.requests(), world.context.absent) == (as_it_was, {})
    del world.api.objects[(INTENTS.plural, "team", "web")]
    await look(world)
    assert world.requests() == as_it_was
    world.clock.forward(5)
    world.queue.tick()
    assert len(world.queue) > 0
    await look(world)
    assert world.requests() == {name_of(GOOD): "AutoApproved", later: "Superseded"}
    world.api.written.clear()
    await look(world)
    assert (world.api.written, world.context.absent) == ([], {})


async def test_an_exception_makes_ready_and_its_end_unmakes_it() -> None:
    world = World()
    declare(world, BAD)
    await look(world)
    leave = exception_object(request(BAD))
    world.api.put(EXCEPTIONS, leave)
    await look(world)
    assert world.ready() == ("False", "ExceptionPending")
    assert not world.stalled()
    leave = exception_object(request(BAD), ("Approved", "sam"))
    leave["status"]["decisions"][0]["at"] = "2030-01-01T12:00:00Z"
    world.api.put(EXCEPTIONS, leave)
    await look(world)
    assert world.ready() == ("True", "ExceptionActive")
    declare(world, MIDDLING)
    await look(world)
    assert world.requests()[name_of(BAD)] == "ExceptionRequired"
    world.clock.forward(86400)
    await look(world)
    assert world.requests()[name_of(BAD)] == "Superseded"
    declare(world, BAD)
    await look(world)
    assert world.ready() == ("False", "ExceptionEnded")
    assert world.stalled()
    assert {"ExceptionPending", "ExceptionActive", "ExceptionRequired"} <= set(world.notes())


def counted(world: World) -> list[str]:
    """Numbers and sums of the decisions that were counted."""
    return [
        line.removeprefix("cabgate_request_decision_seconds_")
        for line in world.context.metrics.text().decode().splitlines()
        if line.startswith(("cabgate_request_decision_seconds_count",
                            "cabgate_request_decision_seconds_sum"))
    ]  # fmt: skip


async def test_a_decision_is_counted_once_also_if_nobody_led_when_it_was_made() -> None:
    world = World()
    declare(world, MIDDLING)
    await look(world)
    assert counted(world) == []
    (request,) = world.api.all(REQUESTS)
    request["metadata"]["creationTimestamp"] = "2030-01-01T10:00:00Z"
    world.api.put(REQUESTS, request)
    decide(world, name_of(MIDDLING), ("Approved", "rita"))
    world.context.metrics = Metrics()  # of another leader than the one that opened it
    await look(world)
    await look(world)
    assert counted(world) == ['count{state="Approved"} 1.0', 'sum{state="Approved"} 3600.0']
    world.context.metrics = Metrics()  # and of the next
    await look(world)
    assert counted(world) == []


async def test_full_requests_say_what_to_do() -> None:
    world = World()
    declare(world, MIDDLING)
    await look(world)
    decide(
        world, name_of(MIDDLING), *[("Superseded", ME), ("Reopened", ME)] * 120, ("Superseded", ME)
    )
    await look(world)
    assert world.ready() == ("False", "DecisionsFull")
    assert world.stalled()


async def test_several_targets_are_ready_together() -> None:
    world = World()
    body = intent_object(BAD)
    body["spec"]["targets"].append({**body["spec"]["targets"][0], "name": "worker"})
    world.api.put(INTENTS, body)
    other = request(GOOD).model_dump(mode="json", by_alias=True)
    other["status"] = {
        "decisions": decisions(other["spec"]["evidenceDigest"], ("AutoApproved", ME))
    }
    other["spec"]["intentRef"]["name"] = "another"
    other["metadata"]["name"] = "another-1"
    world.api.put(REQUESTS, other)
    await look(world)
    assert world.ready() == ("False", "ExceptionRequired")
    ready = world.intent_status()["conditions"][0]
    assert "1 of 2 targets admitted" in ready["message"]
    assert "worker" in ready["message"]


async def test_a_target_that_waiting_does_not_help_speaks_for_all() -> None:
    """Whichever of them stands first: here the other intent's is the first of two."""
    world = World()
    body = intent_object(BAD)
    body["spec"]["targets"].append({**body["spec"]["targets"][0], "name": "worker"})
    world.api.put(INTENTS, body)
    other = request(MIDDLING).model_dump(mode="json", by_alias=True)
    other["spec"]["intentRef"]["name"] = "another"
    other["metadata"]["name"] = "another-1"
    world.api.put(REQUESTS, other)
    await look(world)
    assert world.ready() == ("False", "ExceptionRequired")
    assert world.stalled()
    for condition in world.intent_status()["conditions"]:
        if condition["type"] != "Reconciling":
            assert "Deployment worker in" in condition["message"], condition


WINDOWS = [
    # window of each condition, whether waiting helps
    ([("2030-01-02T00:00:00Z", None)], True),
    ([(None, "2029-12-31T00:00:00Z")], False),
    ([("2030-01-02T00:00:00Z", None), (None, "2029-12-31T00:00:00Z")], False),
]


@pytest.mark.parametrize(("windows", "waits"), WINDOWS)
async def test_only_a_window_that_is_to_open_is_worth_waiting_for(
    windows: list[tuple[str | None, str | None]], waits: bool
) -> None:
    world = World()
    declare(world, MIDDLING)
    await look(world)
    name = name_of(MIDDLING)
    decide(world, name, ("ConditionallyApproved", "ann"))
    entry = world.api.objects[(REQUESTS.plural, "team", name)]["status"]["decisions"][0]
    entry["conditions"] = [
        {"name": f"w{number}", "description": "in its time"}
        | ({"notBefore": begin} if begin else {})
        | ({"notAfter": end} if end else {})
        for number, (begin, end) in enumerate(windows)
    ]
    await look(world)
    assert world.ready() == ("False", "OutsideWindow")
    assert world.stalled() is not waits


async def test_events_say_what_happened() -> None:
    world = World()
    declare(world, MIDDLING)
    await look(world)
    event = world.api.all(EVENTS)[0]
    assert event["involvedObject"]["kind"] == "DeploymentIntent"
    assert event["involvedObject"]["uid"] == "intent-uid"
    assert "kubectl patch cabrequest" in event["message"]
    assert event["source"] == {"component": "cabgate-operator"}
    assert len(event["message"].encode()) <= 1024
