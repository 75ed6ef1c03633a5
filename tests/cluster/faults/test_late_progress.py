# SPDX-License-Identifier: Apache-2.0
"""A store that tells the API server of no progress: each list waits 3 s for the API server's cache,
and an admission request has 4. Nothing that people do fails for that: neither what is admitted nor
what is denied, no review, nothing that is declared."""

import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cabgate_devcluster import DevCluster, people, wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target, workload
from support.etcd import SilentEtcd
from support.gate import install
from support.namespaces import create_namespace

NAMESPACE = "late"
MERGE = {"Content-Type": "application/merge-patch+json"}
FELL_BACK = re.compile(
    r'^apiserver_watch_cache_consistent_read_total\{fallback="true".*'
    r'resource="(cabrequests|cabexceptions)".*\} (\d+)',
    re.M,
)


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def etcd(cluster):
    with SilentEtcd(cluster) as way:
        cluster.reach_etcd_at(way.port)
        yield way


@pytest.fixture(scope="module")
def late(cluster, etcd):
    """The gate in a namespace with requests in every state, and a store that is late by now."""
    gate = install(cluster)
    create_namespace(cluster, NAMESPACE, "2")
    for user in people.ROLES:
        gate.client(user)
    opened(gate, "approved", GOOD, "AutoApproved")
    gate.waiting = opened(gate, "waiting", MIDDLING, "Submitted")
    gate.rejected = opened(gate, "rejected", MIDDLING, "Submitted")
    gate.revoked = opened(gate, "revoked", GOOD, "AutoApproved")
    for name in ("excepted", "asked"):
        request = opened(gate, name, BAD, "ExceptionRequired")
        gate.create("requester", exception(NAMESPACE, request, name=name))
    gate.review("security", "cabexception", "excepted", NAMESPACE, "Approved")
    gate.wait_state("cabexception", "excepted", NAMESPACE, "Approved")
    gate.bare = opened(gate, "bare", BAD, "ExceptionRequired")
    etcd.held = True
    with Writing(cluster):
        wait_until(lambda: etcd.dropped, "the API server asks for progress in vain")
        yield gate


def opened(gate, name, evidence, state):
    """Name of the request for a Deployment of that name, once it is in a state."""
    return gate.open(NAMESPACE, evidence, state, name=name, targets=[named(name)])


def named(name):
    return {**target(("web:1",)), "name": name}


class Writing:
    """Somebody writes something else all the time, for the time of the block."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._ended = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _write(self):
        for number in itertools.count():
            if self._ended.wait(0.1):
                return
            self._cluster.api.apply(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "elsewhere", "namespace": "default"},
                    "data": {"number": str(number)},
                }
            )


def rolled_out(gate, name, kind="Deployment", **changes):
    """What came of a rollout: its status and what was said."""
    path = gate.cluster.api.path(kind.lower(), NAMESPACE)
    obj = workload(NAMESPACE, name=name, kind=kind)
    answer = gate.client("requester").post(f"{path}?dryRun=All", json=obj | changes)
    return answer.status_code, answer.json().get("message", "")


def reviewed(gate, user, resource, name, verdict, **review):
    path = f"{gate.cluster.api.path(resource, NAMESPACE)}/{name}/status"
    body = {"status": {"review": {"verdict": verdict, "rationale": "reviewed", **review}}}
    answer = gate.client(user).patch(path, json=body, headers=MERGE)
    return answer.status_code, answer.json().get("message", "")


def created(gate, obj):
    path = gate.cluster.api.path(obj["kind"].lower(), NAMESPACE)
    answer = gate.client("requester").post(path, json=obj)
    return answer.status_code, answer.json().get("message", "")


def at_once(*calls):
    """What came of some calls, begun together."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]


def fallbacks(gate):
    """How often the API server gave up waiting for its cache of a kind of ours."""
    text = gate.client("admin").get("/metrics").text
    return sum(int(count) for _, count in FELL_BACK.findall(text))


def test_rollouts_are_admitted_and_denied_in_time(late):
    before = fallbacks(late)

    def in_time():
        approved, excepted, none, asked, bare = at_once(
            (rolled_out, late, "approved"),
            (rolled_out, late, "excepted"),
            (rolled_out, late, "unknown"),
            (rolled_out, late, "asked"),
            (rolled_out, late, "bare"),
        )
        assert approved[0] == excepted[0] == 201, (approved, excepted)
        assert "NoRequest: " in none[1]
        assert "denied the request: ExceptionPending: " in asked[1]
        assert "denied the request: ExceptionRequired: " in bare[1]
        return True

    # A machine that stands still for the second that is left has another try, of all together.
    wait_until(in_time, "all are judged in time")
    assert fallbacks(late) > before, "the cache was waited for"


def test_what_several_rollouts_of_a_namespace_need_exceptions_for_waits_together(late):
    def in_time():
        found = at_once(*[(rolled_out, late, "excepted")] * 8)
        assert [status for status, _ in found] == [201] * 8, found
        return True

    wait_until(in_time, "all eight are admitted in time, at once")


def test_reviews_are_recorded_in_time(late):
    before = fallbacks(late)
    found = at_once(
        (reviewed, late, "reviewer", "cabrequest", late.waiting, "Approved"),
        (reviewed, late, "reviewer", "cabrequest", late.rejected, "Rejected"),
        (reviewed, late, "security", "cabrequest", late.revoked, "Revoked"),
        (reviewed, late, "security", "cabexception", "asked", "Approved"),
    )
    assert [status for status, _ in found] == [200] * 4, found
    assert fallbacks(late) > before, "the cache was waited for"


def test_intents_and_exceptions_are_created_and_judged_in_time(late):
    before = fallbacks(late)
    found = at_once(
        (created, late, intent(NAMESPACE, name="fresh", targets=[named("fresh")])),
        (created, late, intent(NAMESPACE, name="again", evidence=MIDDLING)),
        (created, late, exception(NAMESPACE, late.bare, name="bare")),
    )
    assert [status for status, _ in found] == [201] * 3, found
    assert late.request_of(NAMESPACE, "fresh", "AutoApproved")
    assert fallbacks(late) > before, "the cache was waited for"
