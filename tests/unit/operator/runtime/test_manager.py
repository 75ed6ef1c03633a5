# SPDX-License-Identifier: Apache-2.0
"""What the manager queues: events, and its own writes."""

import pytest

from cabgate.api.intent import DeploymentIntent
from cabgate_kube.resources import EXCEPTIONS, INTENTS, NAMESPACES, REQUESTS, Object, Resource
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.runtime.registry import make_controllers
from cabgate_operator.settings import Settings
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.controller import Controller, WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from support.waiting import until
from unit.operator.runtime.managed import Asked, idle, ready, state_of_web, stored_request, working
from unit.operator.support import BAD, GOOD, NOW, Clock, MemoryApi, exception_object, request
from unit.operator.support import intent_object as declared

INTENT = Key(Subject.INTENT, "team", "web")


def test_what_an_event_queues() -> None:
    leave, keys_of = exception_object(request(BAD)), Manager().keys_of
    assert keys_of(INTENTS, declared(GOOD)) == [INTENT]
    assert keys_of(REQUESTS, stored_request(GOOD)) == [INTENT]
    assert keys_of(EXCEPTIONS, leave) == [Key(Subject.EXCEPTION, "team", "leave")]


async def test_a_ring_that_changes_queues_the_intents() -> None:
    def namespace(ring: str | None) -> Object:
        labels = {} if ring is None else {"cabgate.dev/ring": ring}
        return {"metadata": {"name": "team", "labels": labels, "resourceVersion": "7"}}

    async with working() as (manager, api):
        api.put(INTENTS, declared(BAD))
        await ready(manager)
        for ring, reason in (("2", None), ("3", None), ("0", "RingNotGated")):
            api.put(NAMESPACES, namespace(ring))
            manager.saw(NAMESPACES, {"type": "MODIFIED", "object": namespace(ring)})
            if reason:
                await until(
                    lambda: "RingNotGated" in str(api.all(INTENTS)[0].get("status")),
                    "the intent knows its ring",
                )
        manager.saw(NAMESPACES, {"type": "DELETED", "object": namespace("0")})
        manager.saw(NAMESPACES, {"type": "ADDED", "object": namespace("2")})
        await idle(manager)


async def test_events_reach_the_reconcilers() -> None:
    async with working() as (manager, api):
        await ready(manager)
        body = api.put(INTENTS, declared(BAD))
        manager.saw(INTENTS, {"type": "ADDED", "object": body})
        await until(
            lambda: state_of_web(api) == "ExceptionRequired", "the intent is ExceptionRequired"
        )
        leave = api.put(EXCEPTIONS, exception_object(request(BAD)))
        manager.saw(EXCEPTIONS, {"type": "ADDED", "object": leave})
        await until(
            lambda: "ExceptionPending" in str(api.all(INTENTS)[0]["status"]),
            "the intent knows of the exception",
        )
        stored = api.all(REQUESTS)[0]
        manager.saw(REQUESTS, {"type": "DELETED", "object": stored})
        await idle(manager)


async def test_a_watch_from_the_future_is_noticed() -> None:
    stale: list[str] = []

    class Versioned(MemoryApi):
        async def newest_version(self, resource: Resource) -> int:
            return 500

    async with working(Versioned(Clock())) as (manager, _):
        manager.on_stale_watch = stale.append
        await ready(manager)
        manager.watch_began(INTENTS.plural, 500)
        await idle(manager)
        assert stale == []
        manager.watch_began(INTENTS.plural, 501)
        await until(lambda: stale, "the watches are known to be stale")
        assert stale == ["deploymentintents went back from version 501 to 500"]
        manager.watches_restarted()
        manager.watch_began(INTENTS.plural, 500)
        await idle(manager)
        assert len(stale) == 1


async def test_health_is_the_sweep_and_the_workers() -> None:
    clock = Clock()
    async with working(settings=Settings(sweep_seconds=10), clock=clock) as (manager, _):
        await ready(manager)
        clock.forward(140)
        assert manager.problems() == []
        clock.forward(60)
        assert manager.problems() == ["sweep: the last one was 200 s ago"]
        manager.sweep_soon()
        await until(lambda: manager.problems() == [], "there was another sweep")
        await manager.queue.stop()
        assert manager.problems() == ["queue: a worker has ended"]


def test_there_is_no_context_before_the_start() -> None:
    manager = Manager()
    assert manager.problems() == []
    assert not manager.ready
    with pytest.raises(RuntimeError):
        _ = manager.context


def test_an_object_that_cannot_be_read_is_not_logged_with_its_content() -> None:
    body = declared({**GOOD, "artifacts": "a secret"})
    with pytest.raises(ValueError, match=r"spec\.evidence\.artifacts: list_type") as caught:
        parsed(DeploymentIntent, body)
    assert "secret" not in str(caught.value)


async def test_what_kopf_lists_at_its_start_is_not_fanned_out() -> None:
    clock = Clock()
    async with working(clock=clock) as (manager, _):
        await ready(manager)
        await manager.queue.stop()

        async def queued(name: str) -> int:
            """How many keys a request of another intent for the same workload queues."""
            while len(manager.queue):
                await manager.queue.process_one()
            body = stored_request(BAD)
            body["metadata"] |= {"uid": f"uid-{name}", "name": f"{name}-1"}
            body["spec"]["intentRef"]["name"] = name
            manager.saw(REQUESTS, {"type": None, "object": body})
            return len(manager.queue)

        first = await queued("web")
        assert await queued("other") == first
        clock.forward(60)
        assert await queued("third") > first


async def test_what_a_look_wrote_itself_is_no_reason_to_look_again() -> None:
    api = Asked()
    async with working(api) as (manager, _):
        await ready(manager)
        manager.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(GOOD))})
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        await idle(manager)
        api.intents_read = 0
        for resource in (REQUESTS, INTENTS):
            manager.saw(resource, {"type": "MODIFIED", "object": api.all(resource)[0]})
        await until(lambda: not manager.queue.is_active(INTENT), "nobody is at it")
        await idle(manager)
        assert api.intents_read == 0
        manager.saw(INTENTS, {"type": "MODIFIED", "object": api.all(INTENTS)[0]})
        await until(lambda: api.intents_read == 1, "somebody else's write is looked at")


async def test_an_event_that_is_faster_than_the_answer_to_the_write_is_known_as_well() -> None:
    class Fast(Asked):
        """Tells of each write before it answers."""

        async def replace_status(self, resource: Resource, body: Object) -> Object:
            written = await super().replace_status(resource, body)
            manager.saw(resource, {"type": "MODIFIED", "object": written})
            return written

    api = Fast()
    async with working(api) as (manager, _):
        await ready(manager)
        manager.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(GOOD))})
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        await idle(manager)
        assert (
            api.intents_read == 0
        )  # the first look has what the watch brought, a second would read
        changed = declared(BAD)
        changed["metadata"]["generation"] = 2

        def change(what: str) -> None:
            api.before_write = lambda what: None
            manager.saw(INTENTS, {"type": "MODIFIED", "object": api.put(INTENTS, changed)})

        api.before_write = change
        other = declared(GOOD)
        other["spec"]["summary"] = "other"
        manager.saw(INTENTS, {"type": "MODIFIED", "object": api.put(INTENTS, other)})
        await until(
            lambda: state_of_web(api) == "ExceptionRequired", "a change meanwhile is looked at"
        )


def test_each_kind_of_work_has_one_controller() -> None:
    Manager(Settings(manage_certificates=True))  # else it fails
    made = make_controllers(Settings(manage_certificates=True), Metrics())
    subjects = [subject for controller in made for subject in controller.subjects]
    assert sorted([*subjects, Subject.WATCH]) == sorted(Subject)


def test_a_controller_that_comes_to_nothing_of_its_own_is_a_few_lines() -> None:
    class Least(Controller):
        subjects = (Subject.COVERAGE,)

        async def reconcile(self, context: Context, key: Key) -> None:
            """Nothing."""

    least = Least()
    event = WatchEvent(NAMESPACES, {}, NOW)
    assert (least.watches, least.keys(NAMESPACES, {}), least.saw(event)) == ((), (), ())
    assert least.end_sweep() == ()
