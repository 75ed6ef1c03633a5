# SPDX-License-Identifier: Apache-2.0
"""Each alert about the relay fires from what real relays show under a real fault, as those of
test_alerts.py do: a real API server, a real PostgreSQL, the chart's own rights. The ledger is made
by hand, and no policy of cabgate's is there that would refuse what is done to it."""

import copy
import json
from functools import partial

import pytest

from cabgate.ledger.pruning import export_line
from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.chart import NAMESPACE, manifests
from support.postgres import running
from support.prometheus import Course, Proofs, Rules, scrape
from support.relays import ledger_alone, sinks_file, start_relay, to_siem
from support.siem import Authority, Background, Siem
from support.stores import prepared
from unit.core.ledger.histories import STORY

RUNBOOKS = "https://git.example.com/alerts.md"
SINK = {"name": "siem", "type": "https", "url": "https://siem.example.com/"}
VALUES = {
    "relay": {
        "enabled": True,
        "cluster": "prod",
        "store": {"secret": "event-store"},
        "siem": {"sinks": [SINK]},
    },
    "monitoring": {"prometheusRule": {"enabled": True, "runbooks": RUNBOOKS}},
}
RECORDS = [json.loads(export_line(each)) for each in STORY.records]
LAG = "cabgate_relay_lag_seconds"
STORED = "cabgate_relay_records_total"
proves = Proofs()


@pytest.fixture(scope="module")
def cluster():
    with ledger_alone() as running_cluster:
        wanted = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
        for each in manifests(VALUES):
            named = each["metadata"]["name"] in ("cabgate-relay", "cabgate-relay-cursors")
            if each["kind"] in (*wanted, "Lease", "ConfigMap") and named:
                running_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(each))
        yield running_cluster


@pytest.fixture(scope="module")
def server():
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    (found,) = (each["spec"] for each in manifests(VALUES) if each["kind"] == "PrometheusRule")
    (group,) = found["groups"]
    group["rules"] = [each for each in group["rules"] if each["alert"].startswith("CabgateRelay")]
    return Rules(found, tmp_path_factory.mktemp("rules"))


class Relays:
    """Two replicas, which append what is written here to one store, and send it to the sinks of a
    file, if one is given."""

    def __init__(self, cluster, place, sinks=None):
        self._cluster, self._place, self._sinks = cluster, place, sinks
        self._ports = {name: cluster.free_port() for name in ("one", "two")}
        self._processes = {name: self._start(name) for name in self._ports}
        wait_until(lambda: sum(self.scrape().of("cabgate_relay_leader")) == 1, "one leads")

    def _start(self, name):
        options = ["--sweep-seconds", "1", *(["--sinks", self._sinks] if self._sinks else [])]
        account = self._cluster.service_account(NAMESPACE, "cabgate-relay")
        store, port = self._place.append, self._ports[name]
        return start_relay(self._cluster, account, *options, store=store, port=port)

    def scrape(self):
        """Ask each that runs."""
        return scrape(
            {
                f"cabgate-relay-{name}": f"http://127.0.0.1:{port}"
                for name, port in self._ports.items()
                if self._processes[name].running
            }
        )

    def write(self, *records):
        """Write records into the cluster."""
        for each in records:
            self._cluster.kubectl("create", "-f", "-", stdin=json.dumps(each))

    def rewrite(self, record):
        """Write another record in the place of one."""
        self._cluster.kubectl("delete", "cabdecision", record["metadata"]["name"])
        self.write(record)

    def when(self, holds, what):
        """A scrape of which something holds."""

        def found():
            scraped = self.scrape()
            return scraped if scraped.of(LAG) and holds(scraped) else None

        return wait_until(found, what)

    def stored(self, count):
        """A scrape after so many records were stored since the replicas began."""
        return self.when(lambda each: sum(each.of(STORED)) == count, f"{count} records are stored")

    def settled(self, since):
        """A scrape after the store was found to have everything, later than another scrape: by so
        much that what the lag grew since does not look as if it had grown all the time."""
        return self.when(
            lambda each: max(each.of(LAG)) < (each.at - since.at) / 2, "the store has everything"
        )

    def leader(self):
        """The name of who leads."""
        running = [n for n in self._ports if self._processes[n].running]

        def found():
            leads = partial(self.scrape().of, "cabgate_relay_leader")
            return next((n for n in running if leads(pod=f"cabgate-relay-{n}") == [1.0]), None)

        return wait_until(found, "one of them leads")

    def stored_by(self, name):
        """How many records one of them has stored since it began."""
        return sum(self.scrape().of(STORED, pod=f"cabgate-relay-{name}"))

    def stop(self, *names):
        """Stop some of them, or all."""
        for name in names or self._ports:
            self._processes[name].stop()


@pytest.fixture
def relays(cluster, server):
    made = Relays(cluster, prepared(server))
    yield made
    made.stop()
    cluster.kubectl("delete", "cabdecisions", "--all")


def test_promtool_finds_nothing_to_complain_of(rules):
    assert f"SUCCESS: {len(rules.alerts)} rules found" in rules.check()


def test_each_alert_is_proved_below(rules):
    assert set(rules.alerts) == proves.alerts


def test_none_fires_while_all_is_well_or_another_one_takes_over(relays, rules):
    relays.write(*RECORDS[:2])
    before = relays.settled(relays.stored(2))
    relays.write(RECORDS[2])
    first = relays.settled(relays.stored(3))
    relays.write(RECORDS[3])
    last = relays.settled(relays.stored(4))
    rules.check_course(Course(before, first, last), dict.fromkeys(range(0, 181, 5), ()))

    leader = relays.leader()
    others = sum(relays.scrape().of(STORED)) - relays.stored_by(leader)
    relays.stop(leader)
    relays.write(RECORDS[4])
    first = relays.settled(
        relays.when(lambda each: sum(each.of(STORED)) == others + 1, "the other leads")
    )
    last = relays.settled(first)
    rules.check_course(Course(before, first, last), dict.fromkeys(range(0, 91, 5), ()))


@proves("CabgateRelayNoLeader")
def test_no_relay_runs(relays, rules):
    before = relays.scrape()
    relays.stop()
    gone = relays.scrape()
    rules.check_course(Course(before, gone, gone), {4: (), 6: ("CabgateRelayNoLeader",)})


@proves("CabgateRelayBehind")
def test_the_database_is_away(relays, rules, server):
    relays.write(RECORDS[0])
    before = relays.settled(relays.stored(1))
    server.kill()
    try:
        relays.write(RECORDS[1])
        first = relays.when(
            lambda each: sum(each.of("cabgate_relay_store_failures_total")) > 1, "it fails"
        )
        last = relays.when(lambda each: each.at - first.at > 4, "it goes on failing")
    finally:
        server.start()
    course = Course(before, first, last)
    rules.check_course(course, {4: (), 12: ("CabgateRelayBehind",), 90: ("CabgateRelayBehind",)})
    relays.settled(relays.stored(2))


@proves("CabgateRelayStuck")
def test_a_record_is_missing(relays, rules):
    stuck = "cabgate_relay_stuck_chains"
    relays.write(*RECORDS[:2])
    before = relays.settled(relays.stored(2))
    relays.write(RECORDS[3])
    first = relays.when(lambda each: sum(each.of(stuck)) == 1, "the chain stops")
    last = relays.when(lambda each: each.at - first.at > 2, "and stays so")
    course = Course(before, first, last)
    rules.check_course(course, {4: (), 6: ("CabgateRelayStuck",), 90: ("CabgateRelayStuck",)})
    relays.write(RECORDS[2])
    healed = relays.settled(relays.stored(4))
    assert sum(healed.of(stuck)) == 0


@proves("CabgateRelayAnomaly")
def test_a_record_is_replaced_and_the_relay_restarted_before_anybody_asks_it(relays, rules):
    last_anomaly = "cabgate_relay_last_anomaly_timestamp_seconds"
    relays.write(*RECORDS[:3])
    before = relays.settled(relays.stored(3))
    assert max(before.of(last_anomaly)) == 0
    forged = copy.deepcopy(RECORDS[1])
    forged["spec"]["rationale"] = "as somebody would like it"
    relays.rewrite(forged)
    relays.when(lambda each: max(each.of(last_anomaly)) > 0, "it is found")
    leader = relays.leader()
    relays.stop(leader)
    first = relays.when(lambda each: max(each.of(last_anomaly)) > 0, "the other one knows it")
    assert sum(first.of("cabgate_relay_anomalies_total")) == 0, "which has not found it itself"
    last = relays.settled(first)
    course = Course(before, first, last)
    alert = ("CabgateRelayAnomaly",)
    rules.check_course(course, {1: alert, 60: alert, 24 * 60 + 1: ()})


@pytest.fixture
def siem(tmp_path):
    made = Background(Siem(Authority(tmp_path)))
    made.start()
    yield made
    made.end()


@pytest.fixture
def sending(cluster, server, siem, tmp_path):
    """Relays that send to a SIEM too."""
    sinks = sinks_file(tmp_path, to_siem(siem.siem, tmp_path))
    made = Relays(cluster, prepared(server), sinks)
    yield made
    made.stop()
    cluster.kubectl("delete", "cabdecisions", "--all")
    cluster.kubectl(
        *("patch", "configmap", "cabgate-relay-cursors", "-n", NAMESPACE),
        *("--type", "merge", "-p", '{"data": null}'),
    )


SENT = "cabgate_relay_sink_events_total"
BEHIND = "cabgate_relay_sink_lag_seconds"
STOPPED = "cabgate_relay_sink_stuck_chains"


@proves("CabgateRelaySinkBehind")
def test_the_siem_is_away(sending, rules, siem):
    sending.write(RECORDS[0])
    before = sending.when(lambda each: sum(each.of(SENT)) == 1, "one is sent")
    siem.stop()
    sending.write(RECORDS[1])
    failed = "cabgate_relay_sink_failures_total"
    first = sending.when(lambda each: sum(each.of(failed)) > 0, "it fails")
    last = sending.when(lambda each: each.at - first.at > 4, "it goes on failing")
    course = Course(before, first, last)
    alert = ("CabgateRelaySinkBehind",)
    rules.check_course(course, {4: (), 12: alert, 90: alert}, sink="siem")
    siem.start()
    sending.when(lambda each: sum(each.of(SENT)) == 2, "what waited is sent")
    assert siem.siem.ids == ["prod/shop/1", "prod/shop/2"]


@proves("CabgateRelaySinkStuck")
def test_the_siem_refuses_a_record(sending, rules, siem):
    sending.write(RECORDS[0])
    before = sending.when(lambda each: sum(each.of(SENT)) == 1, "one is sent")
    siem.siem.refused = {"shop": 422}
    sending.write(RECORDS[1])
    first = sending.when(lambda each: sum(each.of(STOPPED)) == 1, "the chain stops")
    last = sending.when(lambda each: each.at - first.at > 2, "and stays so")
    course = Course(before, first, last)
    alert = ("CabgateRelaySinkStuck",)
    rules.check_course(course, {4: (), 6: alert, 90: alert}, sink="siem")
    assert sum(last.of("cabgate_relay_stuck_chains")) == 0, "the store goes on"
