# SPDX-License-Identifier: Apache-2.0
"""What somebody with `edit` in one namespace sends, all at once, as fast as it hurts most."""

import itertools
import json
import threading
from collections import Counter

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call
from cabgate_bench.measure import tenants
from cabgate_bench.measure.tenants import NAMESPACE, SPACE

USER = "attacker"
ROLE = "edit"

MERGE = {"Content-Type": "application/merge-patch+json"}

_numbers = itertools.count(1)


def _patch(server, plural, name, body):
    return Call("PATCH", f"{server}{SPACE}/{plural}/{name}", json.dumps(body), MERGE)


def _passed(number):
    return {"spec": {"evidence": {"testResults": {"passed": number}}}}


def denied(server):
    """Rollouts that are denied by way of everything that there is."""
    return tenants.denied_calls(server)


def changed(server):
    """Intents that declare something new each time, for twenty workloads."""
    return [
        _patch(server, "deploymentintents", f"i-{n % 4}", _passed(1000 + next(_numbers)))
        for n in range(200)
    ]


def flapped(server):
    """Intents that go back and forth between two contents."""
    return [
        _patch(server, "deploymentintents", f"i-{n % 3 + 4}", _passed(n % 2 + 1)) for n in range(60)
    ]


def noted(server):
    """Intents that change nothing but a note."""
    return [
        _patch(
            server, "deploymentintents", f"i-{n % 7}", {"metadata": {"annotations": {"n": str(n)}}}
        )
        for n in range(200)
    ]


def tried(server):
    """New intents of the largest, in dry runs: nothing is stored, and no budget counts them."""
    return [
        Call(
            "POST",
            f"{server}{SPACE}/deploymentintents?dryRun=All",
            json.dumps(tenants.largest_intent(f"tried-{n}", n)),
        )
        for n in range(20)
    ]


def asked(server):
    """Exceptions of the largest, in dry runs."""
    return [
        Call(
            "POST",
            f"{server}{SPACE}/cabexceptions?dryRun=All",
            json.dumps(tenants.largest_exception("i-0-12345678", n)),
        )
        for n in range(20)
    ]


def made_and_deleted(server):
    """Small intents that come and go, each for a workload of its own."""
    made = tenants.largest_intent("x")
    made["spec"]["evidence"].pop("artifacts", None)
    calls = []
    for number in range(50):
        name = f"came-{number}"
        body = {**made, "metadata": {"name": name, "namespace": NAMESPACE}}
        calls.append(Call("POST", f"{server}{SPACE}/deploymentintents", json.dumps(body)))
        calls.append(Call("DELETE", f"{server}{SPACE}/deploymentintents/{name}", "{}"))
    return calls


ATTACKS = {
    denied: 4.0,
    changed: 0.5,
    flapped: 0.25,
    noted: 0.5,
    tried: 1.0,
    asked: 1.0,
    made_and_deleted: 0.5,
}
"""What is sent, and how often in a second. Together that is some 0.7 s of CPU time a second, of all
processes: on two cores three times as much is the end of them, whoever it is that asks for it."""


def title(attack):
    """What an attack is, in words."""
    return attack.__doc__.partition(":")[0].partition(",")[0].strip(". \n")


class Attacker:
    """Attacks from a namespace that is as full as it may be. `outcomes` has what came of each, by
    attack."""

    def __init__(self, world, gate, times=1.0):
        self._times = times
        self._world = world
        self._server = world.cluster.server
        self._client = world.client(USER, gate.user(USER))
        self._gate = gate
        self.objects = {}
        self.outcomes = {attack: [] for attack in ATTACKS}

    def prepare(self, objects=None):
        """Have the namespace hold all that is let in, unless somebody has: `objects` says what."""
        self.objects = objects or tenants.fill(self._world)
        self._gate.bind(USER, ROLE, NAMESPACE)

    def answers(self):
        """How each attack was answered: how often, by HTTP status or error."""
        return {attack: self._counted(found) for attack, found in self.outcomes.items()}

    def _counted(self, outcomes):
        counts = Counter()
        for each in outcomes:
            counts.update(each.statuses)
            counts.update(each.errors)
        return dict(counts)

    def begin(self, seconds):
        """Attack for some seconds; what has to be waited for."""
        threads = [
            threading.Thread(target=self._run, args=(attack, rate * self._times, seconds))
            for attack, rate in ATTACKS.items()
        ]
        for thread in threads:
            thread.start()
        return threads

    def _run(self, attack, rate, seconds):
        found = loadgen.run(
            self._world.program,
            self._client,
            attack(self._server),
            rate=rate,
            seconds=seconds,
            warmup=0.0,
        )
        self.outcomes[attack].append(found)
