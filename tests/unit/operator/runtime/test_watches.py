# SPDX-License-Identifier: Apache-2.0
import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import httpx
import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cabgate_kube.credentials import Access
from cabgate_kube.process.health import pages_app
from cabgate_operator.controllers.break_glass import WORKLOADS
from cabgate_operator.main import make_kopf_settings, make_registry, make_watches
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.runtime.replica import Replica
from cabgate_operator.runtime.watches import Pace, Watches, traced
from cabgate_operator.settings import Settings
from support.waiting import until
from unit.operator.support import Clock, MemoryApi

THINGS = ("a", "b", "c", "d")


class FakeRun:
    """A run of kopf whose watches the test counts."""

    def __init__(self, count: int) -> None:
        self.alive = True
        self.count = count
        self.silent = 0.0
        self.reads = 0
        self.stopped = False

    def watching(self) -> int:
        self.reads += 1
        return self.count

    def silence(self) -> float:
        return self.silent

    async def stop(self) -> None:
        self.stopped = True
        self.alive = False


class Runs:
    """Watches that are kept alive, the runs that they began, and how often that was told of."""

    def __init__(self, watching: int) -> None:
        self.begun: list[FakeRun] = []
        self.restarts = 0
        self.kept = Watches(
            kopf.OperatorRegistry,
            make_kopf_settings,
            lambda: THINGS,
            self._restarted,
            begin=lambda *_: self._begin(watching),
            pace=Pace(check=0.01, grace=0.05, again=0.01),
        )

    def _begin(self, watching: int) -> FakeRun:
        self.begun.append(FakeRun(watching))
        return self.begun[-1]

    def _restarted(self) -> None:
        self.restarts += 1


@contextlib.asynccontextmanager
async def running(watching: int = len(THINGS)) -> AsyncIterator[Runs]:
    runs = Runs(watching)
    task = asyncio.create_task(runs.kept.run_forever())
    try:
        yield runs
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert all(run.stopped for run in runs.begun)


@pytest.mark.parametrize("harm", ["one died", "kopf ended", "kopf stands still", "stale"])
async def test_watches_begin_anew(harm: str) -> None:
    async with running() as runs:
        await until(lambda: runs.begun and runs.begun[0].reads > 5, "all is well for a while")
        assert len(runs.begun) == 1
        (first,) = runs.begun
        if harm == "one died":
            first.count = len(THINGS) - 1
        elif harm == "kopf ended":
            first.alive = False
        elif harm == "kopf stands still":
            first.silent = 31.0
        else:
            runs.kept.restart("because")
        await until(lambda: len(runs.begun) == 2, "they began anew")
        assert runs.restarts == 1
        assert first.stopped


async def test_watches_that_never_come_to_life_are_given_up() -> None:
    async with running(watching=1) as runs:
        await until(lambda: len(runs.begun) == 2, "they began anew")


def test_a_watch_that_stays_down_is_a_problem() -> None:
    clock = Clock()
    kept = Watches(
        kopf.OperatorRegistry,
        make_kopf_settings,
        lambda: ("a", "b"),
        lambda: None,
        monotonic=clock.monotonic,
    )
    kept._all_down()
    for plural in ("a", "b"):
        kept.began(plural)
    clock.forward(1000)
    assert kept.problems() == []
    kept.failed("b")
    kept.failed("others")
    clock.forward(50)
    kept.failed("b")
    assert kept.problems() == []
    clock.forward(11)
    assert kept.problems() == ["watch: b is not watched, for 61 s"]
    kept.began("b")
    assert kept.problems() == []


async def test_the_session_tells_of_watches_alone() -> None:
    began: list[tuple[str, int]] = []
    failed: list[str] = []
    calls: list[tuple[str, int]] = []
    asked: list[str] = []

    async def answer(incoming: web.Request) -> web.Response:
        return web.Response(status=504 if "bad" in incoming.path else 200)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(application)
    await server.start_server()
    access = Access(str(server.make_url("/")), authorization=lambda: "Bearer t")
    found = traced(
        *(access, lambda *what: began.append(what), failed.append),
        *(lambda *call: calls.append(call), asked.append),
    )
    assert found.server == access.server
    session = found.aiohttp_session
    for path in (
        "/apis/g/v/things?watch=true&resourceVersion=7",
        "/apis/g/v/things?watch=true",
        "/apis/g/v/things?limit=1&resourceVersion=8",
        "/apis/g/v/bad?watch=true&resourceVersion=9",
    ):
        await session.get(server.make_url(path))
    await server.close()
    for query in ("?watch=true", ""):
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"http://127.0.0.1:1/things{query}")
    await session.close()
    assert began == [("things", 7)]
    assert failed == ["bad", "things"]
    assert asked == ["things", "things", "bad", "things"]
    assert calls == [
        *(("watch", 200), ("watch", 200), ("list", 200), ("watch", 504)),
        *(("watch", 0), ("list", 0)),
    ]


async def test_only_handlers_that_write_nothing_are_registered() -> None:
    manager, memory = Manager(), MemoryApi(Clock())
    memory.unserved.clear()
    await manager.start(memory)  # type: ignore[arg-type]
    await manager.stop()
    registry = make_registry(manager, make_watches(manager), asyncio.get_running_loop())
    handlers = registry._watching.get_all_handlers()
    ours = {"deploymentintents", "cabrequests", "cabexceptions", "riskmodels", "namespaces"}
    ours |= {"changepolicies", "rolloutoutcomes"}
    assert {handler.id for handler in handlers} == ours | {each.plural for each in WORKLOADS}
    for kind in ("_changing", "_spawning", "_webhooks", "_indexing"):
        assert not getattr(registry, kind).get_all_handlers()


async def test_health_endpoints() -> None:
    replica = Replica(Settings(health_port=0), make_watches)
    replica.metrics.uncovered_workloads.labels("shop").set(3)
    transport = httpx.ASGITransport(pages_app(replica.pages()))
    async with httpx.AsyncClient(transport=transport, base_url="http://operator") as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
        shown = (await client.get("/metrics")).text
    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert (ready.status_code, ready.text) == (503, "not ready: it has not begun\n")
    assert "\ncabgate_leader 0.0\n" in shown
    assert 'cabgate_uncovered_workloads{namespace="shop"} 3.0' in shown


async def test_of_some_resources_metadata_alone_is_asked_for_and_an_empty_list_is_one() -> None:
    """Of metadata alone the API server answers null where there is nothing."""
    accepted: dict[str, str] = {}

    async def answer(incoming: web.Request) -> web.Response:
        accepted[incoming.path] = incoming.headers["Accept"]
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": None})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    server = TestServer(application)
    await server.start_server()
    access = Access(str(server.make_url("/")).rstrip("/"))
    found = traced(access, lambda *_: None, lambda _: None, metadata_only={"deployments"})
    session = found.aiohttp_session
    try:
        for path in ("/apis/apps/v1/deployments", "/apis/cabgate.dev/v1alpha1/cabrequests"):
            async with session.get(f"{access.server}{path}") as response:
                assert (await response.json())["items"] == []
    finally:
        await session.close()
        await server.close()
    assert "PartialObjectMetadataList" in accepted["/apis/apps/v1/deployments"]
    assert "Partial" not in accepted["/apis/cabgate.dev/v1alpha1/cabrequests"]
