# SPDX-License-Identifier: Apache-2.0
"""What a change policy asks beside approvals, on the real API server: for how long one is good, and
what an exception needs."""

import pytest

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.opening import wanted_name
from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, exception, intent, target, workload
from support.gate import denial, paused
from support.policies import change_policy
from support.reviews import middling

LABEL = "cabgate.dev/change-policy"
TO = "deployment/web"
STAMP = "spec.approvalsNeeded"
RULE = {"count": 2, "maxDays": 30, "require": ["maxReplicas"]}
ENDS = 15
"""Seconds for which an approval is good here: two releases are approved and rolled out in them."""


@pytest.fixture(scope="module", autouse=True)
def policies(gate):
    """The policies of this file."""
    gate.create("admin", change_policy(
        "brief", {"count": 1, "verb": "approve", "validFor": f"{ENDS}s"}))  # fmt: skip
    gate.create("admin", change_policy("watched", exceptions=RULE))
    yield
    gate.cluster.kubectl("delete", "changepolicy", "brief", "watched")


def declared(gate, namespace, number, evidence):
    wanted = [target([f"web:{number}"], "web", "Deployment")]
    gate.apply("requester", intent(namespace, evidence=evidence, targets=wanted))


def release(gate, namespace, number):
    """Have the image of a release approved."""
    declared(gate, namespace, number, middling(number))
    request = gate.request_of(namespace, "web", "Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", request, namespace, "Approved")
    return request


def to_release(gate, namespace, number, *args, check=True):
    words = ("set", "image", TO, f"*=web:{number}", "-n", namespace, *args)
    return gate.kubectl("requester", *words, check=check)


def test_an_approval_ends_and_what_ran_before_rolls_back(gate, namespace):
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=brief")
    request = release(gate, namespace, 1)
    assert gate.get("cabrequest", request, namespace)["spec"]["requires"] == ["Quorum", "Validity"]
    gate.create("requester", workload(namespace, images=["web:1"]))
    wait_until(lambda: gate.items("replicasets", namespace), "the first release is kept")
    release(gate, namespace, 2)
    to_release(gate, namespace, 2)
    release(gate, namespace, 3)

    def tried():
        return to_release(gate, namespace, 3, "--dry-run=server", check=False)

    with paused(gate.installation.operator):
        said = wait_until(lambda: "ApprovalEnded: " in (r := tried()).stderr and denial(r),
                          "the approval of the third has ended")  # fmt: skip
    assert said.endswith(f"kubectl edit deploymentintent web -n {namespace}")
    assert "What ran here before that rolls back all the same" in said
    for words in (
        ("scale", TO, "--replicas=5"),
        ("rollout", "undo", TO),
        ("rollout", "restart", TO),
    ):
        gate.kubectl("requester", *words, "-n", namespace)
    stored = gate.get("deployment", "web", namespace)
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
    to_release(gate, namespace, 2)

    def shown():
        status = gate.get("deploymentintent", "web", namespace)["status"]
        return [c["reason"] for c in status["conditions"] if c["type"] == "Ready"]

    wait_until(lambda: shown() == ["ApprovalEnded"], "the intent says so")
    to_release(gate, namespace, 1)
    declared(gate, namespace, 1, middling(4))
    gate.request_of(namespace, "web", "Submitted")
    wait_until(lambda: shown() == ["RequestApproved"], "it runs what is declared")
    to_release(gate, namespace, 2)
    to_release(gate, namespace, 1)  # new evidence that waits stops no rollback


def test_an_exception_needs_what_the_policy_says(gate, namespace):
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=watched")
    for person in ("sec-ann", "sec-bob"):
        gate.user(person)
        gate.bind(person, "cabgate-security-reviewer", namespace)
    request = gate.open(namespace, BAD, "ExceptionRequired")
    assert "Exceptions" in gate.get("cabrequest", request, namespace)["spec"]["requires"]
    lacking = gate.create("requester", exception(namespace, request, durationDays=60), check=False)
    said = denial(lacking)
    assert said.startswith("ExceptionNotAllowed: ")
    assert "spec.durationDays: 60; the change policy of its request allows 30" in said
    assert "spec.constraints.maxReplicas: missing" in said
    few = exception(namespace, request, constraints={"maxReplicas": 2}, approvalsNeeded=9)
    gate.create("requester", few)
    assert gate.get("cabexception", "leave", namespace)["spec"]["approvalsNeeded"] == 2

    def tried():
        return gate.create("requester", workload(namespace), "--dry-run=server", check=False)

    warned = gate.review("sec-ann", "cabexception", "leave", namespace, "Approved").stderr
    assert "approvals of leave: 1/2; it is not approved before 1 more person" in warned
    assert "waits for a security reviewer with approvals 1/2" in denial(tried())
    again = gate.review("sec-ann", "cabexception", "leave", namespace, "Approved", check=False)
    assert "sec-ann has approved leave already" in denial(again)
    gate.review("sec-bob", "cabexception", "leave", namespace, "Approved")
    assert gate.get("cabexception", "leave", namespace)["status"]["state"] == "Approved"
    assert tried().returncode == 0


def test_an_exception_of_before_its_request_is_asked_for_anew_by_the_command_that_is_named(
    gate, namespace
):
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=watched")
    gate.user("sec-ann")
    gate.bind("sec-ann", "cabgate-security-reviewer", namespace)
    declared = intent(namespace, evidence=BAD)
    name = wanted_name(DeploymentIntent.model_validate(declared))
    early = exception(namespace, name, constraints={"maxReplicas": 2})
    assert "until there is, nobody can approve" in gate.create("requester", early).stderr
    gate.declare("requester", declared)
    request = gate.request_of(namespace, state="ExceptionRequired")
    assert request["metadata"]["name"] == name
    refused = gate.review("sec-ann", "cabexception", "leave", namespace, "Approved", check=False)
    said = denial(refused)
    assert said.startswith(f"ExceptionNotAllowed: {STAMP}: 1, and the terms of request {name} ask")
    command = said[said.index("kubectl get cabexception") :]
    result = gate.shell("requester", command)
    assert result.returncode == 0, result.stderr
    assert gate.get("cabexception", "leave", namespace)["spec"]["approvalsNeeded"] == 2
    gate.review("sec-ann", "cabexception", "leave", namespace, "Approved")
