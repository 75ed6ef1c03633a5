# SPDX-License-Identifier: Apache-2.0
"""Two operators on a real API server: one leads, and what happens when it ends, stops or hangs."""

import json
import time

import pytest

from cabgate_devcluster import DevCluster, wait_until
from support.gate import install
from support.objects import GOOD, MIDDLING, intent
from support.operators import ENTRY_ARGV, Replica, leader_of
from support.reviews import decisions

TAKEOVER_SECONDS = 15


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    made = install(cluster)
    made.installation.operator.stop()
    return made


@pytest.fixture(scope="module")
def replicas(gate):
    with Replica(gate, "replica-a") as first, Replica(gate, "replica-b") as second:
        yield first, second


@pytest.fixture
def pair(replicas):
    """Both run, and one leads."""
    for each in replicas:
        if not each.process.running:
            each.start()
    leader_of(replicas)
    return replicas


def roles(pair):
    """The one that leads and the one that waits."""
    leader, _ = leader_of(pair)
    return leader, next(each for each in pair if each is not leader)


def lease(gate):
    return gate.get("lease", "cabgate-operator", "cabgate-system")["spec"]


def test_one_leads_and_the_other_touches_nothing_but_the_lease(gate, pair, namespace):
    leader, other = roles(pair)
    gate.open(namespace, GOOD, "AutoApproved")
    assert lease(gate)["holderIdentity"].partition("_")[2] in leader.process.log.read_text()
    assert leader.proxy.writes()
    paths = {call.path for call in other.proxy.calls[-3:]}
    assert all(path.endswith("/leases/cabgate-operator") for path in paths)
    assert other.proxy.writes() == []
    assert not other.leads
    for each in pair:
        assert each.get("/healthz") == (200, "ok\n")
        assert each.get("/readyz") == (200, "ok\n")


def test_killed_it_is_replaced_in_time_and_nothing_is_done_twice(gate, pair, namespace):
    leader, other = roles(pair)
    first = gate.open(namespace, MIDDLING, "Submitted")
    begun = time.monotonic()
    leader.process.kill()
    gate.apply("requester", intent(namespace, name="late"))
    leader_of([other])
    assert time.monotonic() - begun < TAKEOVER_SECONDS
    late = gate.request_of(namespace, "late", "AutoApproved")["metadata"]["name"]
    assert len(decisions(gate, late, namespace)) == 1
    gate.review("reviewer", "cabrequest", first, namespace, "Approved")
    gate.wait_state("deploymentintent", "web", namespace, "Approved")


def test_stopped_in_order_it_is_replaced_at_once(gate, pair, namespace):
    leader, other = roles(pair)
    leader.process.stop()
    ended = time.monotonic()
    assert leader.process.returncode == 0
    leader_of([other])
    # Not by the end of the Lease, which would be 10 s; generous, for a busy machine.
    assert time.monotonic() - ended < 5
    gate.open(namespace, GOOD, "AutoApproved")


def test_stopped_past_its_lease_and_resumed_it_writes_nothing(gate, pair, namespace):
    leader, other = roles(pair)
    for number in range(5):
        gate.apply("requester", intent(namespace, name=f"before-{number}"))
    leader.process.pause()  # in the middle of its work
    begun = time.monotonic()
    leader_of([other])
    assert time.monotonic() - begun < TAKEOVER_SECONDS
    for number in range(5):
        gate.request_of(namespace, f"before-{number}", "AutoApproved")
    resumed = time.monotonic()
    leader.process.resume()
    gate.apply("requester", intent(namespace, name="after"))
    gate.request_of(namespace, "after", "AutoApproved")
    wait_until(lambda: leader.get("/readyz")[0] == 200, 30, "it waits")
    assert other.leads
    assert not leader.leads
    assert leader.proxy.writes(since=resumed) == []
    for request in gate.items("cabrequest", namespace):
        assert len(request["status"]["decisions"]) == 1


def test_a_leader_cut_off_stops_before_the_other_begins(gate, pair, namespace):
    """Both lines pass proxies, so their clock says who wrote when."""
    leader, other = roles(pair)
    leader.proxy.refuse = lambda call: (503, "Unavailable")
    wait_until(lambda: not leader.leads, 30, "it leads no more")
    status, text = leader.get("/readyz")
    assert status == 503 or "ok" in text
    leader_of([other])
    gate.open(namespace, GOOD, "AutoApproved")
    wait_until(lambda: leader.get("/readyz")[0] == 503, 30, "it says that it cannot work")
    assert "503 Unavailable" in leader.get("/readyz")[1]
    assert leader.get("/healthz") == (200, "ok\n")
    healed = time.monotonic()
    leader.proxy.heal()
    wait_until(lambda: leader.get("/readyz")[0] == 200, 30, "it can work again")
    assert leader.proxy.writes(since=healed) == []
    assert other.leads


def test_clocks_two_minutes_apart_do_no_harm(gate, replicas, namespace):
    for each in replicas:
        if each.process.running:
            each.process.stop()
    with (
        Replica(gate, "slow", "--clock-shift", "-60", argv=ENTRY_ARGV) as first,
        Replica(gate, "fast", "--clock-shift", "60", argv=ENTRY_ARGV) as second,
    ):
        leader, other = roles((first, second))
        gate.open(namespace, GOOD, "AutoApproved")
        end = time.monotonic() + 12  # longer than a Lease
        while time.monotonic() < end:
            assert leader.leads
            assert not other.leads
            time.sleep(0.2)
        begun = time.monotonic()
        leader.process.kill()
        leader_of([other])
        assert time.monotonic() - begun < TAKEOVER_SECONDS
        name = gate.open(namespace, MIDDLING, "Submitted", name="later")
        gate.review("reviewer", "cabrequest", name, namespace, "Approved")
        gate.wait_state("deploymentintent", "later", namespace, "Approved")


def test_without_the_right_to_elect_nobody_leads_and_nobody_ends(gate, cluster, pair, namespace):
    leader, other = roles(pair)
    role = json.loads(
        cluster.kubectl(
            *("get", "role", "cabgate-operator", "-n", "cabgate-system", "-o", "json")
        ).stdout
    )
    rules = [rule for rule in role["rules"] if "leases" not in rule["resources"]]
    try:
        gate.patch("admin", "role", "cabgate-operator", "cabgate-system", {"rules": rules})
        wait_until(lambda: not leader.leads and not other.leads, 30, "nobody leads")
        for each in pair:
            wait_until(lambda e=each: e.get("/readyz")[0] == 503, 30, "not ready")
            assert "403 Forbidden" in each.get("/readyz")[1]
            assert each.get("/healthz") == (200, "ok\n")
    finally:
        gate.patch("admin", "role", "cabgate-operator", "cabgate-system", {"rules": role["rules"]})
    leader_of(pair)
    gate.open(namespace, GOOD, "AutoApproved")


def test_with_the_api_server_away_nobody_leads_and_nobody_ends(gate, cluster, pair, namespace):
    leader, _ = roles(pair)
    cluster.stop("kube-apiserver")
    try:
        wait_until(lambda: not leader.leads, 30, "nobody leads")
        for each in pair:
            wait_until(lambda e=each: e.get("/readyz")[0] == 503, 30, "not ready")
            assert each.get("/healthz") == (200, "ok\n")
    finally:
        cluster.start("kube-apiserver")
    leader_of(pair)
    gate.open(namespace, GOOD, "AutoApproved")


def test_a_lease_that_is_deleted_is_made_again(gate, pair, namespace):
    roles(pair)
    gate.kubectl("admin", "delete", "lease", "cabgate-operator", "-n", "cabgate-system")
    wait_until(lambda: lease(gate).get("holderIdentity"), 40, "somebody holds it")
    leader_of(pair)
    gate.open(namespace, GOOD, "AutoApproved")
