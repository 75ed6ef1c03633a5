# SPDX-License-Identifier: Apache-2.0
"""Freezes, on the real API server: what they keep back, what passes, who overrides one."""

import json
import re
from pathlib import Path

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import API_VERSION, intent, target, workload
from support.cli import cabgate
from support.gate import denial, paused
from support.ledger import auditing
from support.policies import change_policy
from support.reviews import middling, now, refused

LABEL = "cabgate.dev/change-policy"
POLICY = "in-freezes"
TO = "deployment/web"


@pytest.fixture(scope="module", autouse=True)
def policy(gate):
    """The policy of the namespaces of this file: one approval, as without any."""
    gate.create("admin", change_policy(POLICY, {"count": 1, "verb": "approve"}))
    yield
    gate.cluster.kubectl("delete", "changepolicy", POLICY)


@pytest.fixture(scope="module")
def auditor(gate):
    with auditing(gate, "freezes-auditor") as made:
        yield made


@pytest.fixture
def frozen(gate, namespace):
    """Declares a freeze of the namespace, which ends with the test."""
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}={POLICY}")
    made = []

    def declare(name="december", begins=None, ends=None, **spec):
        name = f"{name}-{namespace}"
        interval = {"from": begins or now(days=-1), "until": ends or now(days=1)}
        values = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
        gate.create("admin", freeze(name, [interval], [values], **spec))
        made.append(name)
        return name

    yield declare
    for name in made:
        gate.cluster.kubectl("delete", "changefreeze", name, "--ignore-not-found")


def freeze(name, intervals, terms, **spec):
    return {
        "apiVersion": API_VERSION,
        "kind": "ChangeFreeze",
        "metadata": {"name": name},
        "spec": {
            "kind": "Freeze",
            "title": "Christmas",
            "reason": "Nobody is there to mend what breaks.",
            "intervals": intervals,
            "namespaceSelector": {"matchExpressions": terms},
            **spec,
        },
    }


def release(gate, namespace, number, kind="Deployment", name="web"):
    """Have the images of a release approved; the name of its request."""
    wanted = [target([f"web:{number}"], name, kind)]
    of = "web" if name == "web" else f"of-{name}"
    gate.apply("requester", intent(namespace, name=of, evidence=middling(number), targets=wanted))
    request = gate.request_of(namespace, of, "Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", request, namespace, "Approved")
    gate.wait_state("cabrequest", request, namespace, "Approved")
    return request


def to_release(gate, namespace, number, *args, check=False, to=TO):
    words = ("set", "image", to, f"*=web:{number}", "-n", namespace, *args)
    return gate.kubectl("requester", *words, check=check)


def running(gate, namespace, kind="Deployment"):
    """A workload that ran two releases, each of which its controller keeps."""
    release(gate, namespace, 1, kind)
    gate.create("requester", workload(namespace, kind=kind))
    to = f"{kind.lower()}/web"
    kept = "replicasets" if kind == "Deployment" else "controllerrevisions"

    def revisions(count):
        found = gate.items(kept, namespace)
        return found if len(found) == count else None

    wait_until(lambda: revisions(1), "the first release is kept")
    release(gate, namespace, 2, kind)
    to_release(gate, namespace, 2, check=True, to=to)
    found = wait_until(lambda: revisions(2), "both releases are kept")
    latest = max(each["metadata"]["creationTimestamp"] for each in found)
    wait_until(lambda: now() > latest, "a freeze begins after that")
    return found


def ready(gate, namespace):
    """Why the intent is ready, or not."""
    status = gate.get("deploymentintent", "web", namespace)["status"]
    return next(each["reason"] for each in status["conditions"] if each["type"] == "Ready")


def write(folder, obj):
    path = folder / "manifest.json"
    path.write_text(json.dumps(obj))
    return path


def test_a_freeze_keeps_back_what_is_new_and_lets_the_rest_pass(gate, namespace, frozen, tmp_path):
    running(gate, namespace)
    name = frozen()
    end = gate.get("changefreeze", name, "")["spec"]["intervals"][0]["until"]
    request = release(gate, namespace, 3)
    said = denial(to_release(gate, namespace, 3))
    assert said.startswith("Frozen: Deployment web in namespace")
    assert f'ChangeFreeze {name}, "Christmas", holds until {end}' in said
    assert "the verb override on changefreezes.cabgate.dev" in said
    assert f'"overrides":["{name}"]' in said
    assert name in cabgate(gate, "requester", f"freeze list -n {namespace}", code=1).stdout
    newest = write(tmp_path, workload(namespace, images=["web:3"]))
    explained = cabgate(gate, "requester", f"explain -f {newest}", code=1).stdout
    assert f"approved, but ChangeFreeze {name} holds until" in explained
    before = write(tmp_path, workload(namespace))
    assert "Decision   admitted" in cabgate(gate, "requester", f"explain -f {before}").stdout
    for words in (
        ("scale", TO, "--replicas=5"),
        ("label", TO, "team=shop"),
        ("rollout", "undo", TO),
        ("rollout", "restart", TO),
    ):
        gate.kubectl("requester", *words, "-n", namespace)
    stored = gate.get("deployment", "web", namespace)
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
    to_release(gate, namespace, 2, check=True)
    wait_until(lambda: ready(gate, namespace) == "Frozen", "the intent says so")
    events = gate.items("events", namespace)
    assert [name in each["message"] for each in events if each["reason"] == "Frozen"] == [True]
    assert gate.get("cabrequest", request, namespace)["status"]["state"] == "Approved"
    # What is created anew runs for the first time, whatever it is called.
    gate.kubectl("requester", "delete", TO, "-n", namespace)
    again = gate.create("requester", workload(namespace, images=["web:3"]), check=False)
    assert denial(again).startswith("Frozen: ")


def test_a_stateful_set_rolls_back_by_its_revisions(gate, namespace, frozen):
    running(gate, namespace, "StatefulSet")
    frozen()
    sets = "statefulset/web"
    gate.kubectl("requester", "rollout", "undo", sets, "-n", namespace)
    changed = {"op": "add", "path": "/spec/template/spec/containers/0/command", "value": ["sh"]}
    done = gate.patch("requester", "statefulset", "web", namespace, [changed], kind="json",
                      check=False)  # fmt: skip
    assert denial(done).startswith("Frozen: "), "the same image, which does another thing"


def test_who_may_override_a_freeze_does_so_for_one_request(gate, auditor, namespace, frozen):
    running(gate, namespace)
    name, other = frozen(), frozen("sale")
    for person in ("ann", "bob"):
        gate.user(person)
        gate.bind(person, "cabgate-cab-member", namespace)
    gate.bind("ann", "cabgate-freeze-override", namespace)
    request = release(gate, namespace, 3)
    assert denial(to_release(gate, namespace, 3)).startswith("Frozen: ")
    both = {"overrides": [name, other]}
    without = refused(gate, "bob", request, namespace, **both)
    assert "bob lacks the RBAC verb 'override' on changefreezes.cabgate.dev" in without
    assert "there is no ChangeFreeze easter" in refused(
        gate, "ann", request, namespace, overrides=["easter"]
    )
    for role in ("cabgate-cab-member", "cabgate-freeze-override"):
        gate.bind("requester", role, namespace)
    assert refused(gate, "requester", request, namespace, **both).startswith("SelfApproval: ")
    assert refused(gate, "bob", request, namespace).startswith("IllegalTransition: ")
    gate.review("ann", "cabrequest", request, namespace, "Approved", overrides=[name])
    assert f"ChangeFreeze {other}" in denial(to_release(gate, namespace, 3))
    gate.review("ann", "cabrequest", request, namespace, "Approved", overrides=[other])
    to_release(gate, namespace, 3, check=True)
    wait_until(lambda: ready(gate, namespace) == "RequestApproved", "the intent says so")
    again = refused(gate, "ann", request, namespace, **both)
    assert f"overrides {name}, {other} already" in again
    gate.bind("ann", "cabgate-requester", namespace)
    other_words = {"spec": {"summary": "in the words of ann"}}
    submitted = gate.patch("ann", "deploymentintent", "web", namespace, other_words, check=False)
    assert "ann approved" in denial(submitted)
    status = gate.get("cabrequest", request, namespace)["status"]
    assert status["state"] == "Approved"
    given = [each for each in status["decisions"] if each.get("overrides")]
    assert [each["overrides"] for each in given] == [[name], [other]]
    assert all(each["signature"] for each in given)

    def recorded():
        records = gate.cluster.api.items("cabdecisions", "")
        found = [each["spec"] for each in records if each["spec"]["subject"]["name"] == request]
        return [each for each in found if each.get("overrides") == [other]]

    (record,) = wait_until(recorded, "the ledger has the override")
    assert record["author"]["username"] == "ann"
    auditor.wait_complete(namespace)
    assert auditor.codes(namespace) == set()
    # It is of that request alone.
    release(gate, namespace, 4)
    assert denial(to_release(gate, namespace, 4)).startswith("Frozen: ")


def test_an_approval_of_before_a_freeze_overrides_none_of_its_name(gate, namespace, frozen):
    running(gate, namespace)
    name = frozen()
    gate.user("ann")
    gate.bind("ann", "cabgate-cab-member", namespace)
    gate.bind("ann", "cabgate-freeze-override", namespace)
    request = release(gate, namespace, 3)
    gate.review("ann", "cabrequest", request, namespace, "Approved", overrides=[name])
    to_release(gate, namespace, 3, "--dry-run=server", check=True)
    gate.cluster.kubectl("delete", "changefreeze", name)
    given = gate.get("cabrequest", request, namespace)["status"]["decisions"][-1]["at"]
    wait_until(lambda: now() > given, "the next freeze is declared later")
    frozen()
    assert denial(to_release(gate, namespace, 3)).startswith("Frozen: ")


def test_a_freeze_begins_and_ends_with_the_operator_stopped(gate, namespace, frozen):
    release(gate, namespace, 1)
    gate.create("requester", workload(namespace))
    release(gate, namespace, 2)

    def tried():
        return to_release(gate, namespace, 2, "--dry-run=server")

    with paused(gate.installation.operator):
        begins = frozen("begins", begins=now(seconds=4))
        wait_until(lambda: "Frozen: " in tried().stderr, "it has begun")
        frozen("ends", ends=now(seconds=4))
        gate.cluster.kubectl("delete", "changefreeze", begins)
        wait_until(lambda: tried().returncode == 0, "it has ended")


def test_nobody_makes_a_history_for_what_is_new(gate, namespace, frozen):
    """ReplicaSets that pretend that a workload ran what it never did."""
    kept = running(gate, namespace)
    stored = gate.get("deployment", "web", namespace)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "controller": True}
    owner |= {"uid": stored["metadata"]["uid"], "blockOwnerDeletion": True}
    # Approved under its own name, before the freeze: it is there, and proves nothing.
    release(gate, namespace, 3, "ReplicaSet", "web-bcdf2")
    gate.create("requester", replica_set(namespace, "web-bcdf2", "web:3", [owner]))
    other = workload(namespace, name="other", images=["web:3"])
    release(gate, namespace, 3, name="other")
    gate.create("requester", other)

    def of_other():
        sets = gate.items("replicasets", namespace)
        return [each for each in sets if re.match("other-", each["metadata"]["name"])]

    (its,) = wait_until(of_other, "the other workload runs it")
    latest = its["metadata"]["creationTimestamp"]
    wait_until(lambda: now() > latest, "a freeze begins after that")
    frozen()
    release(gate, namespace, 3)
    assert denial(to_release(gate, namespace, 3)).startswith("Frozen: ")
    # Another workload's, given away.
    body = {"metadata": {"ownerReferences": [owner], "labels": {"app": "web"}}}
    gate.patch("requester", "replicaset", its["metadata"]["name"], namespace, body)
    assert denial(to_release(gate, namespace, 3)).startswith("Frozen: ")
    # Its own of before, which is to be another.
    first = kept[0]["metadata"]["name"]
    changed = gate.kubectl(
        "requester", "set", "image", f"replicaset/{first}", "*=web:3", "-n", namespace, check=False
    )
    assert denial(changed)
    # A new one, by its name.
    late = replica_set(namespace, "web-bcdf4", "web:3", [owner])
    assert denial(gate.create("requester", late, check=False))
    assert denial(to_release(gate, namespace, 3)).startswith("Frozen: ")


def replica_set(namespace, name, image, owners):
    made = workload(namespace, name="web", kind="ReplicaSet", images=[image])
    made["metadata"] |= {"name": name, "ownerReferences": owners, "labels": {"app": "web"}}
    made["spec"]["replicas"] = 0
    return made


def test_no_team_leaves_a_freeze_or_ends_it(gate, namespace, frozen):
    running(gate, namespace)
    name = frozen()
    keeper = "freeze-namespace-editor"
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch", "update"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    gate.apply("admin", {**role, "metadata": {"name": keeper}, "rules": [rule]})
    gate.bind("requester", keeper, namespace)
    words = ("label", "namespace", namespace, f"{LABEL}-")
    assert f"changing metadata.labels[{LABEL}]" in gate.refused("requester", *words)
    assert "forbidden" in gate.refused("requester", "delete", "changefreeze", name)
    narrower = {"spec": {"ringFrom": 4}}
    words = ("patch", "changefreeze", name, "--type=merge", "-p", json.dumps(narrower))
    assert "forbidden" in gate.refused("requester", *words)
    assert "never changes" in gate.refused("admin", *words)
    # By a label that its team could change, none is declared.
    own = {"key": "team", "operator": "NotIn", "values": ["shop"]}
    interval = {"from": now(), "until": now(days=1)}
    tried = gate.create("admin", freeze("by-team", [interval], [own]), check=False)
    assert "teams may be able to change any other label" in tried.stderr
    turned = {"from": now(days=1), "until": now()}
    tried = gate.create("admin", freeze("turned", [turned], []), check=False)
    assert "from must be earlier than until" in tried.stderr
    # Nor one of which nobody could say when it ends.
    tried = gate.create("admin", freeze("endless", [{"from": now()}], []), check=False)
    assert "spec.intervals[0].until: Required value" in tried.stderr


def test_the_examples_are_taken_as_they_stand(gate):
    root = Path(__file__).resolve().parents[3]
    tried = gate.kubectl("admin", "create", "--dry-run=server", "-f", root / "examples/freezes")
    assert tried.stdout.count("created (server dry run)") == 2
