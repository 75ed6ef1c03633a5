# SPDX-License-Identifier: Apache-2.0
"""A whole relay with sinks, against an API server and a SIEM that fail as they are told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cabgate.ledger.cursors import parsed_cursors
from cabgate_kube.client import ApiServer
from cabgate_kube.credentials import Access
from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_kube.process.tasks import cancelled
from cabgate_kube.transport import Connections
from cabgate_relay.replica import Replica
from cabgate_relay.settings import Settings
from cabgate_relay.sinks.configuration import HttpsSink
from cabgate_samples.models import NOW
from cabgate_store.errors import StoreError
from cabgate_store.opening import open_to_read
from support.siem import CUT, LOST, TOKEN, Authority, Siem, check_order
from support.waiting import until
from unit.core.ledger.histories import STORY
from unit.relay.fake_api import FakeApi

RECORDS = STORY.records
IDS = [f"one/shop/{number}" for number in range(1, len(RECORDS) + 1)]


class Relay:
    """Replicas of a relay with two sinks and, if asked for, a store."""

    def __init__(self, api: FakeApi, url: str, folder: Path) -> None:
        self.api, self._url, self._folder = api, url, folder
        authority = Authority(folder)
        self.first, self.second = Siem(authority), Siem(authority)
        (folder / "credential").write_text(TOKEN)
        self.store = f"sqlite:///{folder}/store.db"
        self._running: list[asyncio.Task[None]] = []

    def start(self, *, store: bool = False) -> Replica:
        settings = Settings(
            store=self.store if store else "", sinks=Path("/sinks.yaml"), cluster="one"
        )
        files = {"credentialFile": self._folder / "credential", "caFile": self._folder / "ca.crt"}
        sinks = [
            HttpsSink.model_validate({"name": name, "type": "https", "url": siem.url, **files})
            for name, siem in (("first", self.first), ("second", self.second))
        ]

        def connect(called: Any) -> ApiServer:
            return ApiServer(Connections(Access(self._url)), called)

        replica = Replica(settings, sinks, connect=connect, clock=lambda: NOW, longest_pause=0.1)
        self._running.append(asyncio.create_task(replica.run()))
        return replica

    async def stop(self) -> None:
        running, self._running = self._running, []
        for task in running:
            await cancelled(task)

    def acknowledged(self, sink: str) -> int:
        """What stands in the cluster of the chain of the story."""
        data = (self.api.cursors or {}).get("data") or {}
        return parsed_cursors(data.get(sink, "")).get("shop", 0)


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    api = FakeApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    server = TestServer(application)
    await server.start_server()
    made = Relay(api, str(server.make_url("/")).rstrip("/"), tmp_path)
    await made.first.start()
    await made.second.start()
    yield made
    await made.stop()
    for siem in (made.first, made.second):
        await siem.stop()
        assert not siem.wrong
    await server.close()
    assert not api.unexpected, "it reads the ledger, and writes its Lease and its positions"


def sample(replica: Replica, name: str, **labels: str) -> float:
    return replica.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_without_a_store_all_sinks_have_each_record(relay: Relay) -> None:
    for record in RECORDS[:5]:
        relay.api.put(record)
    replica = relay.start()
    await until(lambda: relay.first.ids == IDS[:5] == relay.second.ids, "five are there")
    relay.api.put(RECORDS[5])
    await until(lambda: relay.first.ids == IDS[:6] == relay.second.ids, "six are there")
    for sink in ("first", "second"):
        await until(lambda sink=sink: relay.acknowledged(sink) == 6, "the position is kept")  # type: ignore[misc]
    await until(
        lambda: sample(replica, "cabgate_relay_sink_events_total", sink="first") == 6, "counted"
    )
    assert replica.unready() == []
    await relay.stop()
    relay.start()
    relay.api.put(RECORDS[6])
    await until(lambda: len(relay.first.ids) > 6 < len(relay.second.ids), "the seventh is there")
    assert relay.first.ids == IDS == relay.second.ids, "what was acknowledged is not sent again"


async def test_a_sink_that_is_down_is_noticed_by_nobody_else(relay: Relay) -> None:
    relay.first.faults = [503] * 1_000_000
    for record in RECORDS:
        relay.api.put(record)
    replica = relay.start(store=True)
    await until(lambda: relay.second.ids == IDS, "the other sink has all")

    def stored() -> int:
        with (
            contextlib.suppress(StoreError),
            contextlib.closing(open_to_read(relay.store)) as store,
        ):
            return len(list(store.records("one")))
        return 0  # it is not made yet

    await until(lambda: stored() == 7, "the store has all")
    failures = "cabgate_relay_sink_failures_total"
    await until(lambda: sample(replica, failures, sink="first", code="503") > 3, "it fails")
    assert relay.first.ids == []
    assert replica.unready() == []
    assert replica.problems() == []
    await until(
        lambda: sample(replica, "cabgate_relay_sink_lag_seconds", sink="first") > 0.5, "lag"
    )
    relay.first.faults = []
    await until(lambda: relay.first.ids == IDS, "what waited is there")


async def test_faults_and_restarts_lose_nothing(relay: Relay) -> None:
    relay.first.faults = [CUT, 500, LOST, (429, "0"), 408, LOST, 302]
    relay.api.faults = [500, None, 410]
    for number, record in enumerate(RECORDS, 1):
        replica = relay.start()
        await until(lambda replica=replica: replica.leads, "it leads")  # type: ignore[misc]
        relay.api.put(record)
        await asyncio.sleep(0.02 * number)
        await relay.stop()
        relay.first.faults += [LOST, 503][: number % 3]
    relay.start()
    for siem in (relay.first, relay.second):
        await until(lambda siem=siem: set(siem.ids) == set(IDS), "all are there")  # type: ignore[misc]
        check_order(siem.ids)


async def test_a_refusal_stops_the_chain_until_a_restart(relay: Relay) -> None:
    relay.first.refused = {"shop": 422}
    for record in RECORDS:
        relay.api.put(record)
    replica = relay.start()
    stuck = "cabgate_relay_sink_stuck_chains"
    await until(lambda: sample(replica, stuck, sink="first") == 1, "stuck")
    await until(lambda: relay.second.ids == IDS, "the other sink has all")
    assert sample(replica, stuck, sink="second") == 0
    assert sample(replica, "cabgate_relay_sink_failures_total", sink="first", code="422") > 0
    await relay.stop()
    relay.first.refused = {}
    replica = relay.start()
    await until(lambda: relay.first.ids == IDS, "all are there")
    await until(lambda: sample(replica, stuck, sink="first") == 0, "not stuck any more")


async def test_a_position_beyond_the_newest_record_is_stuck_and_not_silent(relay: Relay) -> None:
    assert relay.api.cursors is not None
    relay.api.cursors["data"] = {"first": "quiet 9\nshop 99999999\n"}
    for record in RECORDS:
        relay.api.put(record)
    replica = relay.start()
    stuck = "cabgate_relay_sink_stuck_chains"
    await until(lambda: sample(replica, stuck, sink="first") == 2, "stuck")
    await until(lambda: relay.second.ids == IDS, "the other sink has all")
    assert sample(replica, stuck, sink="second") == 0
    assert relay.first.ids == []


async def test_a_wrong_token_is_waited_for_and_stops_no_chain(relay: Relay) -> None:
    relay.first.refused = {"shop": 401}
    for record in RECORDS:
        relay.api.put(record)
    replica = relay.start()
    failures = "cabgate_relay_sink_failures_total"
    await until(lambda: (sample(replica, failures, sink="first", code="401") or 0) > 2, "asked")
    assert sample(replica, "cabgate_relay_sink_stuck_chains", sink="first") == 0
    assert (sample(replica, "cabgate_relay_sink_lag_seconds", sink="first") or 0) > 0
    relay.first.refused = {}
    await until(lambda: relay.first.ids == IDS, "all are there without a restart")


async def test_where_positions_cannot_be_kept_nothing_is_sent(relay: Relay) -> None:
    kept, relay.api.cursors = relay.api.cursors, None
    relay.api.put(RECORDS[0])
    replica = relay.start()
    lag = "cabgate_relay_sink_lag_seconds"
    await until(lambda: sample(replica, lag, sink="first") > 0.5, "the lag grows")
    assert relay.first.ids == []
    relay.api.cursors = kept
    await until(lambda: relay.first.ids == IDS[:1], "it goes on")


def test_a_relay_that_carries_nothing_anywhere_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"neither --store .* nor --sinks .* is set"):
        read_settings(Settings, ["--cluster", "one"], "cabgate-relay")
