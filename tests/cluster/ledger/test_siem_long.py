# SPDX-License-Identifier: Apache-2.0
"""The long form of test_siem.py and test_relay.py, and figures (`make test-relay`): many records,
relays that are killed time and again, a database and a SIEM that are killed and cut meanwhile. The
ledger is made by hand; of cabgate the cluster has the kind alone."""

import contextlib
import copy
import itertools
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

import pytest

from cabgate.ledger.chain import CHAIN_FIELDS, Head, append, record_object
from cabgate.ledger.pruning import export_line
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.chart import NAMESPACE
from cabgate_devcluster.installed.installation import ROOT
from cabgate_store.errors import StoreError
from cabgate_store.opening import open_to_read
from support.postgres import running
from support.siem import CUT, LOST, TOKEN, Authority, Background, Siem, check_order, read_id
from support.stores import prepared
from unit.core.ledger.histories import STORY

pytestmark = pytest.mark.long

RECORDS = int(os.environ.get("RELAY_RECORDS", "10000"))
KILLS = int(os.environ.get("RELAY_KILLS", "100"))
CHAINS = 50
RELAY = Path(sys.executable).with_name("cabgate-relay")
ROLES = ROOT / "examples" / "relay" / "roles.yaml"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as made:
        kinds = ROOT / "crds" / "cabdecisions.cabgate.dev.yaml"
        made.kubectl("apply", "-f", str(kinds))
        made.kubectl("wait", "--for=condition=Established", "crd", "--all")
        made.kubectl("create", "namespace", NAMESPACE)
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
        body = {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "CABDecision",
            **record_object(record),
        }
        self._cluster.api.call("POST", "/apis/cabgate.dev/v1alpha1/cabdecisions", body)
        name = f"prod/{chain}/{record.spec.sequence}"
        self.at[name] = time.monotonic()
        self.written[name] = export_line(body)

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


class Relays:
    """Relays with one sink and, if it is given, a store; one at a time."""

    def __init__(self, cluster, folder, siem, sink, store=""):
        self._cluster, self._store = cluster, store
        (folder / "token").write_text(TOKEN)
        files = {"credentialFile": f"{folder}/token", "caFile": f"{folder}/ca.crt"}
        sinks = [{"name": sink, "type": "https", "url": siem.siem.url, **files}]
        self._file = folder / "sinks.yaml"
        self._file.write_text(json.dumps({"sinks": sinks}))

    def start(self):
        """Start one."""
        argv = [RELAY, "--cluster", "prod", "--health-port", "0", "--sinks", self._file]
        account = self._cluster.service_account(NAMESPACE, "cabgate-relay")
        env = {"KUBECONFIG": str(account)} | ({"CABGATE_STORE": self._store} if self._store else {})
        return self._cluster.spawn(f"relay-long-{next(_numbers)}", argv, env=env)

    def kill(self, process):
        """Kill one; the next need not wait until its Lease ends."""
        process.kill()
        patch = json.dumps({"spec": {"holderIdentity": ""}})
        lease = ("lease", "cabgate-relay", "-n", NAMESPACE)
        self._cluster.kubectl("patch", *lease, "--type", "merge", "-p", patch, check=False)


def stored(place):
    """How many records a store has, and their lines; None while it does not answer."""
    try:
        store = open_to_read(place.read)
    except StoreError:
        return None
    with contextlib.closing(store), contextlib.suppress(StoreError):
        assert store.anomalies("prod") == []
        return {export_line(each) for each in store.records("prod")}
    return None


def test_kills_and_cuts_lose_nothing(cluster, ledger, siem, tmp_path, capsys):
    chance = random.Random(7)  # noqa: S311 - no secret
    with running() as server:
        place = prepared(server)
        relays = Relays(cluster, tmp_path, siem, "campaign", place.append)
        writer = threading.Thread(target=ledger.fill, args=(RECORDS, "campaign"), daemon=True)
        began = time.monotonic()
        writer.start()
        away = {"database": 0, "siem": 0, "cut": 0}
        for number in range(KILLS):
            process = relays.start()
            _delivers(ledger, siem)
            faults = chance.choices([CUT, LOST, 503, (429, "0")], k=chance.randint(0, 2))
            siem.siem.faults += faults
            away["cut"] += len(faults)
            if number % 2 == 0:
                server.kill()
                away["database"] += 1
            else:
                siem.stop()
                away["siem"] += 1
            time.sleep(chance.uniform(0, 0.5))
            relays.kill(process)
            if number % 2 == 0:
                server.start()
            else:
                siem.start()
        writer.join()
        relays.start()
        wait_until(lambda: _done(ledger, siem), "the SIEM has every id", timeout=600)
        wanted = set(ledger.written.values())
        wait_until(lambda: stored(place) == wanted, "the store equals the ledger", timeout=600)
        seconds = time.monotonic() - began
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


def _delivers(ledger, siem):
    """Wait until something arrives, if there is anything left."""
    before = len(siem.siem.ids)
    wait_until(lambda: len(siem.siem.ids) > before or _done(ledger, siem), "it delivers")


def _done(ledger, siem):
    return len(set(siem.siem.ids)) >= len(ledger.written) >= RECORDS


def test_a_backlog_goes_out_at_500_a_second_in_100_mb(cluster, ledger, siem, tmp_path, capsys):
    if len(ledger.written) < RECORDS:
        ledger.fill(RECORDS - len(ledger.written), "backlog")
    siem.siem.check = read_id
    process = Relays(cluster, tmp_path, siem, "fast").start()
    count = len(ledger.written)
    wait_until(lambda: len(siem.siem.ids) >= count, "all are there", timeout=600, interval=0.2)
    rate = count / (siem.siem.at[-1] - siem.siem.at[0])
    memory = peak_mib(process)
    process.stop()
    check_order(siem.siem.ids)
    show(capsys, f"{count} records: {rate:.0f} a second, {memory:.0f} MiB at most")
    assert rate >= 500
    assert memory < 100


def peak_mib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def test_the_lag_at_50_a_second(cluster, ledger, siem, tmp_path, capsys):
    siem.siem.check = read_id
    process = Relays(cluster, tmp_path, siem, "lag").start()
    before = len(ledger.written)
    wait_until(lambda: len(siem.siem.ids) >= before, "what was there is there", timeout=600)
    ledger.fill(50 * 60, "lag", per_second=50)
    wait_until(lambda: len(siem.siem.ids) >= len(ledger.written), "all are there")
    process.stop()
    came = dict(zip(siem.siem.ids, siem.siem.at, strict=True))
    lags = sorted(came[name] - at for name, at in ledger.at.items() if "/lag-" in name)
    p50, p99 = (lags[int(len(lags) * share)] for share in (0.5, 0.99))
    figures = f"p50 {p50:.2f} s, p99 {p99:.2f} s, max {lags[-1]:.2f} s"
    show(capsys, f"{len(lags)} records at 50 a second: lag {figures}")
    assert p99 <= 2
