# SPDX-License-Identifier: Apache-2.0
"""A tenant whose namespace is as bad as it may be, on the real API server, as `make bench` fills
it: what another one's rollout reads, the Lease, and memory. No time is looked at but the Lease's
own."""

import json
import re
import threading
import time

import httpx
import pytest

from attack.attacker import Attacker
from cabgate_bench.load import loadgen
from cabgate_bench.load.world import GATED, World
from cabgate_bench.measure import heaviest, tenants, through
from cabgate_bench.results.report import _heaviest, _tenants
from cabgate_bench.results.targets import rows
from cabgate_devcluster import DevCluster, wait_until
from cabgate_kube.election import RENEW_DEADLINE
from support.gate import Gate
from support.memory import limit_of, peak

LEASE = "/apis/coordination.k8s.io/v1/namespaces/cabgate-system/leases/cabgate-operator"
BURST_SECONDS = 6.0
ROLLOUTS = 5

LATE = RENEW_DEADLINE
"""Seconds that a look at the Lease takes where all of the machine stands still for as long as an
operator may be without it."""


@pytest.fixture(scope="module")
def world():
    cluster = DevCluster()
    cluster.forking = False  # the memory of a process that was forked is partly another's
    with cluster:
        made = World(cluster, loadgen.build())
        through.prepare(made)
        yield made


class Leases:
    """The states of the operator's Lease while the block is run."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen = []
        self.late = False
        """Whether a look took as long: not the operator alone is late then."""

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _look(self):
        while not self._stop.wait(0.5):
            begun = time.monotonic()
            found = self._cluster.kubectl("get", "--raw", LEASE, check=False).stdout
            self.late = self.late or time.monotonic() - begun > LATE
            lease = json.loads(found)["spec"] if found else None
            if lease and lease not in self.seen[-1:]:
                self.seen.append(lease)


@pytest.fixture(scope="module")
def measured(world):
    """What `make bench` says of one tenant at its worst, and the Leases seen meanwhile: it fills
    the namespace."""
    with Leases(world.cluster) as leases:
        heavy = heaviest.measure(world, calls=1, rounds=1)
        return {
            "heaviest": heavy,
            "tenants": tenants.measure(world, seconds=0.5, rounds=1),
            "leases": leases,
        }


@pytest.fixture(scope="module")
def filled(world, measured):
    """The Leases seen while the namespace was filled and attacked: the short form of
    `make attack`."""
    with Leases(world.cluster) as leases:
        attacker = Attacker(world, Gate(world.cluster, world.installation))
        attacker.prepare(measured["tenants"]["objects"])
        attack = attacker.begin(BURST_SECONDS)
        count = len(leases.seen)
        wait_until(lambda: len(leases.seen) > count + 1, "the Lease is renewed twice")
        for each in attack:
            each.join()
    assert all(attacker.answers().values()), "each of what the attacker tries is sent"
    measured["leases"].late |= leases.late
    return measured["leases"].seen + leases.seen


def test_the_benchmark_of_it_can_be_read(measured):
    found = measured["tenants"]
    assert all(found["requests"].values())
    assert found["objects"]["requests"] > 0
    assert found["objects"]["exceptions"] > 0
    assert _heaviest(measured).startswith("## The heaviest object\n")
    assert _tenants(measured).startswith("## One tenant at its worst\n")
    measured_targets = {row["target"] for row in rows(measured) if row["measured"] is not None}
    assert measured_targets == {
        "another tenant's rollout, added p99",
        "heaviest object, added by our policies",
    }


def reads(world):
    """Reads of the webhook so far, by resource."""
    url = f"http://127.0.0.1:{world.installation.webhook_health_port}/metrics"
    pattern = r'^cabgate_live_read_seconds_count\{resource="(\w+)"\} (\d+)'
    found = re.findall(pattern, httpx.get(url, timeout=30.0).text, re.MULTILINE)
    return {resource: int(count) for resource, count in found}


def asked_by(world, namespace, name):
    """Reads that a rollout takes the webhook, and whether it is admitted."""
    before = reads(world)
    body = json.dumps(through.deployment(namespace, name))
    found = world.cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=body, check=False)
    after = reads(world)
    counts = {name: after[name] - before.get(name, 0) for name in after}
    return {name: count for name, count in counts.items() if count}, found


def test_the_lease_is_renewed_whatever_the_queue_does(filled, measured):
    """How late depends on the machine; a Lease that ran out would have been taken anew. Where all
    of the machine stood still for so long that is nobody's fault, and rightly taken."""
    first = filled[0]
    assert len({each["renewTime"] for each in filled}) > 1
    assert {each["holderIdentity"] for each in filled} == {first["holderIdentity"]}
    transitions = {each.get("leaseTransitions") for each in filled}
    assert transitions == {first.get("leaseTransitions")} or measured["leases"].late


@pytest.mark.parametrize("part", ["operator", "webhook"])
def test_half_of_the_memory_limit_is_never_taken(world, filled, part):
    """However busy the machine is: on one that has no time left more is under way at once."""
    assert peak(world, part) < limit_of(part) / 2


def test_another_tenants_rollout_reads_as_little_as_ever(world, filled):
    """And one that is denied there at most four times. The operator is stopped: its writes are
    reviewed too."""
    world.installation.operator.stop()
    for _ in range(ROLLOUTS):
        counts, answer = asked_by(world, GATED, "created")
        assert answer.returncode == 0, answer.stderr
        # On a busy machine the exceptions are asked for meanwhile, and not waited for.
        assert counts["cabrequests"] == 1
        assert counts.keys() <= {"cabrequests", "cabexceptions"}
    counts, answer = asked_by(world, tenants.NAMESPACE, "web-0")
    assert "ExceptionRequired" in answer.stderr or "ExceptionPending" in answer.stderr
    assert sum(counts.values()) <= 4
