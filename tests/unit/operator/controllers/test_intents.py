# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from cabgate.lifecycle.limits.flapping import MAX_OPENED, MAX_REOPENED
from cabgate.rollout.installation import InstallationSettings
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.resources import EVENTS, EXCEPTIONS, INTENTS, NAMESPACES, REQUESTS, Object
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from unit.operator.support import (
    BAD,
    GOOD,
    ME,
    MIDDLING,
    World,
    decisions,
    evidence,
    exception_object,
    intent_object,
    request,
)

KEY = Key(Subject.INTENT, "team", "web")


async def look(world: World) -> None:
    await reconcile_intent(world.context, KEY)


def declare(world: World, content: Object, **meta: Any) -> None:
    old = world.api.objects.get((INTENTS.plural, "team", "web"))
    body = intent_object(content, **meta)
    if old is not None:
        body["metadata"]["generation"] = old["metadata"]["generation"] + 1
        body["status"] = old.get("status", {})
    world.api.put(INTENTS, body)


def decide(world: World, name: str, *entries: tuple[str, str]) -> None:
    body = world.api.objects[(REQUESTS.plural, "team", name)]
    body["status"]["decisions"] = decisions(body["spec"]["evidenceDigest"], *entries)
    world.api.put(REQUESTS, body)


def name_of(content: Object) -> str:
    return request(content).metadata.name


async def test_low_risk_is_approved_with_four_writes() -> None:
    world = World()
    declare(world, GOOD)
    await look(world)
    assert world.requests() == {name_of(GOOD): "AutoApproved"}
    assert world.ready() == ("True", "RequestApproved")
    assert world.told() == ["AutoApproved"]
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
    ("content", "ready", "stalled", "told"),
    [
        (GOOD, ("True", "RequestApproved"), False, "AutoApproved"),
        (MIDDLING, ("False", "ReviewPending"), False, "ReviewNeeded"),
        (BAD, ("False", "ExceptionRequired"), True, "ExceptionRequired"),
    ],
)
async def test_ready_and_stalled(
    content: Object, ready: tuple[str, str], stalled: bool, told: str
) -> None:
    world = World()
    declare(world, content)
    await look(world)
    assert (world.ready(), world.stalled()) == (ready, stalled)
    assert world.told() == [told]


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
    assert world.told() == [
        "ReviewNeeded",
        "ReviewNeeded",
        "ReviewNeeded",
        "Superseded",
        "Superseded",
    ]


async def test_a_person_decides() -> None:
    for verdict, ready in (("Approved", "RequestApproved"), ("Rejected", "Rejected")):
        world = World()
        declare(world, MIDDLING)
        await look(world)
        decide(world, name_of(MIDDLING), (verdict, "ann"))
        await look(world)
        assert world.ready()[1] == ready
        assert world.stalled() == (verdict == "Rejected")
        assert verdict in world.told()
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


async def test_an_intent_that_goes_back_and_forth_waits() -> None:
    world = World()
    other = evidence(MIDDLING, "other")
    for _ in range(MAX_REOPENED + 2):
        declare(world, MIDDLING)
        await look(world)
        declare(world, other)
        await look(world)
    told = [len(body["status"]["decisions"]) for body in world.api.all(REQUESTS)]
    assert told == [2 * MAX_REOPENED + 1] * 2
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
    assert {"ExceptionPending", "ExceptionActive", "ExceptionRequired"} <= set(world.told())


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
    assert world.told() == ["RequestNameTaken"]
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
    assert set(calm.told()) - set(hasty.told()) <= {"Superseded"}
    assert len(hasty.told()) <= len(calm.told())


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
    assert world.told() == []
