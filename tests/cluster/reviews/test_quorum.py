# SPDX-License-Identifier: Apache-2.0
"""Approvals of several people, on the real API server: what counts, and what never waits for it."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.opening import request_for
from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent, target, workload
from support import races
from support.clients import client_of, decided_answer
from support.gate import denial
from support.policies import change_policy
from support.reviews import OPERATOR, decisions, now, refused

LABEL = "cabgate.dev/change-policy"
SENIOR = "board-senior"
REVIEW = {"status": {"review": {"verdict": "Approved", "rationale": "reviewed"}}}
BOARD = "board"
PEOPLE = [f"voter-{number}" for number in range(20)]


@pytest.fixture(scope="module", autouse=True)
def policies(gate):
    """The policies of this file, and a role that holds their verb."""
    made = {
        "two": [{"count": 2, "verb": "approve"}],
        "three": [{"count": 3, "verb": "approve"}],
        "senior": [{"count": 1, "verb": "approve"}, {"count": 1, "verb": "approve-senior"}],
    }
    for name, rules in made.items():
        gate.create("admin", change_policy(name, *rules))
    rule = {"apiGroups": ["cabgate.dev"], "resources": ["cabrequests"], "verbs": ["approve-senior"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    gate.create("admin", {**role, "metadata": {"name": SENIOR}, "rules": [rule]})
    yield
    for name in made:
        gate.cluster.kubectl("delete", "changepolicy", name)


def under(gate, namespace, policy, *people):
    """The namespace asks for what a policy says, and some people may approve there."""
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}={policy}")
    for person in people:
        gate.user(person)
        gate.bind(person, "cabgate-cab-member", namespace)


def bind_board(gate, namespace):
    """The group of all who approve at once may do so in the namespace."""
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": BOARD}
    role = {**group, "kind": "ClusterRole", "name": "cabgate-cab-member"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    metadata = {"name": BOARD, "namespace": namespace}
    gate.create("admin", {**binding, "metadata": metadata, "roleRef": role, "subjects": [group]})
    read = ("auth", "can-i", "approve", "cabrequests.cabgate.dev", "-n", namespace)
    wait_until(
        lambda: gate.kubectl(PEOPLE[0], *read, check=False).returncode == 0, "the board is bound"
    )


def rollout(gate, namespace):
    return gate.create("requester", workload(namespace), "--dry-run=server", check=False)


def test_two_people_approve_and_neither_is_counted_twice(gate, namespace):
    under(gate, namespace, "two", "ann", "bob", "requester")
    name = gate.open(namespace, MIDDLING, "Submitted")
    spec = gate.get("cabrequest", name, namespace)["spec"]
    assert spec["terms"]["approvals"] == [{"count": 2, "verb": "approve"}]
    assert spec["requires"] == ["Quorum"]
    assert "has approvals 0/2" in denial(rollout(gate, namespace))
    warned = gate.review("ann", "cabrequest", name, namespace, "Approved").stderr
    assert "1/2; it is not approved before 1 more person with the verb approve" in warned
    gate.wait_state("cabrequest", name, namespace, "UnderReview")
    waits = wait_until(lambda: shown(gate, name, namespace, "1/2"), "the approvals are shown")
    assert "lacking 1 more person with the verb approve" in waits
    assert "has approvals 1/2" in denial(rollout(gate, namespace))
    assert "ann has approved it already" in refused(gate, "ann", name, namespace)
    assert refused(gate, "requester", name, namespace).startswith("SelfApproval: ")
    # Nor is it the intent of who approved it.
    gate.bind("ann", "cabgate-requester", namespace)
    beside = intent(namespace, evidence=MIDDLING, summary="other words")
    assert "ann approved" in denial(gate.apply("ann", beside, check=False))
    gate.review("bob", "cabrequest", name, namespace, "Approved")
    gate.wait_state("cabrequest", name, namespace, "Approved")
    assert rollout(gate, namespace).returncode == 0
    assert [who for _, who in decisions(gate, name, namespace)] == ["ann", "bob"]
    verified = gate.get("cabrequest", name, namespace)["status"]["decisions"]
    assert [each["verbs"] for each in verified] == [["approve"], ["approve"]]
    assert all(each["signature"] for each in verified)


def shown(gate, name, namespace, approvals):
    """What the condition of a request says, once the column shows so many approvals."""
    status = gate.get("cabrequest", name, namespace)["status"]
    if status.get("approvals") != approvals:
        return None
    return next(each["message"] for each in status["conditions"] if each["type"] == "Decided")


def test_a_verb_that_nobody_gave_is_not_had_by_writing_it(gate, namespace):
    under(gate, namespace, "senior", "ann", "bob", "sue")
    gate.bind("sue", SENIOR, namespace)
    name = gate.open(namespace, GOOD, "Submitted")
    gate.review("ann", "cabrequest", name, namespace, "Approved")
    gate.user("bob")
    path = f"{races.ROOT}/{namespace}/cabrequests/{name}/status"
    merge = {"Content-Type": "application/merge-patch+json"}
    client = client_of(gate.user("bob"))
    tried = client.patch(path, json=REVIEW, headers=merge, params={"dryRun": "All"}).json()
    *before, own = tried["status"]["decisions"]
    assert own["verbs"] == ["approve"]
    for verbs in (["approve", "approve-senior"], ["approve-senior"], []):

        def answered(verbs=verbs):
            """What is said to it; a machine that is busy takes longer than a clock may be off."""
            forged = {**own, "at": now(), "verbs": verbs}
            body = {"status": {"state": "Approved", "decisions": [*before, forged]}}
            message = client.patch(path, json=body, headers=merge).json()["message"]
            return None if "status.decisions.at: " in message else message

        words = "NotAuthorized: " if not verbs else "WrongContent: status.decisions.verbs: "
        assert words in wait_until(answered, "an answer in time"), verbs
    gate.review("bob", "cabrequest", name, namespace, "Approved")
    assert "lacks 1 more person with the verb approve-senior" in denial(rollout(gate, namespace))
    gate.review("sue", "cabrequest", name, namespace, "Approved")
    gate.wait_state("cabrequest", name, namespace, "Approved")
    assert rollout(gate, namespace).returncode == 0


def test_of_twenty_who_approve_at_once_three_are_counted_and_none_is_lost(gate, namespace):
    under(gate, namespace, "three")
    for person in PEOPLE:
        gate.user(person, BOARD)
    bind_board(gate, namespace)
    clients = [client_of(gate.user(person)) for person in PEOPLE]
    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        for number in range(int(os.environ.get("RACES", "3"))):
            workloads = [target([f"race-{number}:1"], name=f"race-{number}")]
            name = gate.open(
                namespace, MIDDLING, "Submitted", name=f"race-{number}", targets=workloads
            )
            path = f"{races.ROOT}/{namespace}/cabrequests/{name}/status"
            answers = list(pool.map(lambda client, path=path: approve(client, path), clients))
            everybody = zip(PEOPLE, answers, strict=True)
            admitted = [who for who, answer in everybody if answer.is_success]
            others = [answer.json()["message"] for answer in answers if not answer.is_success]
            gate.wait_state("cabrequest", name, namespace, "Approved")
            given = decisions(gate, name, namespace)
            found = [who for verdict, who in given if verdict == "Approved"]
            assert sorted(found) == sorted(admitted)
            assert len(found) == 3
            assert [each for each in others if LATE not in each] == []


LATE = "is Approved and cannot become Approved"
"""What is said to whoever approves what has its approvals."""


def approve(client, path):
    """The answer to an approval, which is asked for again where another was stored meanwhile, or
    nothing was decided, whatever the reason."""
    while True:
        answer = decided_answer(lambda: client.patch(path, json=REVIEW, headers=races.MERGE))
        again = answer.is_server_error or answer.status_code == httpx.codes.CONFLICT
        if not again and "Nothing was decided: try again." not in answer.text:
            return answer


def test_no_team_takes_its_policy_away_and_no_operator_leaves_it_out(gate, namespace):
    under(gate, namespace, "two")
    keeper = "namespace-editor"
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch", "update"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    gate.apply("admin", {**role, "metadata": {"name": keeper}, "rules": [rule]})
    gate.user("team")
    gate.bind("team", keeper, namespace)
    for value in (f"{LABEL}-", f"{LABEL}=three"):
        words = ("label", "namespace", namespace, value, "--overwrite")
        assert f"changing metadata.labels[{LABEL}] from two" in gate.refused("team", *words)
    weaker = {"spec": {"approvals": [{"count": 1, "verb": "approve"}]}}
    words = ("patch", "changepolicy", "two", "--type=merge", "-p", json.dumps(weaker))
    assert "never changes" in gate.refused("admin", *words)
    assert "forbidden" in gate.refused("team", *words)
    gate.open(namespace, MIDDLING, "Submitted")
    stored = gate.get("deploymentintent", "web", namespace)
    other = DeploymentIntent.model_validate(stored)
    without = request_for(other, 2).to_dict()
    without["metadata"]["name"] += "-again"
    body = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABRequest", **without}
    rogue = gate.create(OPERATOR, body, check=False)
    assert denial(rogue).startswith("WrongContent: ")


def test_a_policy_that_is_not_there_or_not_known_opens_nothing(gate, namespace):
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=late")
    gate.declare("requester", intent(namespace, evidence=MIDDLING))

    def reason():
        status = gate.get("deploymentintent", "web", namespace).get("status", {})
        ready = [each for each in status.get("conditions", []) if each["type"] == "Ready"]
        return bool(ready) and ready[0]["reason"] == "ChangePolicyMissing"

    wait_until(reason, "the intent says that its policy is missing")
    said = denial(rollout(gate, namespace))
    assert said.startswith("NoRequest: "), said
    assert "DeploymentIntent web declares them, and none is opened for it: ChangePolicyMi" in said
    gate.create("admin", change_policy("late"))
    try:
        name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
        found = gate.get("cabrequest", name, namespace)["spec"]["terms"]["policy"]
        assert (found["name"], found["version"]) == ("late", "1")
        # What is open keeps its terms, whatever becomes of the policy.
        gate.cluster.kubectl("delete", "changepolicy", "late")
        assert "has approvals 0/2" in denial(rollout(gate, namespace))
    finally:
        gate.cluster.kubectl("delete", "changepolicy", "late", "--ignore-not-found")


def rollout_to(gate, namespace, image):
    words = ("set", "image", "deployment/web", f"*={image}", "-n", namespace, "--dry-run=server")
    return gate.kubectl("requester", *words, check=False)


def test_what_never_waits_for_an_approval_does_not_wait_for_two(gate, namespace):
    """Scaling, restarts, labels, deletion, and back to images that were approved."""
    old = gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace))
    under(gate, namespace, "three", "ann")
    gate.apply("requester", intent(namespace, evidence=MIDDLING, images=["web:2"]))
    gate.request_of(namespace, state="Submitted")
    to = "deployment/web"
    for words in (
        ("scale", to, "--replicas=5"),
        ("rollout", "restart", to),
        ("label", to, "team=shop"),
    ):
        gate.kubectl("requester", *words, "-n", namespace)
    denied = gate.refused("requester", "set", "image", to, "*=web:2", "-n", namespace)
    assert "has approvals 0/3" in denied
    # What runs was let past the gate: back to what was approved waits for none of the three.
    unapproved = ("set", "image", to, "*=web:3", "-n", namespace)
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring=0", "--overwrite")
    wait_until(lambda: gate.kubectl("requester", *unapproved, check=False).returncode == 0, "past")
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring=2", "--overwrite")
    wait_until(lambda: rollout_to(gate, namespace, "web:2").returncode != 0, "it is gated again")
    gate.kubectl("requester", "rollout", "undo", to, "-n", namespace, "--to-revision=1")
    [container] = gate.get("deployment", "web", namespace)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "web:1"
    assert gate.get("cabrequest", old, namespace)["status"]["state"] == "AutoApproved"
    gate.kubectl("requester", "delete", to, "-n", namespace, "--wait=false")
