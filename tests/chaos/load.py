# SPDX-License-Identifier: Apache-2.0
"""A team, a reviewer and somebody who tries to roll out what nobody approved, all at once."""

import random
import threading

import httpx

from support.http import client_of
from support.objects import intent, workload
from support.reviews import middling

CABGATE = "/apis/cabgate.dev/v1alpha1/namespaces"
APPS = "/apis/apps/v1/namespaces"


class Load:
    """Works in a namespace until told to stop; a context manager.

    `seen` are the decisions that the API server said were recorded. `wrong` names what was admitted
    and should not have been.
    """

    def __init__(self, gate, namespace, seed):
        self._namespace = namespace
        self._random = random.Random(seed)
        self._team = client_of(gate.user("requester"))
        self._reviewer = client_of(gate.user("reviewer"))
        for client in (self._team, self._reviewer):
            client.timeout = httpx.Timeout(8)
        self._stop = threading.Event()
        self._numbers = 0
        self._rejected = set()
        self.seen = []
        self.wrong = []
        self.declared = self.refused = self.admitted = self.failed = 0

    def __enter__(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)

    def _run(self):
        actions = (self._declare, self._review, self._roll_out, self._sneak)
        while not self._stop.wait(0.05):
            try:
                self._random.choices(actions, (3, 4, 2, 2))[0]()
            except httpx.HTTPError:
                self.failed += 1

    def _declare(self):
        self._numbers += 1
        number = self._numbers
        body = intent(
            self._namespace,
            name=f"app-{number}",
            evidence=middling(number),
            targets=[
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": f"app-{number}",
                    "images": [f"app:{number}"],
                }
            ],
        )
        answer = self._team.post(f"{CABGATE}/{self._namespace}/deploymentintents", json=body)
        if answer.status_code == 201:
            self.declared += 1
        else:
            self.failed += 1

    def _requests(self, *states):
        answer = self._reviewer.get(f"{CABGATE}/{self._namespace}/cabrequests")
        if answer.status_code != 200:
            self.failed += 1
            return []
        return [
            item for item in answer.json()["items"] if item.get("status", {}).get("state") in states
        ]

    def _review(self):
        waiting = self._requests("Submitted")
        if not waiting:
            return
        item = self._random.choice(waiting)
        meta = item["metadata"]
        verdict = self._random.choice(["Approved", "Approved", "Rejected"])
        answer = self._reviewer.patch(
            f"{CABGATE}/{self._namespace}/cabrequests/{meta['name']}/status",
            json={"status": {"review": {"verdict": verdict, "rationale": "looked at it"}}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        if answer.status_code != 200:
            self.failed += 1
            return
        self.seen.append((meta["uid"], verdict, "reviewer"))
        if verdict == "Rejected":
            self._rejected.add(item["spec"]["intentRef"]["name"])

    def _deploy(self, name, image):
        body = workload(self._namespace, name=name, images=[image])
        answer = self._team.post(
            f"{APPS}/{self._namespace}/deployments", json=body, params={"dryRun": "All"}
        )
        return answer.status_code == 201

    def _roll_out(self):
        approved = self._requests("Approved")
        if not approved:
            return
        (target,) = self._random.choice(approved)["spec"]["targets"]
        if self._deploy(target["name"], target["images"][0]):
            self.admitted += 1
        else:
            self.refused += 1

    def _sneak(self):
        """What nobody approved, or somebody rejected, must never be admitted."""
        rejected = sorted(self._rejected)
        if rejected and self._random.random() < 0.5:
            name = self._random.choice(rejected)
            image = f"app:{name.removeprefix('app-')}"
        else:
            name, image = f"sneaked-{self._random.randrange(10)}", "evil:1"
        if self._deploy(name, image):
            self.wrong.append(f"{name} with {image}")
        else:
            self.refused += 1
