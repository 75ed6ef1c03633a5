# SPDX-License-Identifier: Apache-2.0
"""A team, two reviewers and somebody who tries to roll out what nobody approved, all at once."""

import random
import threading
from dataclasses import dataclass, field

import httpx

from cabgate_samples.objects import BAD, GOOD, exception, intent, target, workload
from support.clients import client_of
from support.reviews import middling

CABGATE = "/apis/cabgate.dev/v1alpha1/namespaces"
APPS = "/apis/apps/v1/namespaces"

APPROVED = ("Approved", "AutoApproved")


def _passed(evidence, number):
    """Evidence of the same score, other for each number: what was decided once is not decided
    again under another name."""
    tests = evidence.get("testResults", {"coveragePercent": 10, "failed": 0})
    return {**evidence, "testResults": {**tests, "passed": 100 + number}}


EVIDENCE = {
    "good": lambda number: _passed(GOOD, number),
    "middling": middling,
    "bad": lambda number: _passed(BAD, number),
}
"""Approved by score; waits for a person; needs an exception."""


@dataclass
class Memory:
    """What people were told, and go by."""

    seen: list = field(default_factory=list)
    """Decisions that the API server said were recorded: (uid, verdict, user name)."""
    intents: dict = field(default_factory=dict)
    """Intents that it said were stored, and which evidence each has."""
    exceptions: set = field(default_factory=set)
    """Names of exceptions that it said were stored."""
    verdict: dict = field(default_factory=dict)
    """The last verdict that a person was told of, by application."""
    unsure: set = field(default_factory=set)
    """Applications on which somebody gave a verdict later and never heard whether it counts."""


def app_of(request):
    """The application that a request is about."""
    return request["spec"]["intentRef"]["name"]


def state_shown(item):
    """The state that an object shows."""
    return (item.get("status") or {}).get("state")


class Load:
    """Works in a namespace until told to stop; a context manager.

    `wrong` names what was admitted and should not have been; `unadmitted` what was said to rollouts
    that were approved and did not pass. `failed` counts all other calls that came to nothing.
    """

    def __init__(self, gate, namespace, seed):
        self.namespace = namespace
        self._random = random.Random(seed)
        self._team, self._reviewer, self._security = (
            client_of(gate.user(name)) for name in ("requester", "reviewer", "security")
        )
        for client in (self._team, self._reviewer, self._security):
            client.timeout = httpx.Timeout(30)
        self._stop = threading.Event()
        self._numbers = 0
        self.memory = Memory()
        self.wrong = []
        self.unadmitted = []
        self.refused = self.admitted = self.failed = 0

    def __enter__(self):
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "a call of the load has no end"

    def _run(self):
        actions = {
            self._declare: 4,
            self._review: 4,
            self._ask_exception: 2,
            self._judge_exception: 2,
            self._revoke: 1,
            self._roll_out: 4,
            self._sneak: 3,
        }
        first = [*EVIDENCE] if not self._numbers else []
        while not self._stop.wait(0.05):
            try:
                if first:
                    self._declare(first.pop())
                else:
                    self._random.choices(list(actions), list(actions.values()))[0]()
            except httpx.HTTPError:
                self.failed += 1

    def _path(self, plural, name=""):
        return f"{CABGATE}/{self.namespace}/{plural}" + (f"/{name}/status" if name else "")

    def _declare(self, kind=None):
        self._numbers += 1
        number, name = self._numbers, f"app-{self._numbers}"
        kind = kind or self._random.choices(list(EVIDENCE), (1, 3, 2))[0]
        body = intent(
            self.namespace,
            name=name,
            evidence=EVIDENCE[kind](number),
            targets=[target([f"app:{number}"], name=name)],
        )
        answer = self._team.post(self._path("deploymentintents"), json=body)
        if answer.status_code == 201:
            self.memory.intents[name] = kind
        else:
            self.failed += 1

    def listed(self, plural, *states):
        """The objects of a kind in the namespace that show one of some states, or all of them."""
        answer = self._reviewer.get(self._path(plural))
        answer.raise_for_status()
        return [
            item for item in answer.json()["items"] if not states or state_shown(item) in states
        ]

    def _one(self, items):
        return self._random.choice(items) if items else None

    def _judge(self, client, user, plural, item, verdict):
        """Give a verdict; if the API server says that it is recorded, it has to stay so."""
        spec = item["spec"]
        app = spec["reason"] if plural == "cabexceptions" else app_of(item)
        self.memory.unsure.add(app)
        review = {"verdict": verdict, "rationale": "looked at it"}
        if (plural, verdict) == ("cabrequests", "Revoked"):
            review["images"] = ["*"]
        answer = client.patch(
            self._path(plural, item["metadata"]["name"]),
            json={"status": {"review": review}},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        if answer.status_code != 200:
            self.failed += 1
            return
        self.memory.seen.append((item["metadata"]["uid"], verdict, user))
        self.memory.verdict[app] = verdict
        self.memory.unsure.discard(app)

    def _review(self):
        item = self._one(self.listed("cabrequests", "Submitted"))
        if item is not None:
            verdict = self._random.choice(["Approved", "Approved", "Rejected"])
            self._judge(self._reviewer, "reviewer", "cabrequests", item, verdict)

    def _ask_exception(self):
        asked = {item["spec"]["requestRef"]["name"] for item in self.listed("cabexceptions")}
        waiting = [
            item
            for item in self.listed("cabrequests", "ExceptionRequired")
            if item["metadata"]["name"] not in asked
        ]
        item = self._one(waiting)
        if item is None:
            return
        body = exception(
            self.namespace,
            item["metadata"]["name"],
            name=f"leave-{app_of(item)}",
            durationDays=self._random.choice([1, 90]),
            reason=app_of(item),
        )
        answer = self._team.post(self._path("cabexceptions"), json=body)
        if answer.status_code == 201:
            self.memory.exceptions.add(body["metadata"]["name"])
        else:
            self.failed += 1

    def _judge_exception(self):
        item = self._one(self.listed("cabexceptions", "Pending"))
        if item is not None:
            verdict = self._random.choice(["Approved", "Approved", "Approved", "Rejected"])
            self._judge(self._security, "security", "cabexceptions", item, verdict)

    def _revoke(self):
        plural = self._random.choice(["cabrequests", "cabexceptions"])
        item = self._one(self.listed(plural, *APPROVED))
        if item is not None:
            self._judge(self._security, "security", plural, item, "Revoked")

    def try_out(self, app, image=None):
        """What is answered to a rollout of an application, tried without effect: 201 admits."""
        image = image or f"app:{app.removeprefix('app-')}"
        return self._team.post(
            f"{APPS}/{self.namespace}/deployments",
            json=workload(self.namespace, name=app, images=[image]),
            params={"dryRun": "All"},
        )

    def _roll_out(self):
        """What is approved has to pass."""
        apps = [app_of(item) for item in self.listed("cabrequests", *APPROVED)]
        apps += [item["spec"]["reason"] for item in self.listed("cabexceptions", "Approved")]
        app = self._one(apps)
        if app is None:
            return
        try:
            answer = self.try_out(app)
        except httpx.HTTPError as error:
            self.unadmitted.append(f"{app}: {error!r}")
            return
        if answer.status_code == 201:
            self.admitted += 1
        else:
            self.unadmitted.append(f"{app}: {answer.text[:300]}")

    def _sneak(self):
        """What nobody approved, or somebody rejected or revoked, must never pass."""
        denied = sorted(
            app for app, verdict in self.memory.verdict.items() if verdict != "Approved"
        )
        if denied and self._random.random() < 0.6:
            app, image = self._random.choice(denied), None
        else:
            app, image = f"sneaked-{self._random.randrange(10)}", "evil:1"
        if self.try_out(app, image).status_code == 201:
            self.wrong.append(f"{app} with {image or 'its own image'}")
        else:
            self.refused += 1
