# SPDX-License-Identifier: Apache-2.0
"""Teams and a reviewer at work: intents are declared, decided and rolled out, and every call has
to succeed."""

import itertools
import threading
import time

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, intent, target, workload
from support.clients import client_of
from support.invariants import problems
from support.reviews import middling

CABGATE = "/apis/cabgate.dev/v1alpha1/namespaces"
APPS = "/apis/apps/v1/namespaces"
DECIDED_SECONDS = 30
"""How long an intent may wait for its request, whoever leads meanwhile."""


class Work:
    """In a namespace of ring 2, from several threads, until told to stop; a context manager. At its
    end each one finishes what it began.

    Each round is a new application: an intent, for every other one the review that it needs, and
    the rollout. So each needs operator and webhook. `pause` is the seconds between two rounds of a
    thread: a few rounds a second find what fails as well as many do, and leave the CPU to others.
    """

    def __init__(self, gate, namespace, *, threads=2, pause=0.5):
        self._gate = gate
        self._namespace = namespace
        self._pause = pause
        self._numbers = itertools.count(1)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        # Made here: the threads would make them all at once.
        self._users = gate.user("requester"), gate.user("reviewer")
        self.done = 0
        """Applications that were rolled out."""
        self.seen = []
        """Reviews that were recorded: (uid, verdict, user name)."""
        self.failures = []
        """What was said where something failed, and when."""
        self.slowest = 0.0
        """Seconds from the longest waiting intent to its request."""

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join(2 * DECIDED_SECONDS)
            assert not thread.is_alive()

    def goes_on(self):
        """Returns once applications were rolled out that had not begun at the call."""
        wanted = self.done + 2 * len(self._threads)
        wait_until(lambda: self.done >= wanted or self.failures, "the work goes on", timeout=90)
        assert self.failures == [], self.failures

    def lost_nothing(self):
        """Nothing failed, and once the operator is done every intent is decided, every review is
        there once, and the ledger verifies."""
        assert self.failures == [], self.failures
        wait_until(self._nothing_wrong, "all is recorded")
        intents = self._gate.items("deploymentintents", self._namespace)
        ours = [each for each in intents if each["metadata"]["name"].startswith("app-")]
        assert len(ours) == self.done
        assert {each["status"]["state"] for each in ours} == {"AutoApproved", "Approved"}

    def _nothing_wrong(self):
        found = problems(self._gate, self._namespace, self.seen)
        assert found == [], found
        return True

    def _run(self):
        team, reviewer = map(client_of, self._users)
        with team, reviewer:
            while not self._ended.wait(self._pause):
                number = next(self._numbers)
                try:
                    self._round(team, reviewer, number)
                except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
                    text = f"{time.strftime('%H:%M:%S')} app-{number}: {error}"
                    self.failures.append(text)

    def _round(self, team, reviewer, number):
        name, image = f"app-{number}", f"app:{number}"
        reviewed = number % 2 == 0
        evidence = middling(number) if reviewed else GOOD
        body = intent(
            self._namespace, name=name, targets=[target([image], name)], evidence=evidence
        )
        intents = f"{CABGATE}/{self._namespace}/deploymentintents"
        _call(team, "POST", intents, 201, json=body)
        begun = time.monotonic()
        status = _status_in(team, f"{intents}/{name}", "Submitted" if reviewed else "AutoApproved")
        took = time.monotonic() - begun
        if reviewed:
            self._review(reviewer, status["requestName"])
        rollout = workload(self._namespace, name=name, images=[image])
        rollout["spec"]["replicas"] = 0  # the Pods are not what this is about
        _call(team, "POST", f"{APPS}/{self._namespace}/deployments", 201, json=rollout)
        with self._lock:
            self.done += 1
            self.slowest = max(self.slowest, took)

    def _review(self, reviewer, name):
        answer = _call(
            *(reviewer, "PATCH", f"{CABGATE}/{self._namespace}/cabrequests/{name}/status", 200),
            json={"status": {"review": {"verdict": "Approved", "rationale": "looked at it"}}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        self.seen.append((answer["metadata"]["uid"], "Approved", "reviewer"))


def _call(client, method, path, wanted, **content):
    answer = client.request(method, path, **content)
    # As every client of Kubernetes does: a definition that changes is away for a moment.
    while answer.status_code == 429 and "Retry-After" in answer.headers:
        time.sleep(float(answer.headers["Retry-After"]))
        answer = client.request(method, path, **content)
    assert answer.status_code == wanted, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json()


def _status_in(client, path, state):
    """The status of an intent, once it is in a state."""
    deadline = time.monotonic() + DECIDED_SECONDS
    while True:
        status = _call(client, "GET", path, 200).get("status", {})
        if status.get("state") == state:
            return status
        assert time.monotonic() < deadline, f"{path}: {status}, not {state}"
        time.sleep(0.2)
