# SPDX-License-Identifier: Apache-2.0
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cabgate.api.intent import DeploymentIntent
from cabgate.lifecycle.break_glass import ANNOTATION, BY_ANNOTATION, ID_ANNOTATION, RING_ANNOTATION
from cabgate.lifecycle.flapping import ABSENCE
from cabgate.rollout.rings import RING_LABEL
from cabgate_kube.client import Page
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import EXCEPTIONS, INTENTS, NAMESPACES, REQUESTS, Object, Resource
from cabgate_operator.controllers.break_glass import WORKLOADS
from cabgate_operator.runtime.manager import SWEPT, Operator
from cabgate_operator.runtime.observed import keys_of
from cabgate_operator.settings import Settings
from cabgate_operator.work.context import parsed
from cabgate_operator.work.keys import Key, Subject
from support.waiting import until
from unit.operator.support import HIGH, LOW, ME, NOW, Clock, MemoryApi, exception_object, request
from unit.operator.support import intent_object as declared

DEPLOYMENTS = next(resource for resource in WORKLOADS if resource.kind == "Deployment")
INTENT = Key(Subject.INTENT, "team", "web")


def stored_request(content: Object) -> Object:
    return request(content).model_dump(mode="json", by_alias=True)


@contextlib.asynccontextmanager
async def working(
    api: MemoryApi | None = None, settings: Settings | None = None, clock: Clock | None = None
) -> AsyncIterator[tuple[Operator, MemoryApi]]:
    """An operator that has started, and its API server. Its seconds are real, unless a clock of the
    test's is given."""
    memory = api or MemoryApi(Clock())
    monotonic = time.monotonic if clock is None else clock.monotonic
    operator = Operator(settings, clock=lambda: NOW, monotonic=monotonic)
    await operator.start(memory)  # type: ignore[arg-type]
    try:
        yield operator, memory
    finally:
        await operator.stop()


async def ready(operator: Operator) -> None:
    await until(lambda: operator.ready, "the first sweep is done")


async def idle(operator: Operator) -> None:
    await until(lambda: not len(operator.queue), "the queue is empty")


def state_of_web(api: MemoryApi) -> str:
    found = api.objects[(INTENTS.plural, "team", "web")].get("status", {})
    return str(found.get("state", ""))


def test_what_an_event_queues() -> None:
    leave = exception_object(request(HIGH))
    assert keys_of(INTENTS, declared(LOW)) == [INTENT]
    assert keys_of(REQUESTS, stored_request(LOW)) == [INTENT]
    assert keys_of(EXCEPTIONS, leave) == [Key(Subject.EXCEPTION, "team", "leave")]


async def test_the_first_sweep_finds_everything() -> None:
    api = MemoryApi(Clock())
    api.put(INTENTS, declared(LOW))
    api.put(EXCEPTIONS, exception_object(request(HIGH)))

    async with working(api) as (operator, api):
        assert not operator.ready
        await ready(operator)
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is AutoApproved")
        await until(
            lambda: api.all(EXCEPTIONS)[0]["status"].get("state") == "Pending",
            "the exception is pending",
        )
        assert operator.problems() == []
        assert operator.context.username == ME


async def test_a_failed_sweep_is_tried_again() -> None:
    failures = 1

    class Failing(MemoryApi):
        def all(self, resource: Resource) -> list[Object]:
            nonlocal failures
            if resource is REQUESTS and failures:
                failures -= 1
                raise ApiError(504, "Timeout", "Too large resource version")
            return super().all(resource)

    async with working(Failing(Clock())) as (operator, _):
        await ready(operator)
        assert failures == 0


async def test_it_waits_for_the_api_server_at_the_start() -> None:
    class Late(MemoryApi):
        tries = 0

        async def who_am_i(self) -> str:
            self.tries += 1
            if self.tries < 2:
                raise ApiError(0, "Unreachable", "")
            return await super().who_am_i()

    async with working(Late(Clock())) as (operator, _):
        await ready(operator)


async def test_a_ring_that_changes_queues_the_intents() -> None:
    def namespace(ring: str | None) -> Object:
        labels = {} if ring is None else {"cabgate.dev/ring": ring}
        return {"metadata": {"name": "team", "labels": labels, "resourceVersion": "7"}}

    async with working() as (operator, api):
        api.put(INTENTS, declared(HIGH))
        await ready(operator)
        for ring, reason in (("2", None), ("3", None), ("0", "RingNotGated")):
            api.put(NAMESPACES, namespace(ring))
            operator.saw(NAMESPACES, {"type": "MODIFIED", "object": namespace(ring)})
            if reason:
                await until(
                    lambda: "RingNotGated" in str(api.all(INTENTS)[0].get("status")),
                    "the intent knows its ring",
                )
        operator.saw(NAMESPACES, {"type": "DELETED", "object": namespace("0")})
        operator.saw(NAMESPACES, {"type": "ADDED", "object": namespace("2")})
        await idle(operator)


async def test_events_reach_the_reconcilers() -> None:
    async with working() as (operator, api):
        await ready(operator)
        body = api.put(INTENTS, declared(HIGH))
        operator.saw(INTENTS, {"type": "ADDED", "object": body})
        await until(
            lambda: state_of_web(api) == "ExceptionRequired", "the intent is ExceptionRequired"
        )
        leave = api.put(EXCEPTIONS, exception_object(request(HIGH)))
        operator.saw(EXCEPTIONS, {"type": "ADDED", "object": leave})
        await until(
            lambda: "ExceptionPending" in str(api.all(INTENTS)[0]["status"]),
            "the intent knows of the exception",
        )
        stored = api.all(REQUESTS)[0]
        operator.saw(REQUESTS, {"type": "DELETED", "object": stored})
        await idle(operator)


async def test_a_watch_from_the_future_is_noticed() -> None:
    stale: list[str] = []

    class Versioned(MemoryApi):
        async def newest_version(self, resource: Resource) -> int:
            return 500

    async with working(Versioned(Clock())) as (operator, _):
        operator.on_stale_watch = stale.append
        await ready(operator)
        operator.watch_began(INTENTS.plural, 500)
        await idle(operator)
        assert stale == []
        operator.watch_began(INTENTS.plural, 501)
        await until(lambda: stale, "the watches are known to be stale")
        assert stale == ["deploymentintents went back from version 501 to 500"]
        operator.watches_restarted()
        operator.watch_began(INTENTS.plural, 500)
        await idle(operator)
        assert len(stale) == 1


async def test_a_sweep_notices_versions_that_went_back() -> None:
    stale: list[str] = []

    async with working() as (operator, api):
        operator.on_stale_watch = stale.append
        await ready(operator)
        body = api.put(INTENTS, declared(LOW))
        body["metadata"]["resourceVersion"] = "100000"
        operator.saw(INTENTS, {"type": "ADDED", "object": body})
        operator.sweep_soon()
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
        self.sweeps += resource is SWEPT[-1] and not namespace
        return super().pages(resource, namespace, **options)


async def test_trouble_is_followed_by_a_sweep_and_a_watch_without_it_is_not() -> None:
    api = Asked()
    async with working(api) as (operator, _):
        await ready(operator)
        api.put(INTENTS, declared(LOW))
        operator.watch_began(INTENTS.plural, 1)
        await until(lambda: api.checks, "the version of the watch is checked")
        await idle(operator)
        assert api.sweeps == 1
        operator.watch_failed()
        operator.watch_began(INTENTS.plural, 1)
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        assert api.sweeps == 2


async def test_a_sweep_in_turn_looks_at_what_the_watches_missed_and_at_nothing_else() -> None:
    often = Settings().model_copy(update={"sweep_seconds": 0.02})
    api = Asked()

    async def more_sweeps(operator: Operator, number: int) -> None:
        wanted = api.sweeps + number
        await until(lambda: api.sweeps >= wanted, f"{number} more sweeps")
        await idle(operator)

    async with working(api, often) as (operator, _):
        await ready(operator)
        operator.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(LOW))})
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        for resource in (INTENTS, REQUESTS):
            operator.saw(resource, {"type": "MODIFIED", "object": api.all(resource)[0]})
        await more_sweeps(operator, 2)  # the first of them may have begun before
        api.intents_read = 0
        await more_sweeps(operator, 3)
        assert api.intents_read == 0
        api.put(INTENTS, declared(HIGH))  # and nobody tells
        await until(lambda: state_of_web(api) == "ExceptionRequired", "the change is found")
        await more_sweeps(operator, 2)
        del api.objects[(INTENTS.plural, "team", "web")]
        open_ones = [r for r in api.all(REQUESTS) if r["status"]["state"] == "ExceptionRequired"]
        assert open_ones
        gone = Key(Subject.INTENT, "team", "web")
        await until(lambda: gone in operator.context.absent, "it is missed")
        operator.context.absent[gone] -= ABSENCE
        operator.queue.add(gone)
        await until(
            lambda: {r["status"]["state"] for r in api.all(REQUESTS)} >= {"Superseded"},
            "the requests of what is gone are superseded",
        )


async def test_health_is_the_sweep_and_the_workers() -> None:
    clock = Clock()
    async with working(settings=Settings(sweep_seconds=10), clock=clock) as (operator, _):
        await ready(operator)
        clock.forward(140)
        assert operator.problems() == []
        clock.forward(60)
        assert operator.problems() == ["sweep: the last one was 200 s ago"]
        operator.sweep_soon()
        await until(lambda: operator.problems() == [], "there was another sweep")
        await operator.queue.stop()
        assert operator.problems() == ["queue: a worker has ended"]


def test_there_is_no_context_before_the_start() -> None:
    operator = Operator()
    assert operator.problems() == []
    assert not operator.ready
    with pytest.raises(RuntimeError):
        _ = operator.context


def test_an_object_that_cannot_be_read_is_not_logged_with_its_content() -> None:
    body = declared({**LOW, "artifacts": "a secret"})
    with pytest.raises(ValueError, match=r"spec\.evidence\.artifacts: list_type") as caught:
        parsed(DeploymentIntent, body)
    assert "secret" not in str(caught.value)


async def test_what_kopf_lists_at_its_start_is_not_fanned_out() -> None:
    clock = Clock()
    async with working(clock=clock) as (operator, _):
        await ready(operator)
        await operator.queue.stop()

        async def queued(name: str) -> int:
            """How many keys a request of another intent for the same workload queues."""
            while len(operator.queue):
                await operator.queue.process_one()
            body = stored_request(HIGH)
            body["metadata"] |= {"uid": f"uid-{name}", "name": f"{name}-1"}
            body["spec"]["intentRef"]["name"] = name
            operator.saw(REQUESTS, {"type": None, "object": body})
            return len(operator.queue)

        first = await queued("web")
        assert await queued("other") == first
        clock.forward(60)
        assert await queued("third") > first


async def test_what_a_look_wrote_itself_is_no_reason_to_look_again() -> None:
    api = Asked()
    async with working(api) as (operator, _):
        await ready(operator)
        operator.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(LOW))})
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        await idle(operator)
        api.intents_read = 0
        for resource in (REQUESTS, INTENTS):
            operator.saw(resource, {"type": "MODIFIED", "object": api.all(resource)[0]})
        await until(lambda: not operator.queue.is_active(INTENT), "nobody is at it")
        await idle(operator)
        assert api.intents_read == 0
        operator.saw(INTENTS, {"type": "MODIFIED", "object": api.all(INTENTS)[0]})
        await until(lambda: api.intents_read == 1, "somebody else's write is looked at")


async def test_an_event_that_is_faster_than_the_answer_to_the_write_is_known_as_well() -> None:
    class Fast(Asked):
        """Tells of each write before it answers."""

        async def replace_status(self, resource: Resource, body: Object) -> Object:
            written = await super().replace_status(resource, body)
            operator.saw(resource, {"type": "MODIFIED", "object": written})
            return written

    api = Fast()
    async with working(api) as (operator, _):
        await ready(operator)
        operator.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(LOW))})
        await until(lambda: state_of_web(api) == "AutoApproved", "the intent is approved")
        await idle(operator)
        assert api.intents_read == 1
        changed = declared(HIGH)
        changed["metadata"]["generation"] = 2

        def change(what: str) -> None:
            api.before_write = lambda what: None
            operator.saw(INTENTS, {"type": "MODIFIED", "object": api.put(INTENTS, changed)})

        api.before_write = change
        other = declared(LOW)
        other["spec"]["summary"] = "other"
        operator.saw(INTENTS, {"type": "MODIFIED", "object": api.put(INTENTS, other)})
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
    async with working(api) as (operator, _):
        await ready(operator)
        await until(lambda: api.all(REQUESTS), "there is a request")
        (request,) = api.all(REQUESTS)
        operator.saw(REQUESTS, {"type": "ADDED", "object": request})
        await until(lambda: api.all(REQUESTS)[0].get("status"), "it has a status")
        assert api.all(REQUESTS)[0]["status"]["state"] == "Submitted"


async def test_a_kind_that_comes_later_is_watched_from_the_next_sweep_on() -> None:
    stale: list[str] = []

    async with working() as (operator, memory):
        operator.on_stale_watch = stale.append
        await ready(operator)
        assert "Rollout" not in {resource.kind for resource in operator.watched}
        operator.watch_began("rollouts", 7)  # of a run that is over
        memory.unserved.clear()
        operator.sweep_soon()
        await until(lambda: stale, "the watches are known to be stale")
        assert "Rollout" in {resource.kind for resource in operator.watched}
    assert stale == ["there are other kinds of workloads than before"]


async def test_it_starts_although_it_cannot_see_which_workloads_there_are() -> None:
    class Failing(MemoryApi):
        failures = 1

        async def serves(self, resource: Resource) -> bool:
            if self.failures:
                self.failures -= 1
                raise ApiError(500, "InternalError", "not now")
            return await super().serves(resource)

    async with working(Failing(Clock())) as (operator, _):
        await ready(operator)
        assert len(operator.workloads) == 7
