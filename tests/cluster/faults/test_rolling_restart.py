# SPDX-License-Identifier: Apache-2.0
"""A rolling restart of everything: two operators and two webhooks behind a balancer, each ended in
order and started again, while people declare, review and roll out."""

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import GOOD, workload
from support.load import Load
from support.replicas import running
from support.work import Work


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running_cluster:
        yield running_cluster


@pytest.fixture(scope="module")
def gate(cluster):
    with running(cluster, operators=2) as installed:
        yield installed


def test_nothing_fails_and_every_intent_is_decided(gate, make_namespace, record_testsuite_property):
    installation, quiet, busy = gate.installation, make_namespace(), make_namespace()
    gate.open(quiet, GOOD, "AutoApproved")
    led = set()
    with (
        Load(gate.user("requester"), workload(quiet)) as load,
        Work(gate, busy) as work,
    ):
        for _ in range(2):
            for port in installation.managers:
                assert installation.stop_manager(port) == 0
                work.goes_on()
                led.add(wait_until(installation.leading, timeout=60.0, what="one leads"))
                installation.start_manager(port)
            for backend in installation.backends:
                assert installation.stop_replica(backend) == 0
                work.goes_on()
                installation.start_replica(backend)
        work.goes_on()
    assert load.failures == []
    assert led == set(installation.managers), "each led while the other one was away"
    work.lost_nothing()
    record_testsuite_property("rolling_restart_slowest_request_seconds", f"{work.slowest:.1f}")
    record_testsuite_property("rolling_restart_slowest_admission_seconds", f"{load.slowest:.1f}")
    record_testsuite_property("rolling_restart_admissions", str(load.count))
    record_testsuite_property("rolling_restart_rollouts", str(work.done))
