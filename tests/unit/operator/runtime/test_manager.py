# SPDX-License-Identifier: Apache-2.0
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cabgate.api.intent import DeploymentIntent
from cabgate.lifecycle.limits.flapping import ABSENCE
from cabgate.lifecycle.requests.break_glass import (
    ANNOTATION,
    BY_ANNOTATION,
    ID_ANNOTATION,
    RING_ANNOTATION,
)
from cabgate.rollout.rings import RING_LABEL
from cabgate_kube.client import Page
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import EXCEPTIONS, INTENTS, NAMESPACES, REQUESTS, Object, Resource
from cabgate_operator.controllers.break_glass import WORKLOADS
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.runtime.registry import make_controllers
from cabgate_operator.settings import Settings
from cabgate_operator.work.context import Context, parsed
from cabgate_operator.work.controller import Controller, Event
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from support.waiting import until
from unit.operator.support import BAD, GOOD, ME, NOW, Clock, MemoryApi, exception_object, request
from unit.operator.support import intent_object as declared

DEPLOYMENTS = next(resource for resource in WORKLOADS if resource.kind == "Deployment")
INTENT = Key(Subject.INTENT, "team", "web")


def stored_request(content: Object) -> Object:
    return request(content).model_dump(mode="json", by_alias=True)


@contextlib.asynccontextmanager
async def working(
    api: MemoryApi | None = None, settings: Settings | None = None, clock: Clock | None = None
) -> AsyncIterator[tuple[Manager, MemoryApi]]:
    """A manager that has started, and its API server. Its seconds are real, unless a clock of the
    test's is given."""
    memory = api or MemoryApi(Clock())
    monotonic = time.monotonic if clock is None else clock.monotonic
    manager = Manager(settings, clock=lambda: NOW, monotonic=monotonic)
    await manager.start(memory)  # type: ignore[arg-type]
    try:
        yield manager, memory
    finally:
        await manager.stop()


async def ready(manager: Manager) -> None:
    await until(lambda: manager.ready, "the first sweep is done")


async def idle(manager: Manager) -> None:
    await until(lambda: not len(manager.queue), "the queue is empty")


def state_of_web(api: MemoryApi) -> str:
    found = api.objects[(INTENTS.plural, "team", "web")].get("status", {})
    return str(found.get("state", ""))


def test_what_an_event_queues() -> None:
    leave, keys_of = exception_object(request(BAD)), Manager().keys_of
    assert keys_of(INTENTS, declared(GOOD)) == [INTENT]
    assert keys_of(REQUESTS, stored_request(GOOD)) == [INTENT]
    assert keys_of(EXCEPTIONS, leave) == [Key(Subject.EXCEPTION, "team", "leave")]


async def test_the_first_sweep_finds_everything() -> None:
    api = MemoryApi(Clock())
    api.put(INTENTS, declared(GOOD))
    api.put(EXCEPTIONS, exception_object(request(BAD)))

    async with working(api) as (manager, api):
        assert not manager.ready
        await ready(manager)
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is AutoApproved")
        await until(
            lambda: api.all(EXCEPTIONS)[0]["status"].get("state") == "Pending",
            "the exception is pending",
        )
        assert manager.problems() == []
        assert manager.context.username == ME


async def test_a_failed_sweep_is_tried_again() -> None:
    failures = 1

    class Failing(MemoryApi):
        def all(self, resource: Resource) -> list[Object]:
            nonlocal failures
            if resource is REQUESTS and failures:
                failures -= 1
                raise ApiError(504, "Timeout", "Too large resource version")
            return super().all(resource)

    async with working(Failing(Clock())) as (manager, _):
        await ready(manager)
        assert failures == 0


async def test_it_waits_for_the_api_server_at_the_start() -> None:
    class Late(MemoryApi):
        tries = 0

        async def who_am_i(self) -> str:
            self.tries += 1
            if self.tries < 2:
                raise ApiError(0, "Unreachable", "")
            return await super().who_am_i()

    async with working(Late(Clock())) as (manager, _):
        await ready(manager)


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


async def test_a_sweep_notices_versions_that_went_back() -> None:
    stale: list[str] = []

    async with working() as (manager, api):
        manager.on_stale_watch = stale.append
        await ready(manager)
        body = api.put(INTENTS, declared(GOOD))
        body["metadata"]["resourceVersion"] = "100000"
        manager.saw(INTENTS, {"type": "ADDED", "object": body})
        manager.sweep_soon()
        await until(lambda: stale, "the watches are known to be stale")


class Asked(MemoryApi):
    """Notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.checks = self.sweeps = 0
        self.intents_read = 0

    async def newest_version(self, resource: Resource) -> int:
        self.checks += 1
        return 500

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        self.intents_read += resource is INTENTS
        return await super().get(resource, namespace, name)

    def pages(self, resource: Resource, namespace: str = "", **options: Any) -> AsyncIterator[Page]:
        # The last kind that a sweep lists of cabgate's own.
        self.sweeps += resource is EXCEPTIONS and not namespace
        return super().pages(resource, namespace, **options)


async def test_trouble_is_followed_by_a_sweep_and_a_watch_without_it_is_not() -> None:
    api = Asked()
    async with working(api) as (manager, _):
        await ready(manager)
        api.put(INTENTS, declared(GOOD))
        manager.watch_began(INTENTS.plural, 1)
        await until(lambda: api.checks, "the version of the watch is checked")
        await idle(manager)
        assert api.sweeps == 1
        manager.watch_failed()
        manager.watch_began(INTENTS.plural, 1)
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        assert api.sweeps == 2


async def test_a_sweep_in_turn_looks_at_what_the_watches_missed_and_at_nothing_else() -> None:
    often = Settings().model_copy(update={"sweep_seconds": 0.02})
    api = Asked()

    async def more_sweeps(manager: Manager, number: int) -> None:
        wanted = api.sweeps + number
        await until(lambda: api.sweeps >= wanted, f"{number} more sweeps")
        await idle(manager)

    async with working(api, often) as (manager, _):
        await ready(manager)
        manager.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(GOOD))})
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        for resource in (INTENTS, REQUESTS):
            manager.saw(resource, {"type": "MODIFIED", "object": api.all(resource)[0]})
        await more_sweeps(manager, 2)  # the first of them may have begun before
        api.intents_read = 0
        await more_sweeps(manager, 3)
        assert api.intents_read == 0
        api.put(INTENTS, declared(BAD))  # and nobody tells
        await until(lambda: state_of_web(api) == "ExceptionRequired", "the change is found")
        await more_sweeps(manager, 2)
        del api.objects[(INTENTS.plural, "team", "web")]
        open_ones = [r for r in api.all(REQUESTS) if r["status"]["state"] == "ExceptionRequired"]
        assert open_ones
        gone = Key(Subject.INTENT, "team", "web")
        await until(lambda: gone in manager.context.absent, "it is missed")
        manager.context.absent[gone] -= ABSENCE
        manager.queue.add(gone)
        await until(
            lambda: {r["status"]["state"] for r in api.all(REQUESTS)} >= {"Superseded"},
            "the requests of what is gone are superseded",
        )


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
        assert api.intents_read == 1
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


def broken(api_version: str = "apps/v1", kind: str = "Deployment") -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": "team",
            "uid": f"uid-{kind}",
            "annotations": {
                ANNOTATION: "INC-1: the shop is down",
                BY_ANNOTATION: "ann",
                ID_ANNOTATION: f"{kind.lower()}s/7",
                RING_ANNOTATION: "2",
            },
        },
        "spec": {"template": {"spec": {"containers": [{"image": "web:9"}]}}},
    }


@pytest.mark.parametrize("ring", ["2", "0"])
async def test_a_broken_glass_is_found_by_a_sweep_whatever_the_ring_is_now(ring: str) -> None:
    api = MemoryApi(Clock())
    api.put(NAMESPACES, {"metadata": {"name": "team", "labels": {RING_LABEL: ring}}})
    api.put(DEPLOYMENTS, broken())
    async with working(api) as (manager, _):
        await ready(manager)
        await until(lambda: api.all(REQUESTS), "there is a request")
        (request,) = api.all(REQUESTS)
        manager.saw(REQUESTS, {"type": "ADDED", "object": request})
        await until(lambda: api.all(REQUESTS)[0].get("status"), "it has a status")
        assert api.all(REQUESTS)[0]["status"]["state"] == "Submitted"


async def test_a_kind_that_comes_later_is_watched_from_the_next_sweep_on() -> None:
    stale: list[str] = []

    async with working() as (manager, memory):
        manager.on_stale_watch = stale.append
        await ready(manager)
        assert "Rollout" not in {resource.kind for resource in manager.watched}
        manager.watch_began("rollouts", 7)  # of a run that is over
        memory.unserved.clear()
        manager.sweep_soon()
        await until(lambda: stale, "the watches are known to be stale")
        assert "Rollout" in {resource.kind for resource in manager.watched}
    assert stale == ["there are other kinds of workloads than before"]


async def test_it_starts_although_it_cannot_see_which_workloads_there_are() -> None:
    class Failing(MemoryApi):
        failures = 1

        async def serves(self, resource: Resource) -> bool:
            if self.failures:
                self.failures -= 1
                raise ApiError(500, "InternalError", "not now")
            return await super().serves(resource)

    async with working(Failing(Clock())) as (manager, _):
        await ready(manager)
        assert len([each for each in manager.watches.values() if each.metadata_only]) == 7


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
    event = Event(NAMESPACES, {}, NOW)
    assert (least.watches, least.keys(NAMESPACES, {}), least.saw(event)) == ((), (), ())
    assert least.end_sweep() == ()


async def test_where_a_sweep_fails_the_next_counts_anew() -> None:
    """Else what is counted twice would look like too much."""
    failures = 2

    class Failing(MemoryApi):
        def all(self, resource: Resource) -> list[Object]:
            nonlocal failures
            if resource is EXCEPTIONS and failures:  # listed after the requests
                failures -= 1
                raise ApiError(504, "Timeout", "Too large resource version")
            return super().all(resource)

    api = Failing(Clock())
    api.put(REQUESTS, stored_request(GOOD))
    looked: list[Key] = []
    async with working(api, Settings().model_copy(update={"keep_approved": 1})) as (manager, _):
        add = manager.queue.add
        manager.queue.add = lambda key: (looked.append(key), add(key))[1]  # type: ignore[method-assign]
        await ready(manager)
    assert failures == 0
    assert Subject.RETENTION not in {key.subject for key in looked}
