# SPDX-License-Identifier: Apache-2.0
"""/healthz of the operator tells the truth: each fault is a real one, between it and the
API server.

The operator counts seconds here where it counts minutes as it is installed.
"""

import re
import time

import pytest

from cabgate_devcluster import DevCluster, wait_until
from support.gate import install, paused
from support.objects import GOOD, intent
from support.operators import ENTRY_ARGV, Replica, leader_of

OPTIONS = ("--impatient", "10", "--sweep-seconds", "2")
IMPATIENT_SECONDS = 10


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
def replica(gate):
    with Replica(gate, "honest", *OPTIONS, argv=ENTRY_ARGV) as made:
        leader_of([made])
        wait_until(lambda: made.get("/healthz")[0] == 200, 30, "it is well")
        yield made


@pytest.fixture(autouse=True)
def healed(replica):
    """Each test leaves it well."""
    yield
    replica.proxy.heal()
    wait_until(lambda: replica.get("/healthz") == (200, "ok\n"), 90, "it is well again")
    leader_of([replica])


def test_a_watch_that_died(gate, replica, namespace):
    replica.proxy.refuse = lambda call: (
        (403, "Forbidden") if call.watch and call.path.endswith("/cabexceptions") else None
    )
    assert replica.proxy.cut_watches() >= 5
    text = replica.unhealthy(60)
    assert "not ok: watch: cabexceptions is not watched, for" in text
    assert replica.get("/readyz")[0] == 503
    replica.proxy.heal()
    wait_until(lambda: replica.get("/healthz") == (200, "ok\n"), 90, "it mended that itself")
    assert "kopf ended: RuntimeError" in replica.process.log.read_text()
    gate.open(namespace, GOOD, "AutoApproved")


@pytest.fixture
def seldom(gate, replica):
    """A replica that sweeps once: what it sees later its watches bring."""
    replica.process.stop()
    try:
        with Replica(gate, "seldom", *OPTIONS[:2], argv=ENTRY_ARGV) as made:
            leader_of([made])
            wait_until(lambda: made.get("/readyz")[0] == 200, 30, "it has swept")
            wait_until(made.proxy.all_watched, 30, "it watches")
            yield made
    finally:
        replica.start()


def test_watches_that_go_silent_are_asked_for_anew(gate, seldom, namespace):
    gate.open(namespace, GOOD, "AutoApproved", name="before")
    silent = time.monotonic()
    # The connections stay open, and bring nothing; new ones would.
    seldom.proxy.hang = lambda call: call.watch and call.at < silent
    swept = seldom.metric("cabgate_last_sweep_timestamp_seconds")
    gate.apply("requester", intent(namespace, name="missed"))
    gate.request_of(namespace, "missed", "AutoApproved", timeout=4 * IMPATIENT_SECONDS)
    assert seldom.metric("cabgate_last_sweep_timestamp_seconds") == swept
    assert seldom.get("/healthz") == (200, "ok\n")


def test_watches_that_stay_silent_are_told_of(gate, seldom):
    assert seldom.get("/healthz") == (200, "ok\n")
    begun = time.monotonic()
    seldom.proxy.hang = lambda call: call.watch
    assert re.match(r"not ok: watch: \w+ is not watched, for", seldom.unhealthy(60))
    # Silent for as long as it may be, then down for as long as it may be; but it may just have been
    # about to ask for one of them anew.
    assert time.monotonic() - begun > IMPATIENT_SECONDS / 2
    seldom.proxy.heal()
    wait_until(lambda: seldom.get("/healthz") == (200, "ok\n"), 90, "it mended that itself")


def test_a_worker_that_does_not_go_on(gate, replica, namespace):
    gate.apply("requester", intent(namespace, name="well"))
    gate.request_of(namespace, "well", "AutoApproved")
    path = f"/namespaces/{namespace}/deploymentintents/stuck"
    replica.proxy.hang = lambda call: call.method == "GET" and call.path.endswith(path)
    gate.apply("requester", intent(namespace, name="stuck"))
    assert f"queue: a worker has been at intent {namespace}/stuck for" in replica.unhealthy(60)
    # The others go on.
    gate.apply("requester", intent(namespace, name="other"))
    gate.request_of(namespace, "other", "AutoApproved")


def test_a_sweep_that_is_late(gate, replica):
    replica.proxy.refuse = lambda call: (
        (500, "InternalError")
        if call.method == "GET" and not call.watch and call.path.endswith("/v1alpha1/cabrequests")
        else None
    )
    assert "sweep: the last one was" in replica.unhealthy(60)


def test_an_api_server_that_is_away_is_nothing_that_a_restart_mends(gate, replica):
    gate.cluster.stop("kube-apiserver")
    try:
        wait_until(lambda: "election: " in replica.get("/readyz")[1], 60, "it says why")
        assert replica.get("/healthz") == (200, "ok\n")
    finally:
        gate.cluster.start("kube-apiserver")
    wait_until(lambda: replica.get("/readyz")[0] == 200, 60, "it is ready again")


def test_a_process_that_stands_still_does_not_answer(replica):
    with paused(replica.process):
        assert replica.get("/healthz")[0] == 0


def test_what_it_shows_of_itself(gate, replica, namespace):
    gate.open(namespace, GOOD, "AutoApproved")
    text = wait_until(
        lambda: (
            found
            if 'cabgate_request_decision_seconds_count{state="AutoApproved"}'
            in (found := replica.get("/metrics")[1])
            else None
        ),
        30,
        "the decision is counted",
    )
    for shown in (
        "cabgate_leader 1.0",
        "cabgate_queue_depth ",
        'cabgate_reconciles_total{kind="intent",result="ok"}',
        'cabgate_reconcile_seconds_count{kind="intent"}',
        'cabgate_pending_requests{age="under_1h"} 0.0',
        "cabgate_active_exceptions 0.0",
        'cabgate_api_calls_total{code="200",verb="watch"}',
        'cabgate_api_calls_total{code="201",verb="create"}',
        'cabgate_api_calls_total{code="200",verb="update"}',
        "cabgate_last_sweep_timestamp_seconds 1",
    ):
        assert f"\n{shown}" in text, shown
