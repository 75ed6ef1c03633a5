# SPDX-License-Identifier: Apache-2.0
"""Who counts as a person, who asked, and what an older release does with a newer request."""

import json
import os

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, about, exception, intent, target, workload
from support import races
from support.clients import client_of
from support.gate import denial, paused
from support.reviews import OPERATOR, refused

GROUP = "ci-robots"


@pytest.fixture(scope="module")
def gate(gate):
    """The session's installation, its webhook told of a group of machines for the time of this
    file: which users are machines by configuration cannot be asked for otherwise."""
    gate.installation.webhook.stop()
    gate.installation.start_webhook(machine_group=GROUP)
    gate.installation.wait_until_gating()
    yield gate
    gate.installation.webhook.stop()
    gate.installation.start_webhook()
    gate.installation.wait_until_gating()


def spec_of(gate, namespace, name="web"):
    return gate.get("deploymentintent", name, namespace)["spec"]


def test_a_requester_who_is_no_person_is_refused(gate, namespace):
    machine = f"system:serviceaccount:{namespace}:gitops"
    gate.user(machine)
    gate.bind(machine, "cabgate-requester", namespace)
    client = client_of(gate.user(machine))
    path = f"{races.ROOT}/{namespace}/deploymentintents"
    for name, words in (
        (" ", "Invalid: spec.requester: is blank: it names the person who asked"),
        ("\u200b", "is blank"),
        ("\u3164", "is blank"),
        ("...", "is blank"),
        ("alice\u200b", "Invalid: spec.requester: has characters that nobody sees, or blanks"),
        (" alice", "Invalid: spec.requester: has characters that nobody sees, or blanks"),
        (machine, f"Invalid: spec.requester: {machine} is a machine"),
        ("System:ServiceAccount:shop:ci", "is a machine"),
        ("system:node:n1", "is a machine"),
        ("system:anonymous", "is a machine"),
    ):
        answer = client.post(path, json=intent(namespace, evidence=MIDDLING, requester=name))
        assert answer.status_code == 403, (name, answer.text)
        assert words in answer.json()["message"], name
    gate.apply(machine, intent(namespace, evidence=MIDDLING, requester="alice"))
    assert spec_of(gate, namespace)["requestedBy"] == ["alice"]


def test_a_pipeline_with_an_identity_of_its_own_is_a_machine(gate, namespace):
    gate.user("deploy-bot", GROUP)
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind("deploy-bot", role, namespace)
    name = gate.open(namespace, MIDDLING, "Submitted", user="deploy-bot")
    request = gate.get("cabrequest", name, namespace)
    assert request["spec"]["submittedBy"] == [{"username": "deploy-bot", "type": "Machine"}]
    # It decides on nothing, and is nobody who asked.
    other = gate.open(namespace, MIDDLING, "Submitted", name="other", images=["other:1"])
    assert refused(gate, "deploy-bot", other, namespace).startswith(
        "MachineCannotDecide: deploy-bot is a machine, by its name or its groups"
    )
    assert refused(gate, "reviewer", name, namespace).startswith("RequesterNeeded: ")
    itself = intent(namespace, evidence=MIDDLING, requester="deploy-bot")
    result = gate.apply("deploy-bot", itself, check=False)
    assert denial(result).startswith("Invalid: spec.requester: deploy-bot is a machine")
    gate.apply("deploy-bot", intent(namespace, evidence=MIDDLING, requester="alice"))
    gate.request_of(namespace, state="Submitted")
    # Who may act as it counts as it.
    assert refused(gate, "admin", name, namespace).startswith(
        "SelfApproval: admin may impersonate or mint a token for deploy-bot"
    )
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")


def test_every_requester_is_kept_and_none_of_them_approves(gate, namespace):
    machine = f"system:serviceaccount:{namespace}:gitops"
    gate.user(machine)
    gate.bind(machine, "cabgate-requester", namespace)
    name = gate.open(namespace, MIDDLING, "Submitted", user=machine)
    for who in ("reviewer", "alice"):
        body = {"spec": {"requester": who}}
        gate.patch(machine, "deploymentintent", "web", namespace, body)
    for forged in (None, [], ["nobody"]):
        body = {"spec": {"requestedBy": forged}}
        gate.patch("requester", "deploymentintent", "web", namespace, body)
    gate.patch(machine, "deploymentintent", "web", namespace, {"spec": {"requester": None}})
    assert spec_of(gate, namespace)["requestedBy"] == ["reviewer", "alice"]
    gate.request_of(namespace, state="Submitted")
    assert gate.get("cabrequest", name, namespace)["spec"].get("requestedBy") is None
    message = refused(gate, "reviewer", name, namespace)
    assert message.startswith("SelfApproval: reviewer is named as the requester")
    gate.user("rita")
    gate.bind("rita", "cabgate-cab-member", namespace)
    gate.review("rita", "cabrequest", name, namespace, "Approved")
    entry = gate.get("cabrequest", name, namespace)["status"]["decisions"][-1]
    generation = gate.get("deploymentintent", "web", namespace)["metadata"]["generation"]
    checked = {
        "submittedBy": [machine],
        "requestedBy": ["alice", "reviewer"],
        "intentGeneration": generation,
        "refusals": 0,
    }
    assert entry["checked"] == checked

    def recorded():
        args = ("get", "cabdecisions", "-o", "json")
        found = gate.cluster.kubectl(*args, f"--field-selector=spec.subject.namespace={namespace}")
        items = json.loads(found.stdout)["items"]
        return [item for item in items if item["spec"]["verdict"] != "Opened"]

    (record,) = wait_until(recorded, "the decision is in the ledger")
    assert record["spec"]["checked"] == checked
    # The next release begins with nobody, and keeps what it says itself.
    body = {"spec": {"evidence": GOOD, "requester": "carol"}}
    gate.request_of(namespace, state="Approved")
    gate.patch(machine, "deploymentintent", "web", namespace, body)
    assert spec_of(gate, namespace)["requestedBy"] == ["carol"]


def test_a_review_of_what_changed_meanwhile_is_a_conflict(gate, namespace, submitted):
    with paused(gate.installation.operator):
        body = {"spec": {"summary": "something else"}}
        gate.patch("requester", "deploymentintent", "web", namespace, body)
        message = refused(gate, "reviewer", submitted, namespace)
        assert message.startswith("IntentChanged: the intent changed since")
    gate.request_of(namespace, state="Submitted")
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")


def test_who_approved_does_not_change_what_is_said_beside_it(gate, namespace, submitted):
    gate.user(races.BOTH)
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind(races.BOTH, role, namespace)
    gate.review(races.BOTH, "cabrequest", submitted, namespace, "Approved")
    where = ("deploymentintent", "web", namespace)
    result = gate.patch(races.BOTH, *where, {"spec": {"summary": "more"}}, check=False)
    assert denial(result).startswith(f"SelfApproval: {races.BOTH} approved {submitted}")
    result = gate.patch("requester", *where, {"spec": {"requester": races.BOTH}}, check=False)
    assert denial(result).startswith(f"SelfApproval: spec.requester: {races.BOTH} approved")
    gate.patch("requester", *where, {"spec": {"summary": "more"}})
    wait_until(
        lambda: any(
            c["type"] == "Decided" and c["status"] == "True"
            for c in gate.get("cabrequest", submitted, namespace)["status"]["conditions"]
        ),
        "the operator has looked at the approval",
    )
    # Another release, and the way back to what they approved, are theirs as anybody's.
    targets = [target(["web:1"])]
    gate.patch(races.BOTH, *where, {"spec": {"evidence": about(GOOD, targets)}})
    gate.request_of(namespace, state="AutoApproved")
    gate.patch(races.BOTH, *where, {"spec": {"evidence": about(MIDDLING, targets)}})
    gate.request_of(namespace, state="Approved")
    gate.create("requester", workload(namespace))


def test_nobody_is_approver_and_submitter_whatever_comes_first(gate, namespace):
    gate.user(races.BOTH)
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind(races.BOTH, role, namespace)
    for race in races.run(gate, namespace, int(os.environ.get("RACES", "40"))):
        assert race.edited in (200, 403), race
        assert race.reviewed in (200, 403, 409), race
        assert 200 in (race.edited, race.reviewed), race
        assert not (race.state == "Approved" and races.BOTH in race.people), race


def test_nobody_approves_an_exception_and_submits_whatever_comes_first(gate, namespace):
    gate.user(races.BOTH)
    for role in ("cabgate-requester", "cabgate-security-reviewer"):
        gate.bind(races.BOTH, role, namespace)
    for race in races.run(gate, namespace, 12, exceptions=True):
        assert race.edited in (200, 403), race
        assert race.reviewed in (200, 403, 409), race
        assert 200 in (race.edited, race.reviewed), race
        assert not (race.state == "Approved" and races.BOTH in race.people), race


def test_who_approved_moves_on_once_the_operator_has_looked(gate, namespace, submitted):
    gate.user(races.BOTH)
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind(races.BOTH, role, namespace)
    body = {"spec": {"evidence": about(GOOD, [target(["web:1"])])}}
    where = ("deploymentintent", "web", namespace)
    with paused(gate.installation.operator):
        gate.review(races.BOTH, "cabrequest", submitted, namespace, "Approved")
        result = gate.patch(races.BOTH, *where, body, check=False)
        assert denial(result).startswith(f"SelfApproval: {races.BOTH} approved {submitted}")
        assert "has not looked at yet" in denial(result)
    wait_until(
        lambda: gate.patch(races.BOTH, *where, body, check=False).returncode == 0,
        "the operator has looked at the approval",
    )
    gate.request_of(namespace, state="AutoApproved")
    assert gate.get("cabrequest", submitted, namespace)["status"]["state"] == "Approved"


def test_names_of_other_objects_are_names(gate, namespace):
    client = client_of(gate.user("requester"))
    base = f"{races.ROOT}/{namespace}"
    for name in ("web/status", "../cabrequests/web", "..", "web?x", "Web", "web_1"):
        answer = client.post(f"{base}/cabexceptions", json=exception(namespace, name))
        assert answer.status_code == 422, (name, answer.text)
        assert "spec.requestRef.name" in answer.json()["message"], name
        body = intent(namespace, targets=[target(["a"], name=name)])
        answer = client.post(f"{base}/deploymentintents", json=body)
        assert answer.status_code == 403, (name, answer.text)
        assert "TargetNotGated: spec.targets[0].name: " in answer.json()["message"], name
    jobs = [target(["a"], name="migrate-*", kind="Job", api_version="batch/v1")]
    gate.create("requester", intent(namespace, targets=jobs))


def test_a_request_of_a_newer_release_admits_nothing(gate, namespace):
    """The validating webhook is away for a moment, as with a newer one in its place."""
    operator, installation = gate.user(OPERATOR), gate.installation
    name = gate.open(namespace, GOOD, "AutoApproved")
    old = gate.get("cabrequest", name, namespace)
    bad = gate.open(namespace, BAD, "ExceptionRequired", name="bad", images=["bad:1"])
    newer = {
        **old,
        "metadata": {**{key: old["metadata"][key] for key in ("labels", "namespace")}},
        "spec": {**old["spec"], "requires": ["quorum"]},
    }
    newer["metadata"]["name"] = f"{name}-newer"
    newer["spec"]["targets"] = [target(["web:2"])]
    create = ("create", "-f", "-")
    result = gate.cluster.kubectl(
        *create, kubeconfig=operator, stdin=json.dumps(newer), check=False
    )
    assert denial(result).startswith("UnknownRequirement: spec.requires: request")
    installation.remove_admission()
    try:
        probe = (*create, "--dry-run=server")
        wait_until(
            lambda: (
                gate.cluster.kubectl(
                    *probe, kubeconfig=operator, stdin=json.dumps(newer), check=False
                ).returncode
                == 0
            ),
            "the webhook is away",
        )
        gate.cluster.kubectl(*create, kubeconfig=operator, stdin=json.dumps(newer))
        status = {"status": {"state": "AutoApproved", "decisions": old["status"]["decisions"]}}
        where = ("cabrequest", newer["metadata"]["name"], namespace)
        gate.patch_status("admin", *where, status, check=True)
    finally:
        installation.configure_admission()
        installation.wait_until_gating()
    denied = gate.create("requester", workload(namespace, images=["web:2"]), check=False)
    assert denial(denied).startswith("UnknownRequirement: Deployment web in namespace")
    assert "quorum" in denial(denied)
    assert "upgrade cabgate's webhook" in denial(denied)
    message = refused(gate, "security", newer["metadata"]["name"], namespace, "Revoked")
    assert message.startswith("UnknownRequirement: spec.requires: ")

    def reopen(stored):
        stored["status"]["state"] = "Submitted"

    result = gate.replace(OPERATOR, *where, reopen, "--subresource=status", check=False)
    assert denial(result).startswith("UnknownRequirement: spec.requires: ")
    # What does not rest on such a rule is as before.
    gate.create("requester", workload(namespace, images=["web:1"]))
    assert gate.get("cabrequest", bad, namespace)["status"]["state"] == "ExceptionRequired"
