# SPDX-License-Identifier: Apache-2.0
import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator

import aiohttp
import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cabgate_operator import watches
from cabgate_operator.app import WATCHED, Operator
from cabgate_operator.glass import WORKLOADS
from cabgate_operator.health import serve_health
from cabgate_operator.main import make_kopf_settings, make_registry, make_watches
from cabgate_operator.replica import Replica
from cabgate_operator.settings import Settings
from cabgate_operator.watches import Watches, traced

THINGS = ("a", "b", "c", "d")


class FakeRun:
    """A run of kopf whose watches the test counts."""

    made: "list[FakeRun]"

    def __init__(self, registry: object, settings: object) -> None:
        self.alive = True
        self.count = 4
        self.stopped = False
        self.silent = 0.0
        FakeRun.made.append(self)

    def watching(self) -> int:
        return self.count

    def silence(self) -> float:
        return self.silent

    async def stop(self) -> None:
        self.stopped = True
        self.alive = False


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeRun]]:
    FakeRun.made = []
    monkeypatch.setattr(watches, "_Run", FakeRun)
    monkeypatch.setattr(watches, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(watches, "GRACE_SECONDS", 0.05)
    yield FakeRun.made
    assert all(run.stopped for run in FakeRun.made)


@pytest.mark.parametrize("harm", ["one died", "kopf ended", "kopf stands still", "stale"])
def test_watches_begin_anew(runs: list[FakeRun], harm: str) -> None:
    restarts: list[int] = []

    async def scenario() -> None:
        kept = Watches(
            kopf.OperatorRegistry, make_kopf_settings, lambda: THINGS, lambda: restarts.append(1)
        )
        task = asyncio.create_task(kept.run_forever())
        await asyncio.sleep(0.03)
        assert len(runs) == 1
        if harm == "one died":
            runs[0].count = 3
        elif harm == "kopf ended":
            runs[0].alive = False
        elif harm == "kopf stands still":
            runs[0].silent = 31.0
        else:
            kept.restart("because")
        async with asyncio.timeout(30):
            while len(runs) < 2:  # noqa: ASYNC110 - no matter here
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    assert restarts == [1]
    assert runs[0].stopped


def test_watches_that_never_come_to_life_are_given_up(
    runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRun, "watching", lambda self: 1)

    async def scenario() -> None:
        kept = Watches(kopf.OperatorRegistry, make_kopf_settings, lambda: THINGS, lambda: None)
        task = asyncio.create_task(kept.run_forever())
        async with asyncio.timeout(30):
            while len(runs) < 2:  # noqa: ASYNC110 - no matter here
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_a_watch_that_stays_down_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(watches.time, "monotonic", lambda: now)
    kept = Watches(kopf.OperatorRegistry, make_kopf_settings, lambda: ("a", "b"), lambda: None)
    kept._all_down()
    for plural in ("a", "b"):
        kept.began(plural)
    now = 2000.0
    assert kept.problems() == []
    kept.failed("b")
    kept.failed("others")
    now = 2050.0
    kept.failed("b")
    assert kept.problems() == []
    now = 2061.0
    assert kept.problems() == ["watch: b is not watched, for 61 s"]
    kept.began("b")
    assert kept.problems() == []


def test_the_session_tells_of_watches_alone() -> None:
    began: list[tuple[str, int]] = []
    failed: list[str] = []
    calls: list[tuple[str, int]] = []
    asked: list[str] = []

    async def answer(incoming: web.Request) -> web.Response:
        return web.Response(status=504 if "bad" in incoming.path else 200)

    async def scenario() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        server = TestServer(application)
        await server.start_server()
        info = kopf.ConnectionInfo(server=str(server.make_url("/")), token="t")
        found = traced(
            *(info, lambda *what: began.append(what), failed.append),
            *(lambda *call: calls.append(call), asked.append),
        )
        assert found.server == info.server
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

    asyncio.run(scenario())
    assert began == [("things", 7)]
    assert failed == ["bad", "things"]
    assert asked == ["things", "things", "bad", "things"]
    assert calls == [
        *(("watch", 200), ("watch", 200), ("list", 200), ("watch", 504)),
        *(("watch", 0), ("list", 0)),
    ]


def test_only_handlers_that_write_nothing_are_registered() -> None:
    async def scenario() -> None:
        operator = Operator()
        operator.workloads = WORKLOADS
        registry = make_registry(operator, make_watches(operator), asyncio.get_running_loop())
        assert len(registry._watching.get_all_handlers()) == len((*WATCHED, *WORKLOADS))
        for kind in ("_changing", "_spawning", "_webhooks", "_indexing"):
            assert not getattr(registry, kind).get_all_handlers()

    asyncio.run(scenario())


def test_health_endpoints() -> None:
    async def scenario() -> None:
        replica = Replica(Settings(health_port=0), make_watches)
        replica.metrics.uncovered_workloads.labels("shop").set(3)
        runner = await serve_health(replica, 0)
        port = next(address[1] for address in runner.addresses if len(address) == 2)  # IPv4

        def get(path: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
                    return int(response.status), response.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        assert await asyncio.to_thread(get, "/healthz") == (200, "ok\n")
        assert await asyncio.to_thread(get, "/readyz") == (503, "not ok: it has not begun\n")
        _, shown = await asyncio.to_thread(get, "/metrics")
        assert "\ncabgate_leader 0.0\n" in shown
        assert 'cabgate_uncovered_workloads{namespace="shop"} 3.0' in shown
        await runner.cleanup()

    asyncio.run(scenario())
