# SPDX-License-Identifier: Apache-2.0
"""Another team at work, in a namespace of ring 2: what it has to be able to do whatever happens
elsewhere."""

import threading
import time

import httpx

from cabgate_devcluster import DevClusterError
from cabgate_samples.objects import GOOD, intent, target, workload
from support.gate import Refused
from support.reviews import middling

NAMESPACE = "calm"

PAUSE_SECONDS = 1.0
"""Between two releases."""


class Team:
    """Releases one thing after another; a context manager. `wrong` names what did not go as it has
    to, `seconds` has how long each step took that passed, by step."""

    def __init__(self, gate):
        self._gate = gate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._clients = {name: gate.client(name) for name in ("requester", "reviewer", "security")}
        self.wrong = []
        self.seconds = {}
        self.releases = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(180)
        assert not self._thread.is_alive(), "a release has no end"

    def _run(self):
        begun = time.time_ns()  # names of their own, for each team of a cluster
        while not self._stop.wait(PAUSE_SECONDS):
            name = f"app-{begun}-{self.releases}"
            try:
                self._release(name)
            except (httpx.HTTPError, DevClusterError, Refused, AssertionError) as error:
                self.wrong.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            self.releases += 1

    def _release(self, name):
        """One that its score approves, or one that a reviewer approves and security revokes."""
        by_score = self.releases % 2 == 0
        evidence = GOOD if by_score else middling(self.releases)
        image = f"{name}:1"
        body = intent(NAMESPACE, name=name, evidence=evidence, targets=[target([image], name=name)])
        self._expect("roll out what nobody approved", 403, self._roll_out, name, image)
        with self._timed("from an intent to its request"):
            self._expect("declare an intent", 201, self._declare, body)
            state = "AutoApproved" if by_score else "Submitted"
            request = self._gate.request_of(NAMESPACE, name, state)["metadata"]["name"]
        if not by_score:
            self._expect("approve", 200, self._review, "reviewer", request, "Approved")
        self._expect("roll out", 201, self._roll_out, name, image)
        self._expect("revoke", 200, self._review, "security", request, "Revoked")
        self._expect("roll out what is revoked", 403, self._roll_out, name, image)

    def _expect(self, what, status, call, *arguments):
        with self._timed(what):
            answer = call(*arguments)
        assert answer.status_code == status, f"{what}: {answer.status_code} {answer.text[:300]}"

    def _declare(self, body):
        path = f"/apis/cabgate.dev/v1alpha1/namespaces/{NAMESPACE}/deploymentintents"
        return self._clients["requester"].post(path, json=body)

    def _roll_out(self, name, image):
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
        body = workload(NAMESPACE, name=name, images=[image])
        return self._clients["requester"].post(path, json=body, params={"dryRun": "All"})

    def _review(self, user, request, verdict):
        review = {"verdict": verdict, "rationale": "looked at it"}
        if verdict == "Revoked":
            review["images"] = ["*"]
        path = f"/apis/cabgate.dev/v1alpha1/namespaces/{NAMESPACE}/cabrequests/{request}/status"
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._clients[user].patch(path, json={"status": {"review": review}}, headers=headers)

    def _timed(self, what):
        return _Timed(self.seconds.setdefault(what, []))


class _Timed:
    def __init__(self, found):
        self._found = found

    def __enter__(self):
        self._begun = time.monotonic()

    def __exit__(self, kind, *_):
        if kind is None:
            self._found.append(time.monotonic() - self._begun)
