# SPDX-License-Identifier: Apache-2.0
import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from cabgate.api.intent import DeploymentIntent
from cabgate.breakglass import ANNOTATION
from cabgate.rings import RING_LABEL
from cabgate_operator import app
from cabgate_operator.apiserver import (
    EXCEPTIONS,
    INTENTS,
    NAMESPACES,
    REQUESTS,
    ApiError,
    Object,
    Resource,
)
from cabgate_operator.app import Operator
from cabgate_operator.context import parsed
from cabgate_operator.glass import WORKLOADS
from cabgate_operator.keys import Key, Subject
from cabgate_operator.settings import Settings
from cabgate_operator.sightings import keys_of
from unit.operator.support import HIGH, LOW, ME, NOW, Clock, MemoryApi, exception_object, request
from unit.operator.support import intent_object as declared

DEPLOYMENTS = next(resource for resource in WORKLOADS if resource.kind == "Deployment")
INTENT = Key(Subject.INTENT, "team", "web")


def stored_request(content: Object) -> Object:
    return request(content).model_dump(mode="json", by_alias=True)


def with_operator(
    monkeypatch: pytest.MonkeyPatch,
    scenario: Callable[[Operator, MemoryApi], Awaitable[None]],
    settings: Settings | None = None,
    api: MemoryApi | None = None,
) -> None:
    async def run() -> None:
        memory = api or MemoryApi(Clock())
        operator = Operator(settings, clock=lambda: NOW)
        await operator.start(memory)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(30):
                await scenario(operator, memory)
        finally:
            await operator.stop()

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - looks at many things
        await asyncio.sleep(0.005)


def state_of_web(api: MemoryApi) -> str:
    found = api.objects[(INTENTS.plural, "team", "web")].get("status", {})
    return str(found.get("state", ""))


def test_what_an_event_queues() -> None:
    stored = stored_request(LOW)
    leave = exception_object(request(HIGH))
    request_key = Key(Subject.REQUEST, "team", stored["metadata"]["name"])
    assert keys_of(INTENTS, declared(LOW)) == [INTENT]
    assert keys_of(REQUESTS, stored) == [INTENT, request_key]
    assert keys_of(REQUESTS, stored, sweep=True) == [INTENT]
    assert keys_of(EXCEPTIONS, leave) == [
        Key(Subject.EXCEPTION, "team", "leave"),
        Key(Subject.REQUEST, "team", request(HIGH).metadata.name),
    ]


def test_the_first_sweep_finds_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    api = MemoryApi(Clock())
    api.put(INTENTS, declared(LOW))
    api.put(EXCEPTIONS, exception_object(request(HIGH)))

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        assert not operator.ready
        await until(lambda: operator.ready)
        await until(lambda: state_of_web(api) == "AutoApproved")
        await until(lambda: api.all(EXCEPTIONS)[0]["status"].get("state") == "Pending")
        assert operator.problems() == []
        assert operator.context.username == ME

    with_operator(monkeypatch, scenario, api=api)


def test_a_failed_sweep_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = 1

    class Failing(MemoryApi):
        def all(self, resource: app.Resource) -> list[Object]:
            nonlocal failures
            if resource is REQUESTS and failures:
                failures -= 1
                raise ApiError(504, "Timeout", "Too large resource version")
            return super().all(resource)

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        await until(lambda: operator.ready)
        assert failures == 0

    with_operator(monkeypatch, scenario, api=Failing(Clock()))


def test_it_waits_for_the_api_server_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(MemoryApi):
        tries = 0

        async def who_am_i(self) -> str:
            self.tries += 1
            if self.tries < 2:
                raise ApiError(0, "Unreachable", "")
            return await super().who_am_i()

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        await until(lambda: operator.ready)

    with_operator(monkeypatch, scenario, api=Late(Clock()))


def test_a_ring_that_changes_queues_the_intents(monkeypatch: pytest.MonkeyPatch) -> None:
    def namespace(ring: str | None) -> Object:
        labels = {} if ring is None else {"cabgate.dev/ring": ring}
        return {"metadata": {"name": "team", "labels": labels, "resourceVersion": "7"}}

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        api.put(INTENTS, declared(HIGH))
        await until(lambda: operator.ready)
        for ring, reason in (("2", None), ("3", None), ("0", "RingNotGated")):
            api.put(NAMESPACES, namespace(ring))
            operator.saw(NAMESPACES, {"type": "MODIFIED", "object": namespace(ring)})
            if reason:
                await until(lambda: "RingNotGated" in str(api.all(INTENTS)[0].get("status")))
        operator.saw(NAMESPACES, {"type": "DELETED", "object": namespace("0")})
        operator.saw(NAMESPACES, {"type": "ADDED", "object": namespace("2")})
        await until(lambda: len(operator.queue) == 0)

    with_operator(monkeypatch, scenario)


def test_events_reach_the_reconcilers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(operator: Operator, api: MemoryApi) -> None:
        await until(lambda: operator.ready)
        body = api.put(INTENTS, declared(HIGH))
        operator.saw(INTENTS, {"type": "ADDED", "object": body})
        await until(lambda: state_of_web(api) == "ExceptionRequired")
        leave = api.put(EXCEPTIONS, exception_object(request(HIGH)))
        operator.saw(EXCEPTIONS, {"type": "ADDED", "object": leave})
        await until(lambda: "ExceptionPending" in str(api.all(INTENTS)[0]["status"]))
        stored = api.all(REQUESTS)[0]
        operator.saw(REQUESTS, {"type": "DELETED", "object": stored})
        await until(lambda: len(operator.queue) == 0)

    with_operator(monkeypatch, scenario)


def test_a_watch_from_the_future_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stale: list[str] = []

    class Versioned(MemoryApi):
        async def newest_version(self, resource: app.Resource) -> int:
            return 500

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        operator.on_stale_watch = stale.append
        await until(lambda: operator.ready)
        operator.watch_began(INTENTS.plural, 500)
        await until(lambda: len(operator.queue) == 0)
        assert stale == []
        operator.watch_began(INTENTS.plural, 501)
        await until(lambda: stale)
        assert stale == ["deploymentintents went back from version 501 to 500"]
        operator.watches_restarted()
        operator.watch_began(INTENTS.plural, 500)
        await until(lambda: len(operator.queue) == 0)
        assert len(stale) == 1

    with_operator(monkeypatch, scenario, api=Versioned(Clock()))


def test_a_sweep_notices_versions_that_went_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stale: list[str] = []

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        operator.on_stale_watch = stale.append
        await until(lambda: operator.ready)
        body = api.put(INTENTS, declared(LOW))
        body["metadata"]["resourceVersion"] = "100000"
        operator.saw(INTENTS, {"type": "ADDED", "object": body})
        operator.sweep_soon()
        await until(lambda: stale)

    with_operator(monkeypatch, scenario)


def test_trouble_is_followed_by_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    class Versioned(MemoryApi):
        async def newest_version(self, resource: app.Resource) -> int:
            return 500

    async def scenario(operator: Operator, api: MemoryApi) -> None:
        await until(lambda: operator.ready)
        api.put(INTENTS, declared(LOW))
        operator.watch_began(INTENTS.plural, 1)
        await asyncio.sleep(0.05)
        assert state_of_web(api) == ""
        operator.watch_failed()
        operator.watch_began(INTENTS.plural, 1)
        await until(lambda: state_of_web(api) == "AutoApproved")

    with_operator(monkeypatch, scenario, api=Versioned(Clock()))


def test_a_sweep_in_turn_looks_at_what_the_watches_missed_and_at_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(operator: Operator, api: MemoryApi) -> None:
        looked: list[Key] = []
        add = operator.queue.add

        def note(key: Key) -> None:
            looked.append(key)
            add(key)

        async def sweeps(number: int) -> None:
            for _ in range(number):
                last = operator.metrics.swept_at._value.get()
                await until(lambda last=last: operator.metrics.swept_at._value.get() > last)
            await until(lambda: not len(operator.queue))

        await until(lambda: operator.ready)
        operator.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, declared(LOW))})
        await until(lambda: state_of_web(api) == "AutoApproved")
        for resource in (INTENTS, REQUESTS):
            operator.saw(resource, {"type": "MODIFIED", "object": api.all(resource)[0]})
        await sweeps(1)
        monkeypatch.setattr(operator.queue, "add", note)
        await sweeps(3)
        assert [key for key in looked if key.subject is Subject.INTENT] == []
        api.put(INTENTS, declared(HIGH))  # and nobody tells
        await until(lambda: state_of_web(api) == "ExceptionRequired")
        assert INTENT in looked
        await sweeps(2)
        del api.objects[(INTENTS.plural, "team", "web")]
        open_ones = [r for r in api.all(REQUESTS) if r["status"]["state"] == "ExceptionRequired"]
        assert open_ones
        await until(lambda: {r["status"]["state"] for r in api.all(REQUESTS)} >= {"Superseded"})

    often = Settings().model_copy(update={"sweep_seconds": 0.02})
    with_operator(monkeypatch, scenario, often)


def test_health_is_the_sweep_and_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(operator: Operator, api: MemoryApi) -> None:
        await until(lambda: operator.ready)
        now = time.monotonic()
        monkeypatch.setattr(app.time, "monotonic", lambda: now + 200)
        assert operator.problems() == ["sweep: the last one was 200 s ago"]
        monkeypatch.setattr(app.time, "monotonic", lambda: now)
        assert operator.problems() == []
        await operator.queue.stop()
        assert operator.problems() == ["queue: a worker has ended"]

    with_operator(monkeypatch, scenario, Settings(sweep_seconds=10))


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


def test_what_kopf_lists_at_its_start_is_not_fanned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(operator: Operator, api: MemoryApi) -> None:
        await until(lambda: operator.ready)
        await operator.queue.stop()
        stored = {"type": None, "object": stored_request(LOW)}
        operator.saw(REQUESTS, stored)
        assert len(operator.queue) == 1
        now = time.monotonic()
        monkeypatch.setattr(app.time, "monotonic", lambda: now + 60)
        operator.saw(REQUESTS, stored)
        assert len(operator.queue) == 2

    with_operator(monkeypatch, scenario)


def broken(api_version: str = "apps/v1", kind: str = "Deployment") -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": "team",
            "uid": f"uid-{kind}",
            "annotations": {ANNOTATION: "INC-1: the shop is down"},
        },
        "spec": {"template": {"spec": {"containers": [{"image": "web:9"}]}}},
    }


def test_a_broken_glass_is_found_by_a_sweep_or_when_the_ring_goes_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for ring in ("2", "0"):
        api = MemoryApi(Clock())
        api.put(NAMESPACES, {"metadata": {"name": "team", "labels": {RING_LABEL: ring}}})
        api.put(DEPLOYMENTS, broken())

        async def scenario(operator: Operator, memory: MemoryApi, ring: str = ring) -> None:
            await until(lambda: operator.ready and not len(operator.queue))
            if ring == "0":
                assert memory.all(REQUESTS) == []
                for label in ("0", "2"):
                    body = {"metadata": {"name": "team", "labels": {RING_LABEL: label}}}
                    memory.put(NAMESPACES, body)
                    operator.saw(NAMESPACES, {"type": "MODIFIED", "object": body})
            await until(lambda: memory.all(REQUESTS))
            (request,) = memory.all(REQUESTS)
            operator.saw(REQUESTS, {"type": "ADDED", "object": request})
            await until(lambda: memory.all(REQUESTS)[0].get("status"))
            assert memory.all(REQUESTS)[0]["status"]["state"] == "Submitted"

        with_operator(monkeypatch, scenario, api=api)


def test_a_kind_that_comes_later_is_watched_from_the_next_sweep_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stale: list[str] = []

    async def scenario(operator: Operator, memory: MemoryApi) -> None:
        operator.on_stale_watch = stale.append
        await until(lambda: operator.ready)
        assert "Rollout" not in {resource.kind for resource in operator.watched}
        operator.watch_began("rollouts", 7)  # of a run that is over
        memory.unserved.clear()
        operator.sweep_soon()
        await until(lambda: stale)
        assert "Rollout" in {resource.kind for resource in operator.watched}

    with_operator(monkeypatch, scenario)
    assert stale == ["there are other kinds of workloads than before"]


def test_it_starts_although_it_cannot_see_which_workloads_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = MemoryApi(Clock())
    served, failures = api.serves, 1

    async def serves(resource: Resource) -> bool:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ApiError(500, "InternalError", "not now")
        return await served(resource)

    monkeypatch.setattr(api, "serves", serves)

    async def scenario(operator: Operator, _: MemoryApi) -> None:
        await until(lambda: operator.ready)
        assert len(operator.workloads) == 7

    with_operator(monkeypatch, scenario, api=api)
