# SPDX-License-Identifier: Apache-2.0
"""Back to what was approved, and past the gate in an incident, with every rule of change at its
worst. Those of Deployments in a freeze are in `test_freezes.py`."""

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, exception, intent
from support.always import rolled_out
from support.change_rules import FAR, reason_of
from support.cli import serve_rollouts
from support.freezes import freeze_of
from support.gated import KINDS, gated, url
from support.glass import breaking
from support.namespaces import label_namespace
from support.policies import change_policy
from support.reviews import now

POLICY = "rollbacks"
KEPT = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")
"""The kinds whose controllers keep what they ran."""


@pytest.fixture(scope="module")
def admin(gate):
    serve_rollouts(gate)
    return gate.client("admin")


@pytest.fixture(scope="module", autouse=True)
def policy(gate):
    rule = {"when": {"scoreFrom": "50.01"}, "count": 3, "verb": "approve"}
    gate.create("admin", change_policy(POLICY, rule, exceptions={"count": 2}))
    yield
    gate.cluster.kubectl("delete", "changepolicy", POLICY)


@pytest.fixture
def freeze(gate):
    """Declares a freeze of a namespace, which ends with the test."""
    made = []

    def declare(namespace):
        made.append(f"rollbacks-{namespace}")
        gate.create("admin", freeze_of(namespace, made[-1]))

    yield declare
    for name in made:
        gate.cluster.kubectl("delete", "changefreeze", name)


@pytest.fixture
def ran(gate, admin, make_namespace):
    """A namespace of ring 3 under the policy, whose workloads ran the first release, and now run
    one that nobody approved."""
    namespace = make_namespace(None)
    for kind in KEPT:
        answer = admin.post(url(kind, namespace), json=gated(kind, namespace))
        assert answer.status_code == 201, answer.text
    # Its controller is not there: a ReplicaSet as that would have made it.
    rollout = gate.get("rollout", "web", namespace)
    app = {"app": "web-rollout"}
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web",
             "uid": rollout["metadata"]["uid"], "controller": True}  # fmt: skip
    made = gated("ReplicaSet", namespace, "web-bcdf2")
    made["metadata"] |= {"labels": app, "ownerReferences": [owner]}
    made["spec"] |= {"selector": {"matchLabels": app}, "template": rollout["spec"]["template"]}
    gate.create("admin", made)
    kept = {"replicasets": 2, "controllerrevisions": 2}
    wait_until(
        lambda: all(len(gate.items(each, namespace)) >= kept[each] for each in kept),
        "the first release is kept",
    )
    for kind in KEPT:
        answer = rolled_out(admin, kind, namespace, dry_run=False)
        assert answer.is_success, answer.text
    labels = ("cabgate.dev/ring=3", f"cabgate.dev/change-policy={POLICY}")
    gate.kubectl("admin", "label", "namespace", namespace, *labels)
    wait_until(lambda: set(answers(admin, namespace, "web:1").values()) == {"NoRequest"}, "gated")
    release(gate, namespace, "web:1", GOOD, "AutoApproved")
    return namespace


def release(gate, namespace, image, evidence, state):
    """Declare a release of all workloads; the name of its request."""
    named = [
        {"apiVersion": KINDS[kind].api_version, "kind": kind, "name": "web", "images": [image]}
        for kind in KEPT
    ]
    gate.apply("requester", intent(namespace, evidence=evidence, targets=named))
    return gate.request_of(namespace, state=state)["metadata"]["name"]


def answers(admin, namespace, image):
    """The reason that each kind is denied an image for; empty if it is let in."""
    return {kind: reason_of(rolled_out(admin, kind, namespace, image=image)) for kind in KEPT}


def test_what_was_approved_rolls_back_whatever_holds(gate, admin, ran, freeze):
    def kept_back(image, reason):
        """A release is kept back, and each workload goes back to the first all the same."""
        assert answers(admin, ran, image) == dict.fromkeys(KEPT, reason)
        assert answers(admin, ran, "web:1") == dict.fromkeys(KEPT, "")

    gate.user("sam")
    gate.bind("sam", "cabgate-security-reviewer", ran)
    request = release(gate, ran, "web:3", BAD, "ExceptionRequired")
    kept_back("web:3", "ExceptionRequired")
    limits = {"maxRing": 2, "windows": [FAR]}
    gate.create("requester", exception(ran, request, constraints=limits))
    gate.review("security", "cabexception", "leave", ran, "Approved")
    kept_back("web:3", "ExceptionPending")
    gate.review("sam", "cabexception", "leave", ran, "Approved")
    kept_back("web:3", "ConstraintViolated")
    release(gate, ran, "web:4", GOOD, "AutoApproved")
    latest = max(each["metadata"]["creationTimestamp"] for each in gate.items("replicasets", ran))
    wait_until(lambda: now() > latest, "a freeze begins after that")
    freeze(ran)
    kept_back("web:4", "Frozen")


def test_an_incident_does_not_wait_for_the_end_of_a_freeze(gate, admin, namespace, freeze):
    with breaking(gate, "frozen") as glass:
        glass.make(namespace)
        label_namespace(gate.cluster, namespace, "cabgate.dev/change-policy", POLICY)
        release(gate, namespace, "web:2", GOOD, "AutoApproved")
        freeze(namespace)
        assert reason_of(rolled_out(admin, "Deployment", namespace)) == "Frozen"
        assert glass.breaks("breaker", namespace).status_code == 200
        glass.opened(namespace)
