# SPDX-License-Identifier: Apache-2.0
"""Sweeps find what the watches missed."""

import pytest

from cabgate.lifecycle.limits.flapping import ABSENCE
from cabgate.lifecycle.requests.break_glass import (
    ANNOTATION,
    BY_ANNOTATION,
    ID_ANNOTATION,
    RING_ANNOTATION,
)
from cabgate.rollout.rings import RING_LABEL
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import EXCEPTIONS, INTENTS, NAMESPACES, REQUESTS, Object, Resource
from cabgate_operator.controllers.break_glass import WORKLOADS
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.settings import Settings
from cabgate_operator.work.keys import Key, Subject
from support.waiting import until
from unit.operator.runtime.managed import Asked, idle, ready, state_of_web, stored_request, working
from unit.operator.support import BAD, GOOD, ME, Clock, MemoryApi, exception_object, request
from unit.operator.support import intent_object as declared

DEPLOYMENTS = next(resource for resource in WORKLOADS if resource.kind == "Deployment")


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


async def test_trouble_is_followed_by_a_sweep_and_a_watch_without_it_is_not() -> None:
    api = Asked()
    async with working(api) as (manager, _):
        await ready(manager)
        api.put(INTENTS, declared(GOOD))
        manager.watch_began(INTENTS.plural, 1)
        await until(lambda: api.checks, "the version of the watch is checked")
        await idle(manager)
        assert api.sweeps == 1
        manager.watch_failed(INTENTS.plural)
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
