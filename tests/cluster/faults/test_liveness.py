# SPDX-License-Identifier: Apache-2.0
"""/healthz of the operator tells the truth: each fault is a real one, between it and the
API server.

The operator counts seconds here where it counts minutes as it is installed.
"""

import re
import time

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import GOOD, intent
from support.gate import install, paused
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
        wait_until(lambda: made.get("/healthz")[0] == 200, "it is well")
        yield made


@pytest.fixture(autouse=True)
def healed(replica):
    """Each test leaves it well."""
    yield
    replica.proxy.heal()
    wait_until(lambda: replica.get("/healthz") == (200, "ok\n"), "it is well again", timeout=90)
    leader_of([replica])


def complains(replica, *said):
    """What /healthz complains of, once all of this is in it: on a slow machine it may complain of
    something else before, and get over it."""

    def found():
        status, text = replica.get("/healthz")
        return text if status == 503 and all(each in text for each in said) else None

    return wait_until(found, timeout=90.0, what=f"{replica.name} complains of {said}")


def is_well(replica):
    """Whether it has nothing to complain of."""
    return replica.get("/healthz") == (200, "ok\n")


def test_a_watch_that_died(gate, replica, namespace):
    wait_until(replica.proxy.all_watched, timeout=60.0, what="it watches")
    replica.proxy.refuse = lambda call: (
        (403, "Forbidden") if call.watch and call.path.endswith("/cabexceptions") else None
    )
    assert replica.proxy.cut_watches() >= 5
    complains(replica, "watch: cabexceptions is not watched, for")
    wait_until(lambda: replica.get("/readyz")[0] == 503, timeout=60.0, what="it is not ready")
    # Before the fault is over: the watch may come back in the run of kopf that lives then.
    wait_until(
        lambda: "kopf ended: RuntimeError" in replica.process.log.read_text(),
        timeout=60.0,
        what="kopf is started anew",
    )
    replica.proxy.heal()
    wait_until(lambda: is_well(replica), timeout=90.0, what="it mended that itself")
    gate.open(namespace, GOOD, "AutoApproved")


@pytest.fixture
def seldom(gate, replica):
    """A replica that sweeps once: what it sees later its watches bring."""
    replica.process.stop()
    try:
        with Replica(gate, "seldom", *OPTIONS[:2], argv=ENTRY_ARGV) as made:
            leader_of([made])
            wait_until(lambda: made.get("/readyz")[0] == 200, "it has swept")
            wait_until(made.proxy.all_watched, "it watches")
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
    gate.request_of(namespace, "missed", "AutoApproved", timeout=90.0)
    assert seldom.metric("cabgate_last_sweep_timestamp_seconds") == swept
    wait_until(lambda: is_well(seldom), timeout=60.0, what="it is well")


def test_watches_that_stay_silent_are_told_of(gate, seldom):
    wait_until(lambda: is_well(seldom), timeout=60.0, what="it is well")
    seldom.proxy.hang = lambda call: call.watch
    text = complains(seldom, "is not watched, for")
    # Each was silent for as long as it may be, asked for anew, and then down for as long.
    down = re.findall(r"watch: \w+ is not watched, for (\d+) s", text)
    assert down
    assert all(int(seconds) >= IMPATIENT_SECONDS for seconds in down), text
    seldom.proxy.heal()
    wait_until(lambda: is_well(seldom), timeout=90.0, what="it mended that itself")


def test_a_worker_that_does_not_go_on(gate, replica, namespace):
    gate.apply("requester", intent(namespace, name="well"))
    gate.request_of(namespace, "well", "AutoApproved")
    # The intent itself is not read: a watch brings it.
    path = f"/namespaces/{namespace}/deploymentintents/stuck/status"
    replica.proxy.hang = lambda call: call.method == "PUT" and call.path.endswith(path)
    gate.apply("requester", intent(namespace, name="stuck"))
    complains(replica, f"queue: a worker has been at intent {namespace}/stuck for")
    # The others go on.
    gate.apply("requester", intent(namespace, name="other"))
    gate.request_of(namespace, "other", "AutoApproved")


def test_a_sweep_that_is_late(gate, replica):
    replica.proxy.refuse = lambda call: (
        (500, "InternalError")
        if call.method == "GET" and not call.watch and call.path.endswith("/v1alpha1/cabrequests")
        else None
    )
    complains(replica, "sweep: the last one was")


def test_an_api_server_that_is_away_is_nothing_that_a_restart_mends(gate, replica):
    gate.cluster.stop("kube-apiserver")
    try:
        wait_until(lambda: "election: " in replica.get("/readyz")[1], "it says why")
        wait_until(lambda: is_well(replica), "it is well all the same")
    finally:
        gate.cluster.start("kube-apiserver")
    wait_until(lambda: replica.get("/readyz")[0] == 200, "it is ready again")


def test_a_process_that_stands_still_does_not_answer(replica):
    with paused(replica.process):
        assert replica.get("/healthz")[0] == 0


SHOWN = (
    'cabgate_request_decision_seconds_count{state="AutoApproved"}',
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
)


def test_what_it_shows_of_itself(gate, replica, namespace):
    gate.open(namespace, GOOD, "AutoApproved")

    def all_shown():
        text = replica.get("/metrics")[1]
        missed = [shown for shown in SHOWN if f"\n{shown}" not in text]
        assert not missed, missed
        return True

    wait_until(all_shown, timeout=60.0, what="the metrics show it")
