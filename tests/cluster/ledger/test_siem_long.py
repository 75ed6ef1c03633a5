# SPDX-License-Identifier: Apache-2.0
"""The long form of test_siem.py and test_relay.py, and figures (`make test-relay`): many records,
relays that are killed time and again, a database and a SIEM that are killed and cut meanwhile. The
ledger is made by hand; of cabgate the cluster has the kind alone."""

import contextlib
import copy
import json
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from cabgate.ledger.chain import CHAIN_FIELDS, Head, append, record_object
from cabgate.ledger.pruning import export_line
from cabgate_devcluster import wait_until
from cabgate_store.errors import StoreError
from cabgate_store.opening import database_of, open_to_read
from support.postgres import running
from support.prometheus import scrape
from support.relays import (
    CLUSTER,
    NAMESPACE,
    ROLES,
    free_lease,
    ledger_alone,
    sinks_file,
    start_relay,
    stored,
    to_siem,
)
from support.siem import CUT, LOST, Authority, Background, Siem, check_order, read_id
from support.stores import prepared
from unit.core.ledger.histories import STORY

pytestmark = pytest.mark.long

RECORDS = int(os.environ.get("RELAY_RECORDS", "10000"))
KILLS = int(os.environ.get("RELAY_KILLS", "100"))
RUNS = int(os.environ.get("RELAY_RUNS", "3"))
"""How often what is a figure is measured."""
OF_KUBECONFIG = 9
"""Megabytes of the kubernetes package, which reads a kubeconfig: no relay in a Pod loads it."""
CHAINS = 50
LAG_SECONDS = 60
FORGED = 20


@pytest.fixture(scope="module")
def cluster():
    with ledger_alone() as made:
        made.kubectl("apply", "-f", str(ROLES))
        yield made


class Ledger:
    """Chains that are written as the operator would write them."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._heads = {}
        spec = STORY.records[0]["spec"]
        self._content = {key: value for key, value in spec.items() if key not in CHAIN_FIELDS}
        self.written = {}
        """The line of each record by its id."""
        self.at = {}
        """When each was there, by the monotonic clock."""

    def add(self, chain):
        """Write the next record of a chain."""
        content = copy.deepcopy(self._content)
        content["subject"]["namespace"] = chain
        record = append(self._heads.get(chain), content)
        self._heads[chain] = Head.of(record)
        body = self._write(record_object(record))
        name = f"{CLUSTER}/{chain}/{record.spec.sequence}"
        self.at[name] = time.monotonic()
        self.written[name] = export_line(body)

    def _write(self, record):
        body = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABDecision", **record}
        self._cluster.api.call("POST", "/apis/cabgate.dev/v1alpha1/cabdecisions", body)
        return body

    def forge(self, name):
        """Write another record in the place of one, as who may do anything could."""
        line = json.loads(self.written[name])
        at = f"/apis/cabgate.dev/v1alpha1/cabdecisions/{quote(line['metadata']['name'])}"
        self._cluster.api.call("DELETE", at)
        line["spec"]["rationale"] = "as somebody would like it"
        self._write({"metadata": line["metadata"], "spec": line["spec"]})

    def fill(self, count, prefix, per_second=None):
        """Write so many records to several chains, as fast as it goes or so many in a second."""
        began = time.monotonic()
        for number in range(count):
            self.add(f"{prefix}-{number % CHAINS}")
            if per_second is not None:
                wait = began + (number + 1) / per_second - time.monotonic()
                time.sleep(max(wait, 0))


@pytest.fixture(scope="module")
def ledger(cluster):
    return Ledger(cluster)


@pytest.fixture
def siem(tmp_path):
    made = Background(Siem(Authority(tmp_path)))
    made.start()
    yield made
    made.end()


@pytest.fixture
def server():
    with running() as made:
        yield made


class Relays:
    """Relays with one sink and a store; one at a time."""

    def __init__(self, cluster, folder, siem, sink, place):
        self._cluster, self.place = cluster, place
        self._sinks = sinks_file(folder, to_siem(siem.siem, folder, sink))
        self._port = cluster.free_port()

    def start(self):
        """Start one."""
        account = self._cluster.service_account(NAMESPACE, "cabgate-relay")
        options = ("--sinks", self._sinks)
        store = self.place.append
        return start_relay(self._cluster, account, *options, store=store, port=self._port)

    def kill(self, process):
        """Kill one; the next need not wait until its Lease ends."""
        process.kill()
        free_lease(self._cluster)

    def stop(self, process):
        """End one, which gives back its Lease."""
        process.stop()

    def metric(self, name):
        """The sum of a metric."""
        return sum(scrape({"relay": f"http://127.0.0.1:{self._port}"}).of(name))

    def count(self):
        """How many records the store has; 0 while it does not answer."""
        try:
            with contextlib.closing(database_of(self.place.read, write=False)) as database:
                return database.rows("SELECT count(*) FROM records")[0][0]
        except StoreError:
            return 0

    def lines(self):
        """The lines of all records that the store has; None while it does not answer."""
        found = stored(self.place)
        return None if found is None else {export_line(each) for each in found}


def test_kills_and_cuts_lose_nothing(cluster, ledger, siem, server, tmp_path, capsys):
    chance = random.Random(7)  # noqa: S311 - no secret
    relays = Relays(cluster, tmp_path, siem, "campaign", prepared(server))
    away = {"database killed": 0, "SIEM stopped": 0, "answers lost or refused": 0}
    began = time.monotonic()
    with ThreadPoolExecutor(1) as writing:
        for number in range(KILLS):
            process = relays.start()
            before = len(siem.siem.ids), relays.count()
            writer = writing.submit(ledger.fill, RECORDS // KILLS, "campaign")
            faults = chance.choices([CUT, LOST, 503, (429, "0")], k=chance.randint(0, 2))
            siem.siem.faults += faults
            away["answers lost or refused"] += len(faults)
            if number % 2 == 0:
                wait_until(lambda b=before: relays.count() > b[1], "the store gets some")
                server.kill()
                away["database killed"] += 1
            else:
                wait_until(lambda b=before: len(siem.siem.ids) > b[0], "the SIEM gets some")
                siem.stop()
                away["SIEM stopped"] += 1
            time.sleep(chance.uniform(0, 1.5))
            relays.kill(process)
            if number % 2 == 0:
                server.start()
            else:
                siem.start()
            writer.result()
    last = relays.start()
    everything = set(ledger.written)
    wait_until(lambda: set(siem.siem.ids) == everything, "the SIEM has every id", timeout=600)
    wanted = set(ledger.written.values())
    wait_until(lambda: relays.count() == len(wanted), "the store has as many", timeout=600)
    seconds = time.monotonic() - began
    relays.stop(last)
    assert relays.lines() == wanted
    assert not siem.siem.wrong
    check_order(siem.siem.ids)
    ids = siem.siem.ids
    show(
        capsys,
        f"{len(ledger.written)} records, {KILLS} kills of the relay, {away} in {seconds:.0f} s: "
        f"{len(ids) - len(set(ids))} duplicates, none lost, all in order",
    )


def show(capsys, text):
    """Print a figure, whether the test passes or not."""
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


@pytest.mark.parametrize("run", range(RUNS))
def test_a_backlog_goes_out_at_500_a_second_in_100_mb(
    cluster, ledger, siem, server, tmp_path, capsys, run
):
    if len(ledger.written) < RECORDS:
        ledger.fill(RECORDS - len(ledger.written), "backlog")
    siem.siem.check = read_id
    relays = Relays(cluster, tmp_path, siem, f"fast-{run}", prepared(server))
    process = relays.start()
    count = len(ledger.written)
    with watching(relays.count) as seen:
        done = "all are there"
        wait_until(lambda: seen and seen[-1][1] >= count, done, timeout=600, interval=0.2)
        wait_until(lambda: len(siem.siem.ids) >= count, done, timeout=600, interval=0.2)
    to_sink = count / (siem.siem.at[-1] - siem.siem.at[0])
    began, ended = (next(at for at, n in seen if n >= least) for least in (1, count))
    to_store = count / (ended - began)
    memory = peak_megabytes(process)
    relays.stop(process)
    check_order(siem.siem.ids)
    rates = f"{to_sink:.0f} a second to the SIEM, {to_store:.0f} to the store"
    show(capsys, f"{count} records at a time: {rates}, {memory:.0f} MB at most")
    assert to_sink >= 500
    assert to_store >= 500
    assert memory - OF_KUBECONFIG < 100


@contextlib.contextmanager
def watching(look, interval=0.1):
    """What something is, and when it was looked at, again and again."""
    seen, ended = [], threading.Event()

    def follow():
        while not ended.is_set():
            found = look()
            seen.append((time.monotonic(), found))
            ended.wait(interval)

    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(follow)
        try:
            yield seen
        finally:
            ended.set()
            following.result()


def peak_megabytes(process):
    """The most memory that a process had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


@pytest.mark.parametrize("run", range(RUNS))
def test_the_lag_at_50_a_second(cluster, ledger, siem, server, tmp_path, capsys, run):
    siem.siem.check = read_id
    relays = Relays(cluster, tmp_path, siem, f"lag-{run}", prepared(server))
    process = relays.start()
    before = len(ledger.written)
    wait_until(lambda: len(siem.siem.ids) >= before, "what was there is sent", timeout=600)
    wait_until(lambda: relays.count() >= before, "what was there is stored", timeout=600)
    prefix = f"lag{run}"
    with watching(lambda: ids_in(relays, prefix)) as seen:
        ledger.fill(50 * LAG_SECONDS, prefix, per_second=50)
        wait_until(lambda: len(siem.siem.ids) >= len(ledger.written), "all are sent")
        wait_until(lambda: len(seen[-1][1]) == 50 * LAG_SECONDS, "all are stored")
    relays.stop(process)
    in_store = {}
    for at, names in seen:
        for name in names:
            in_store.setdefault(name, at)
    sent = dict(zip(siem.siem.ids, siem.siem.at, strict=True))
    wanted = [name for name in ledger.at if f"/{prefix}-" in name]
    for where, came in (("SIEM", sent), ("store", in_store)):
        lags = sorted(came[name] - ledger.at[name] for name in wanted)
        p50, p99 = (lags[int(len(lags) * share)] for share in (0.5, 0.99))
        figures = f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {lags[-1]:.2f} s"
        show(capsys, f"{len(lags)} records at 50 a second: lag of the {where} {figures}")
        assert p99 <= 2


def ids_in(relays, prefix):
    """The ids that the store has of some chains."""
    sql = "SELECT chain, sequence FROM records WHERE chain LIKE ?"
    with contextlib.closing(database_of(relays.place.read, write=False)) as database:
        rows = database.rows(sql, (f"{prefix}-%",))
    return {f"{CLUSTER}/{chain}/{sequence}" for chain, sequence in rows}


def test_a_forged_record_is_flagged_within_5_s(cluster, ledger, siem, server, tmp_path, capsys):
    if len(ledger.written) < RECORDS:
        ledger.fill(RECORDS - len(ledger.written), "forged")
    siem.siem.check = read_id
    relays = Relays(cluster, tmp_path, siem, "forged", prepared(server))
    process = relays.start()
    wait_until(lambda: relays.count() == len(ledger.written), "all are stored", timeout=600)
    chosen = random.Random(7).sample(sorted(ledger.written), FORGED)  # noqa: S311 - no secret
    flagged, times = "cabgate_relay_anomalies_total", []
    for number, name in enumerate(chosen, 1):
        ledger.forge(name)
        at = time.monotonic()
        known = f"{name} is flagged"
        wait_until(lambda n=number: relays.metric(flagged) == n, known, interval=0.05)
        times.append(time.monotonic() - at)
    relays.stop(process)
    with contextlib.closing(open_to_read(relays.place.read)) as store:
        found = [each for each in store.anomalies(CLUSTER) if each.code == "Fork"]
        kept = {export_line(each) for each in store.records(CLUSTER)}
    assert {f"{CLUSTER}/{each.chain}/{each.sequence}" for each in found} == set(chosen)
    assert kept == set(ledger.written.values()), "the store keeps the original"
    times.sort()
    spread = f"median {times[len(times) // 2]:.2f} s, max {times[-1]:.2f} s"
    show(capsys, f"{FORGED} of {len(kept)} records forged: flagged after {spread}")
    assert times[-1] <= 5
