# SPDX-License-Identifier: Apache-2.0
"""Two operators on a real API server: one leads, and what happens when it ends, stops or hangs."""

import json
import time

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent
from support.gate import install
from support.operators import ENTRY_ARGV, Replica, leader_of
from support.reviews import decisions

RENEWALS = 6
"""Renewals of a Lease, one each 2 s, in more time than it holds."""


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


def renewed(gate, times):
    """Return once a Lease was renewed so many times more."""
    for _ in range(times):
        last = lease(gate)["renewTime"]
        wait_until(
            lambda last=last: lease(gate)["renewTime"] != last,
            timeout=60.0,
            what="the Lease is renewed",
        )


def is_well(replica):
    """Whether it says that it lives and could do its work."""
    return replica.get("/healthz") == replica.get("/readyz") == (200, "ok\n")


def cannot_work(replica, why):
    """Wait until a replica says why it could not do its work; that nothing is wrong with it."""

    def said():
        status, text = replica.get("/readyz")
        return status == 503 and why in text

    wait_until(said, timeout=60.0, what=f"{replica.name} says that it cannot work: {why}")
    assert replica.get("/healthz") == (200, "ok\n")


def test_one_leads_and_the_other_touches_nothing_but_the_lease(gate, pair, namespace):
    leader, other = roles(pair)
    begun, looked = time.monotonic(), len(other.proxy.calls)
    gate.open(namespace, GOOD, "AutoApproved")
    wait_until(lambda: len(other.proxy.calls) >= looked + 3, timeout=60.0, what="it looks")
    name = lease(gate)["holderIdentity"].partition("_")[2]
    wait_until(
        lambda: name in leader.process.log.read_text(), timeout=60.0, what="the log names it"
    )
    assert leader.proxy.writes(since=begun)
    paths = {call.path for call in other.proxy.calls[looked:]}
    assert all(path.endswith("/leases/cabgate-operator") for path in paths)
    assert other.proxy.writes(since=begun) == []
    assert not other.leads
    for each in pair:
        wait_until(lambda e=each: is_well(e), timeout=60.0, what=f"{each.name} is well")


def test_killed_it_is_replaced_and_nothing_is_done_twice(gate, pair, namespace):
    leader, other = roles(pair)
    first = gate.open(namespace, MIDDLING, "Submitted")
    leader.process.kill()
    gate.apply("requester", intent(namespace, name="late"))
    leader_of([other])
    late = gate.request_of(namespace, "late", "AutoApproved")["metadata"]["name"]
    assert len(decisions(gate, late, namespace)) == 1
    gate.review("reviewer", "cabrequest", first, namespace, "Approved")
    gate.wait_state("deploymentintent", "web", namespace, "Approved")


def test_stopped_in_order_it_is_replaced_at_once(gate, pair, namespace):
    leader, other = roles(pair)
    held = lease(gate)["holderIdentity"]
    leader.process.stop(timeout=30)  # as a kubelet does it
    assert leader.process.returncode == 0
    # It gave the Lease back: the other one need not wait until it ends.
    assert lease(gate).get("holderIdentity") != held
    leader_of([other])
    gate.open(namespace, GOOD, "AutoApproved")


def test_stopped_past_its_lease_and_resumed_it_writes_nothing(gate, pair, namespace):
    leader, other = roles(pair)
    for number in range(5):
        gate.apply("requester", intent(namespace, name=f"before-{number}"))
    leader.process.pause()  # in the middle of its work
    leader_of([other])
    for number in range(5):
        gate.request_of(namespace, f"before-{number}", "AutoApproved")
    resumed = time.monotonic()
    leader.process.resume()
    gate.apply("requester", intent(namespace, name="after"))
    gate.request_of(namespace, "after", "AutoApproved")
    wait_until(lambda: leader.get("/readyz")[0] == 200, "it waits")
    assert other.leads
    assert not leader.leads
    # What it was about to send as it was stopped may come in now, and is a conflict.
    assert leader.proxy.stored(since=resumed) == []
    waits = time.monotonic()
    gate.apply("requester", intent(namespace, name="later"))
    gate.request_of(namespace, "later", "AutoApproved")
    assert leader.proxy.writes(since=waits) == []
    for request in gate.items("cabrequest", namespace):
        assert len(request["status"]["decisions"]) == 1


def test_a_leader_cut_off_stops_before_the_other_begins(gate, pair, namespace):
    """Both lines pass proxies, so their clock says who wrote when."""
    leader, other = roles(pair)
    leader.proxy.refuse = lambda call: (503, "Unavailable")
    wait_until(lambda: not leader.leads, timeout=60.0, what="it lost leadership")
    leader_of([other])
    gate.open(namespace, GOOD, "AutoApproved")
    cannot_work(leader, "503 Unavailable")
    healed = time.monotonic()
    leader.proxy.heal()
    wait_until(lambda: leader.get("/readyz")[0] == 200, "it can work again")
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
        before = lease(gate)
        renewed(gate, RENEWALS)
        after = lease(gate)
        for field in ("holderIdentity", "leaseTransitions"):
            assert after.get(field) == before.get(field), "the same leads all the while"
        assert leader.leads
        assert not other.leads
        leader.process.kill()
        leader_of([other])
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
        wait_until(lambda: not leader.leads and not other.leads, "nobody leads")
        for each in pair:
            cannot_work(each, "403 Forbidden")
    finally:
        gate.patch("admin", "role", "cabgate-operator", "cabgate-system", {"rules": role["rules"]})
    leader_of(pair)
    gate.open(namespace, GOOD, "AutoApproved")


def test_with_the_api_server_away_nobody_leads_and_nobody_ends(gate, cluster, pair, namespace):
    leader, _ = roles(pair)
    cluster.stop("kube-apiserver")
    try:
        wait_until(lambda: not leader.leads, "nobody leads")
        for each in pair:
            cannot_work(each, "election: ")
    finally:
        cluster.start("kube-apiserver")
    leader_of(pair)
    gate.open(namespace, GOOD, "AutoApproved")


def test_a_lease_that_is_deleted_is_made_again(gate, pair, namespace):
    roles(pair)
    gate.kubectl("admin", "delete", "lease", "cabgate-operator", "-n", "cabgate-system")
    wait_until(lambda: lease(gate).get("holderIdentity"), "somebody holds it")
    leader_of(pair)
    gate.open(namespace, GOOD, "AutoApproved")
