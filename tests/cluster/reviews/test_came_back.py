# SPDX-License-Identifier: Apache-2.0
"""A request that was approved, was superseded and came back, on the real API server: it waits for a
person, and what ran by it can be revoked."""

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent, target, workload
from support.gate import denial, paused


def test_an_approval_that_ended_and_came_back_can_be_revoked(gate, namespace):
    beside = [target(["web:1"]), target(["db:1"], name="db", kind="StatefulSet")]
    first = gate.open(namespace, GOOD, "AutoApproved", targets=beside)
    gate.apply("requester", workload(namespace, images=["web:1"]))
    worse = gate.open(namespace, MIDDLING, "Submitted", targets=beside)
    refused = gate.review("security", "cabrequest", worse, namespace, "Revoked", check=False)
    assert "nothing was ever approved by it: reject it" in denial(refused)
    gate.review("reviewer", "cabrequest", worse, namespace, "Rejected")
    # Back to the evidence that was approved: held by what was rejected since.
    assert gate.open(namespace, GOOD, "Submitted", targets=beside) == first
    gate.review("reviewer", "cabrequest", first, namespace, "UnderReview")

    gate.review("security", "cabrequest", first, namespace, "Revoked", images=["web:1"])
    gate.wait_state("cabrequest", first, namespace, "Revoked")
    gate.kubectl("requester", "delete", "deployment", "web", "-n", namespace)
    again = workload(namespace, images=["web:1"])
    assert denial(gate.create("requester", again, check=False)).startswith("Revoked: ")


def test_with_the_operator_down_an_approval_of_nobody_s_own_is_not_lost(gate, namespace):
    """Approved, changed by the team, and then by who approved: they wait, and it stands."""
    gate.bind("reviewer", "cabgate-requester", namespace)
    name = gate.open(namespace, MIDDLING, "Submitted")
    with paused(gate.installation.operator):
        gate.review("reviewer", "cabrequest", name, namespace, "Approved")
        gate.apply("requester", intent(namespace, images=["web:2"], evidence=MIDDLING))
        theirs = intent(namespace, images=["web:3"], evidence=MIDDLING)
        message = denial(gate.apply("reviewer", theirs, check=False))
        assert message.startswith(f"SelfApproval: reviewer approved {name}, which the operator has")
        claimed = intent(namespace, images=["web:2"], evidence=MIDDLING, requester="reviewer")
        assert denial(gate.apply("requester", claimed, check=False)).startswith("SelfApproval: ")
    second = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    assert second != name
    decided = gate.wait_state("cabrequest", name, namespace, "Approved")["status"]["decisions"]
    assert [each["verdict"] for each in decided] == ["Approved"]
    wait_until(
        lambda: gate.apply("reviewer", theirs, check=False).returncode == 0,
        "who approved may change what is declared now",
    )
    assert gate.request_of(namespace, state="Submitted")["metadata"]["name"] != second
    decided = gate.wait_state("cabrequest", name, namespace, "Approved")["status"]["decisions"]
    assert [each["verdict"] for each in decided] == ["Approved"]


def test_nobody_else_takes_an_approval_back(gate, namespace):
    """The team deletes the intent and creates it anew, and names who approved as who asked."""
    name = gate.open(namespace, MIDDLING, "Submitted")
    named = intent(namespace, evidence=MIDDLING, requester="reviewer")
    elsewhere = intent(namespace, images=["web:2"], evidence=MIDDLING, requester="reviewer")
    with paused(gate.installation.operator):
        gate.review("reviewer", "cabrequest", name, namespace, "Approved")
        gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
        message = denial(gate.create("requester", named, check=False))
        assert message.startswith(f"SelfApproval: spec.requester: reviewer approved {name}")
        gate.create("requester", elsewhere)
        assert denial(gate.apply("requester", named, check=False)).startswith("SelfApproval: ")
    gate.request_of(namespace, state="Submitted")
    decided = gate.wait_state("cabrequest", name, namespace, "Approved")["status"]["decisions"]
    assert [each["verdict"] for each in decided] == ["Approved"]
    gate.create("requester", workload(namespace, images=["web:1"]))
