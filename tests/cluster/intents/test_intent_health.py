# SPDX-License-Identifier: Apache-2.0
"""How tools read an intent in each of its states: kstatus, which Flux and Helm wait by, and Argo
CD's health check.

Nothing here imitates kstatus: Helm 4 asks the same library as Flux (fluxcd/cli-utils), and tells
its answer for what is not ready when its time is up. Its rules, in this order: deletionTimestamp is
Terminating; another status.observedGeneration than metadata.generation is InProgress; Reconciling
is InProgress, Stalled is Failed, whichever stands first; Ready=True is Current, any other Ready
InProgress; and an object that says nothing of all this is Current.
"""

import json
import re

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target
from support.gate import paused
from support.gitops import ArgoHealth, helm
from support.reviews import now

WAITS = "InProgress", "Suspended"
FAILED = "Failed", "Degraded"
CURRENT = "Current", "Healthy"
AT_WORK = "InProgress", "Progressing"

CONDITION = {"name": "watch", "description": "someone watches"}
FAR = "2999-01-01T00:00:00Z"


def review(verdict, user="reviewer", **fields):
    """A reviewer's verdict on the request of an intent."""

    def give(gate, namespace, name):
        request = gate.request_of(namespace, name)["metadata"]["name"]
        gate.review(user, "cabrequest", request, namespace, verdict, **fields)

    return give


def conditionally(**fields):
    return review("ConditionallyApproved", conditions=[{**CONDITION, **fields}])


def over(gate, namespace, name):
    """An approval whose time is over."""
    conditionally(notAfter=now(seconds=-30))(gate, namespace, name)


def ask(*verdicts):
    """An exception for the request of an intent, and what a security reviewer says of it."""

    def give(gate, namespace, name):
        request = gate.request_of(namespace, name)["metadata"]["name"]
        gate.create("requester", exception(namespace, request, name=name))
        for verdict in verdicts:
            gate.review("security", "cabexception", name, namespace, verdict)

    return give


STATES = {
    # evidence, what is done, reason of Ready, what kstatus and Argo CD make of it
    "auto": (GOOD, [], "RequestApproved", CURRENT),
    "pending": (MIDDLING, [], "ReviewPending", WAITS),
    "taken": (MIDDLING, [review("UnderReview")], "ReviewPending", WAITS),
    "approved": (MIDDLING, [review("Approved")], "RequestApproved", CURRENT),
    "condition": (MIDDLING, [conditionally()], "RequestApproved", CURRENT),
    "early": (MIDDLING, [conditionally(notBefore=FAR)], "OutsideWindow", WAITS),
    "late": (MIDDLING, [over], "OutsideWindow", FAILED),
    "attest": (MIDDLING, [conditionally(attestation="Required")], "AttestationMissing", WAITS),
    "rejected": (MIDDLING, [review("Rejected")], "Rejected", FAILED),
    "revoked": (GOOD, [review("Revoked", "security")], "Revoked", FAILED),
    "risky": (BAD, [], "ExceptionRequired", FAILED),
    "asked": (BAD, [ask()], "ExceptionPending", WAITS),
    "excepted": (BAD, [ask("Approved")], "ExceptionActive", CURRENT),
    "ended": (BAD, [ask("Approved", "Revoked")], "ExceptionRequired", FAILED),
}


def declared(namespace, name, evidence, **spec):
    return intent(
        namespace, name=name, evidence=evidence, targets=[target([f"{name}:1"], name=name)], **spec
    )


def ready_reason(obj):
    status = obj.get("status", {})
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return None
    return next(c["reason"] for c in status["conditions"] if c["type"] == "Ready")


def wait_reason(gate, namespace, name, reason):
    """An intent, once its condition Ready has a reason."""

    def reached():
        found = gate.get("deploymentintent", name, namespace)
        return found if ready_reason(found) == reason else None

    return wait_until(reached, f"{name} is Ready for reason {reason}")


NOT_READY = re.compile(
    r"resource DeploymentIntent/[^/]+/(\S+) not ready\. status: (\w+), message: (.*)"
)


class Kstatus:
    """kstatus of live intents, by way of Helm, which is told to wait for them."""

    def __init__(self, cluster, folder):
        self._cluster = cluster
        self._folder = folder

    def of(self, namespace, objects, timeout=3):
        """Status and message of each intent by name, as they stand."""
        templates = self._folder / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        (self._folder / "Chart.yaml").write_text("{apiVersion: v2, name: intents, version: 0.1.0}")
        (templates / "all.yaml").write_text("\n---\n".join(json.dumps(obj) for obj in objects))
        for seconds in (timeout, 20, 60):  # on a slow machine its watches begin late
            result = helm(
                self._cluster,
                *("upgrade", "--install", "intents", self._folder, "-n", namespace),
                *("--take-ownership", "--wait", "--timeout", f"{seconds}s"),
            )
            note = {name: (kind, text) for name, kind, text in NOT_READY.findall(result.stderr)}
            # It may also end before it has anything to tell of.
            answered = result.returncode == 0 or bool(note)
            if answered and all(kind != "Unknown" for kind, _ in note.values()):
                break
        assert result.returncode == (1 if note else 0), result.stderr
        names = [obj["metadata"]["name"] for obj in objects]
        assert set(note) <= set(names)
        return {name: note.get(name, ("Current", "")) for name in names}


@pytest.fixture
def kstatus(cluster, tmp_path):
    return Kstatus(cluster, tmp_path / "chart")


def conditions_of(obj):
    return {condition["type"]: condition for condition in obj["status"]["conditions"]}


def test_each_state_is_read_rightly(gate, namespace, kstatus):
    specs = {name: declared(namespace, name, row[0]) for name, row in STATES.items()}
    for each in specs.values():  # as Helm marks them later: messages say to edit them in the chart
        each["metadata"]["annotations"] = {"meta.helm.sh/release-name": "intents"}
    gate.apply("requester", {"apiVersion": "v1", "kind": "List", "items": list(specs.values())})
    for name, (_, steps, _, _) in STATES.items():
        for step in steps:
            step(gate, namespace, name)
    live = {
        name: wait_reason(gate, namespace, name, reason)
        for name, (_, _, reason, _) in STATES.items()
    }
    argo = ArgoHealth()
    generations = {name: obj["metadata"]["generation"] for name, obj in live.items()}
    seen = kstatus.of(namespace, list(specs.values()))
    for name, (_, _, _, (by_kstatus, by_argo)) in STATES.items():
        found = conditions_of(live[name])
        message = found["Ready"]["message"]
        status, text = seen[name]
        assert status == by_kstatus, (name, status, text)
        assert argo.of(live[name]) == (by_argo, message), name
        if by_kstatus != "Current":
            assert text == message, name
        # No more than one of the three is true, and all are of this generation.
        assert [c["status"] for c in found.values()].count("True") == 1, (name, found)
        assert {c["observedGeneration"] for c in found.values()} == {generations[name]}
    for name, before in generations.items():
        after = gate.get("deploymentintent", name, namespace)["metadata"]["generation"]
        assert after == before, f"{name}: Helm changed the spec"


def test_below_ring_2_everything_is_ready(gate, make_namespace, kstatus):
    namespace = make_namespace("1")
    obj = declared(namespace, "risky", BAD)
    gate.apply("requester", obj)
    live = wait_reason(gate, namespace, "risky", "RingNotGated")
    assert kstatus.of(namespace, [obj])["risky"][0] == "Current"
    assert ArgoHealth().of(live)[0] == "Healthy"


def test_without_a_risk_model_waiting_does_not_help(gate, cluster, namespace, kstatus):
    cluster.kubectl("label", "namespace", namespace, "cabgate.dev/risk-model=missing")
    obj = declared(namespace, "web", GOOD)

    def applied():  # once the operator has seen the label
        gate.apply("requester", obj)
        found = gate.get("deploymentintent", "web", namespace)
        return ready_reason(found) == "RiskModelMissing"

    wait_until(applied, "the operator misses the model")
    live = gate.get("deploymentintent", "web", namespace)
    status, message = kstatus.of(namespace, [obj])["web"]
    assert (status, message) == ("Failed", conditions_of(live)["Ready"]["message"])
    assert ArgoHealth().of(live) == ("Degraded", message)


def test_what_the_operator_has_not_seen_is_not_ready(gate, namespace, kstatus):
    """A new intent, which has no conditions yet, and a new content of one that was ready."""
    old = declared(namespace, "old", GOOD)
    gate.apply("requester", old)
    gate.request_of(namespace, "old", "AutoApproved")
    changed = intent(
        namespace, name="old", evidence=MIDDLING, targets=[target(["old:2"], name="old")]
    )
    new = declared(namespace, "new", GOOD)
    with paused(gate.installation.operator):
        gate.apply("requester", changed)
        gate.apply("requester", new)
        seen = kstatus.of(namespace, [changed, new])
        for name in ("old", "new"):
            assert seen[name][0] == "InProgress", (name, seen)
            live = gate.get("deploymentintent", name, namespace)
            assert ArgoHealth().of(live)[0] == "Progressing", name
        ready = conditions_of(gate.get("deploymentintent", "old", namespace))["Ready"]
        assert ready["status"] == "True"  # of the content before: only the generation tells
    wait_reason(gate, namespace, "old", "ReviewPending")
    wait_reason(gate, namespace, "new", "RequestApproved")


def test_who_waits_gets_through_at_the_approval(gate, namespace, kstatus):
    """Helm waits for a person, and is told of the approval."""
    obj = declared(namespace, "web", MIDDLING, requester="somebody")
    assert kstatus.of(namespace, [obj], timeout=5)["web"][0] == "InProgress"
    name = gate.request_of(namespace, "web", "Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    assert kstatus.of(namespace, [obj], timeout=60)["web"][0] == "Current"


def test_an_intent_that_is_being_deleted_is_terminating(gate, cluster, namespace, kstatus):
    obj = declared(namespace, "web", GOOD)
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    gate.apply("requester", obj)
    wait_reason(gate, namespace, "web", "RequestApproved")
    gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace, "--wait=false")
    try:
        assert kstatus.of(namespace, [obj])["web"][0] == "Terminating"
    finally:
        body = {"metadata": {"finalizers": None}}
        gate.patch("requester", "deploymentintent", "web", namespace, body)
