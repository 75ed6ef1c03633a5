# SPDX-License-Identifier: Apache-2.0
"""Somebody who approves a request at the very moment in which they become one of those who may not:
two writes on two objects, sent at once."""

import random
import threading
from dataclasses import dataclass

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, intent, target
from support.clients import client_of, decided_answer

BOTH = "both"
"""Who may write intents and decide on requests."""

ROOT = "/apis/cabgate.dev/v1alpha1/namespaces"
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass
class Race:
    """One race: what became of each write, and of the approval."""

    name: str
    edited: int
    reviewed: int
    state: str = ""
    people: tuple[str, ...] = ()
    """Who submitted or asked, in the end."""
    taken_back: bool = False


def run(gate, namespace, count, seed=1, *, exceptions=False):
    """The outcomes of so many races, once each is settled: in every other one, the person does not
    edit the intent but is named as its requester by somebody else. With `exceptions` it is not a
    request that they approve, but an exception for it."""
    clients = {user: client_of(gate.user(user)) for user in ("requester", BOTH, "admin")}
    luck = random.Random(seed)  # noqa: S311 - only who is first
    names = [f"race-{number}" for number in range(count)]
    evidence = BAD if exceptions else MIDDLING
    for name in names:
        # A workload for each: what all requests for one may take together has a bound.
        targets = [target([f"{name}:1"], name=name)]
        answer = clients["requester"].post(
            f"{ROOT}/{namespace}/deploymentintents",
            json=intent(namespace, name=name, targets=targets, evidence=evidence),
        )
        assert answer.status_code == 201, answer.text
    state = "ExceptionRequired" if exceptions else "Submitted"
    requests = {name: _request(clients, namespace, name, state) for name in names}
    for name in names if exceptions else ():
        answer = clients["requester"].post(
            f"{ROOT}/{namespace}/cabexceptions",
            json=exception(namespace, requests[name], name=name),
        )
        assert answer.status_code == 201, answer.text
    races = []
    for number, name in enumerate(names):
        named = number % 2 == 1
        body = {"requester": BOTH} if named else {"summary": "changed"}
        races.append(
            _race(
                name,
                (clients["requester" if named else BOTH], f"deploymentintents/{name}", body),
                (client_of(gate.user(BOTH)), _status_of(name, requests, exceptions)),
                namespace,
                luck.uniform(0, 0.06),
            )
        )
    for race in races:
        if exceptions:
            _settle_exception(clients, namespace, race)
        else:
            _settle(clients, namespace, race, requests[race.name])
    return races


def _status_of(name, requests, exceptions):
    return f"cabexceptions/{name}/status" if exceptions else f"cabrequests/{requests[name]}/status"


def _request(clients, namespace, name, state):
    def opened():
        found = clients["admin"].get(f"{ROOT}/{namespace}/deploymentintents/{name}").json()
        status = found.get("status", {})
        return status.get("requestName") if status.get("state") == state else None

    return wait_until(opened, f"a request of {name}")


def _race(name, edit, review, namespace, head_start):
    ready = threading.Barrier(2)
    codes = {}

    def editing():
        client, path, spec = edit
        ready.wait()
        threading.Event().wait(head_start)  # the review takes longer: so that either may be first
        where, body = f"{ROOT}/{namespace}/{path}", {"spec": spec}
        answer = decided_answer(lambda: client.patch(where, json=body, headers=MERGE))
        codes["edited"] = answer.status_code

    def reviewing():
        client, path = review
        body = {"status": {"review": {"verdict": "Approved", "rationale": "fine"}}}
        ready.wait()
        where = f"{ROOT}/{namespace}/{path}"
        answer = decided_answer(lambda: client.patch(where, json=body, headers=MERGE))
        codes["reviewed"] = answer.status_code

    threads = [threading.Thread(target=each) for each in (editing, reviewing)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Race(name, **codes)


def _take_down(race, found, about):
    """What became of the intent of a race, and of what was approved."""
    spec, status = found["spec"], about["status"]
    race.state = status["state"]
    race.people = (
        *(each["username"] for each in spec["submittedBy"]),
        *spec.get("requestedBy", []),
    )
    race.taken_back = any(each["verdict"] == "Reopened" for each in status.get("decisions", []))


def _settle(clients, namespace, race, request):
    """Wait until the operator has looked at what both writes left, and take it down."""

    def settled():
        kinds = (("deploymentintents", race.name), ("cabrequests", request))
        found, about = [
            clients["admin"].get(f"{ROOT}/{namespace}/{plural}/{name}").json()
            for plural, name in kinds
        ]
        status = found["status"]
        decided = [c for c in about["status"]["conditions"] if c["type"] == "Decided"]
        if status["observedGeneration"] != found["metadata"]["generation"]:
            return None
        if not decided[0]["reason"] == about["status"]["state"] == status["state"]:
            return None
        return found, about

    _take_down(race, *wait_until(settled, f"{race.name} is settled"))


def _settle_exception(clients, namespace, race):
    """The same, of an exception: the operator says `Active` once it has noticed an approval."""

    def settled():
        found, about = [
            clients["admin"].get(f"{ROOT}/{namespace}/{plural}/{race.name}").json()
            for plural in ("deploymentintents", "cabexceptions")
        ]
        if found["status"]["observedGeneration"] != found["metadata"]["generation"]:
            return None
        active = [c for c in about["status"].get("conditions", []) if c["type"] == "Active"]
        if not active or active[0]["reason"] != about["status"]["state"]:
            return None
        return found, about

    _take_down(race, *wait_until(settled, f"{race.name} is settled"))
