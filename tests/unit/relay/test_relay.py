# SPDX-License-Identifier: Apache-2.0
"""The relay against an API server that fails as it is told: the store equals the ledger in the
end, whatever was away, and nothing is written to the cluster but the Lease."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cabgate.ledger.chain import Checkpoint, Head
from cabgate.ledger.pruning import export_line
from cabgate.reports.rollouts import changes_of, outcomes_in
from cabgate_kube.client import ApiServer
from cabgate_kube.credentials import Access
from cabgate_kube.process.tasks import cancelled
from cabgate_kube.transport import Connections
from cabgate_relay.replica import Replica
from cabgate_relay.settings import Settings
from cabgate_samples.models import NOW
from cabgate_store.errors import StoreError
from cabgate_store.opening import open_to_append, open_to_read
from support.waiting import until
from unit.core.ledger.histories import STORY
from unit.core.reports.test_rollouts import outcome
from unit.relay.fake_api import FakeApi

RECORDS = STORY.records
LINES = [export_line(record) for record in RECORDS]


class Relay:
    """Replicas of a relay, their store in a folder, and the API server that they read."""

    def __init__(self, api: FakeApi, url: str, folder: Path) -> None:
        self.api, self._url = api, url
        self.folder = folder
        self.store = f"sqlite:///{folder}/store.db"
        self._running: list[asyncio.Task[None]] = []

    def start(self, sweep_seconds: float = 600) -> Replica:
        """Start a replica."""
        settings = Settings(store=self.store, cluster="one", sweep_seconds=sweep_seconds)

        def connect(called: Any) -> ApiServer:
            return ApiServer(Connections(Access(self._url)), called)

        replica = Replica(settings, connect=connect, clock=lambda: NOW, longest_pause=0.1)
        self._running.append(asyncio.create_task(replica.run()))
        return replica

    async def stop(self) -> None:
        """Stop all of them."""
        running, self._running = self._running, []
        for task in running:
            await cancelled(task)

    def lines(self) -> list[bytes]:
        """What is in the store."""
        with contextlib.suppress(StoreError):
            store = open_to_read(self.store)
            try:
                return [export_line(each) for each in store.records("one")]
            finally:
                store.close()
        return []

    def kept(self, kind: str) -> list[Any]:
        """What the store has beside records."""
        try:
            with contextlib.closing(open_to_read(self.store)) as store:
                return list(store.objects("one", kind))
        except StoreError:
            return []

    async def has(self, count: int) -> None:
        """Wait until the store has so many records, which are the first."""
        await until(lambda: len(self.lines()) >= count, f"{count} records in the store")
        assert self.lines() == LINES[:count]


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    api = FakeApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    server = TestServer(application)
    await server.start_server()
    folder = tmp_path / "store"
    folder.mkdir()
    made = Relay(api, str(server.make_url("/")).rstrip("/"), folder)
    yield made
    await made.stop()
    await server.close()
    assert not api.unexpected, "it reads the ledger and its checkpoints, and writes its Lease"


def sample(replica: Replica, name: str, **labels: str) -> float:
    return replica.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_what_is_there_and_what_comes_is_stored(relay: Relay) -> None:
    for record in RECORDS[:5]:
        relay.api.put(record)
    replica = relay.start()
    await relay.has(5)
    for number in (6, 7):
        relay.api.put(RECORDS[number - 1])
        await relay.has(number)
    await until(lambda: sample(replica, "cabgate_relay_records_total") == 7, "seven are counted")
    assert sample(replica, "cabgate_relay_leader") == 1
    assert replica.problems() == []
    await until(lambda: replica.unready() == [], "ready")
    await relay.stop()
    assert relay.api.lease["spec"]["holderIdentity"] == "", "given back"


async def test_one_of_two_appends_and_the_other_takes_over(relay: Relay) -> None:
    first = relay.start()
    await until(lambda: first.leads, "the first leads")
    relay.api.put(RECORDS[0])
    second = relay.start()
    await relay.has(1)
    assert not second.leads
    await cancelled(relay._running.pop(0))
    relay.api.put(RECORDS[1])
    await relay.has(2)
    assert second.leads


async def test_a_store_that_is_away_loses_nothing(relay: Relay) -> None:
    relay.api.put(RECORDS[0])
    replica = relay.start()
    await relay.has(1)
    away = relay.folder.rename(relay.folder.with_name("away"))
    (relay.folder).write_text("in its place")
    # SQLite has its file open: as after a restart.
    await relay.stop()
    replica = relay.start()
    await until(lambda: sample(replica, "cabgate_relay_store_failures_total") > 3, "failures")
    for record in RECORDS[1:]:
        relay.api.put(record)
    relay.api.oldest = relay.api.version + 1  # it was away for longer than events are kept
    (reason,) = (each for each in replica.unready() if each.startswith("store"))
    assert "unable to open database file" in reason
    assert replica.problems() == [], "to restart it would help nobody"
    relay.folder.unlink()
    away.rename(relay.folder)
    await relay.has(7)
    relay.api.oldest = 0
    await until(lambda: replica.unready() == [], "ready")


async def test_an_api_server_that_fails_in_every_way_loses_nothing(relay: Relay) -> None:
    relay.api.faults = [500, None, 429, 403, None, 410, 504]
    relay.start()
    for number, record in enumerate(RECORDS, 1):
        relay.api.put(record)
        relay.api.faults += [None, 410, 500][: number % 4]
        if number == 4:
            relay.api.oldest = relay.api.version
        await relay.has(number)


async def test_stopped_at_any_time_it_goes_on_where_it_was(relay: Relay) -> None:
    for number, record in enumerate(RECORDS, 1):
        replica = relay.start()
        await until(lambda replica=replica: replica.leads, "it leads")  # type: ignore[misc]
        relay.api.put(record)
        await asyncio.sleep(0.01 * number)
        await relay.stop()
    relay.start()
    await relay.has(7)


async def test_a_record_that_was_changed_in_the_cluster_is_told_of_and_the_store_keeps_the_first(
    relay: Relay,
) -> None:
    for record in RECORDS:
        relay.api.put(record)
    replica = relay.start()
    await relay.has(7)
    forged = copy.deepcopy(RECORDS[2])
    forged["spec"]["author"]["username"] = "mallory"
    relay.api.put(forged, "MODIFIED")
    counted = lambda: sample(replica, "cabgate_relay_anomalies_total", code="Fork")  # noqa: E731
    await until(lambda: counted() == 1, "the anomaly is counted")
    await relay.has(7)
    (anomaly,) = open_to_read(relay.store).anomalies("one")
    assert (anomaly.sequence, anomaly.code) == (3, "Fork")
    last = "cabgate_relay_last_anomaly_timestamp_seconds"
    assert sample(replica, last) == NOW.timestamp()
    await relay.stop()
    again = relay.start()
    await until(lambda: sample(again, last) == NOW.timestamp(), "the next one knows of it")
    await until(lambda: again.unready() == [], "it has read all")
    assert sample(again, "cabgate_relay_anomalies_total", code="Fork") == 0, "it is no second one"


async def test_a_sweep_finds_what_no_watch_told_of(relay: Relay) -> None:
    for record in RECORDS:
        relay.api.put(record)
    replica = relay.start(sweep_seconds=1)
    await relay.has(7)
    relay.api.records["shop.00000003"]["spec"]["author"]["username"] = "mallory"
    counted = lambda: sample(replica, "cabgate_relay_anomalies_total", code="Fork")  # noqa: E731
    await until(lambda: counted() == 1, "the anomaly is counted")


async def test_what_was_pruned_before_it_came_stops_its_chain_until_it_is_there(
    relay: Relay,
) -> None:
    relay.api.put(RECORDS[0])
    relay.start()
    await relay.has(1)
    await relay.stop()
    relay.api.checkpoints = {"shop": str(Checkpoint(Head(3, RECORDS[2]["spec"]["digest"]), NOW))}
    relay.api.delete("shop.00000001")
    for record in RECORDS[3:]:
        relay.api.put(record)
    replica = relay.start()
    await until(lambda: sample(replica, "cabgate_relay_stuck_chains") == 1, "stuck")
    await until(lambda: sample(replica, "cabgate_relay_lag_seconds") > 1, "the lag grows")
    assert relay.lines() == LINES[:1]
    # The export has it, which somebody appends: here by hand.
    open_to_append(relay.store, NOW).append("one", RECORDS[1:3], {}, NOW)
    relay.api.oldest = relay.api.version + 1  # so that it sweeps now
    await relay.has(7)
    relay.api.oldest = 0
    await until(lambda: sample(replica, "cabgate_relay_stuck_chains") == 0, "not stuck any more")


async def test_a_pruned_ledger_is_taken_up_at_its_checkpoint(relay: Relay) -> None:
    relay.api.checkpoints = {"shop": str(Checkpoint(Head(3, RECORDS[2]["spec"]["digest"]), NOW))}
    relay.api.checkpoints["other"] = "nonsense"
    for record in RECORDS[3:]:
        relay.api.put(record)
    relay.start()
    await until(lambda: len(relay.lines()) == 4, "four records")
    assert relay.lines() == LINES[3:]
    assert open_to_read(relay.store).beginnings("one")["shop"].head.sequence == 3


async def test_what_records_rest_on_is_kept_in_each_content(relay: Relay) -> None:
    model = {"metadata": {"name": "default", "uid": "m-1"}, "spec": {"version": "1"}}
    relay.api.put(model, resource="riskmodels")
    for each in STORY.requests:
        relay.api.put(each, resource="cabrequests")
    replica = relay.start()
    await until(lambda: len(relay.kept("CABRequest")) == 4, "four requests are kept")
    relay.api.put({**model, "spec": {"version": "2"}}, "MODIFIED", "riskmodels")
    relay.api.put({**STORY.requests[0], "status": {}}, "MODIFIED", "cabrequests")
    await until(lambda: len(relay.kept("RiskModel")) == 2, "and both contents of the model")
    another = {**STORY.requests[0]["metadata"], "name": "another", "uid": "r-another"}
    relay.api.put({**STORY.requests[0], "metadata": another}, resource="cabrequests")
    await until(lambda: len(relay.kept("CABRequest")) > 4, "what came later is kept")
    assert len(relay.kept("CABRequest")) == 5, "another status is no other content"
    await until(lambda: sample(replica, "cabgate_relay_objects_total") == 7, "seven are counted")


async def test_what_became_of_a_rollout_is_kept_as_it_grows(relay: Relay) -> None:
    begun = outcome(1, "web-1").to_dict()
    relay.api.put(begun, resource="rolloutoutcomes")
    relay.start()
    await until(lambda: len(relay.kept("RolloutOutcome")) == 1, "its beginning is kept")
    ended = outcome(1, "web-1", result="Failed", endedAt=2).to_dict()
    relay.api.put(ended, "MODIFIED", "rolloutoutcomes")
    await until(lambda: len(relay.kept("RolloutOutcome")) == 2, "and its end")
    (change,) = changes_of(outcomes_in(relay.kept("RolloutOutcome"))[0], [])
    assert change.failed


async def test_what_cannot_be_read_of_it_holds_up_no_record(relay: Relay) -> None:
    relay.api.not_there = {"changepolicies"}
    relay.api.put(RECORDS[0])
    replica = relay.start()
    await relay.has(1)
    await until(
        lambda: any("changepolicies" in each for each in replica.unready()), "it is told of"
    )
    relay.api.put(RECORDS[1])
    await relay.has(2)
    relay.api.not_there = set()
    await until(lambda: replica.unready() == [], "ready")
