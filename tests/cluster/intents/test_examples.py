# SPDX-License-Identifier: Apache-2.0
"""Each example is applied as it stands, and leads where it says."""

from pathlib import Path

import pytest

from cabgate_devcluster import wait_until

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
AGAIN = ("--overwrite",)


def apply(gate, namespace, path, check=True):
    return gate.kubectl("requester", "apply", "-n", namespace, "-f", EXAMPLES / path, check=check)


@pytest.mark.parametrize(
    ("folder", "intent", "state", "denial", "said"),
    [
        ("auto-approve", "checkout", "AutoApproved", None, "AutoApprove: cabgate approves it"),
        ("manual-review", "orders", "Submitted", "ReviewPending", "ManualReview: a CAB member"),
        (
            *("exception-required", "ledger", "ExceptionRequired", "ExceptionRequired"),
            "ExceptionRequired: too risky to approve.",
        ),
    ],
)
def test_each_gate_has_an_intent_that_leads_there(
    gate, namespace, folder, intent, state, denial, said
):
    applied = apply(gate, namespace, f"{folder}/intent.yaml")
    [warning] = [line for line in applied.stderr.splitlines() if line.startswith("Warning: ")]
    assert warning.startswith(f"Warning: {intent}: score ")
    assert said in warning
    gate.request_of(namespace, intent, state)
    rollout = apply(gate, namespace, f"{folder}/deployment.yaml", check=False)
    if denial is None:
        assert rollout.returncode == 0, rollout.stderr
    else:
        assert denial in rollout.stderr


def test_the_exception_is_for_the_request_that_needs_it(gate, namespace):
    apply(gate, namespace, "exception-required/intent.yaml")
    request = gate.request_of(namespace, "ledger", "ExceptionRequired")
    apply(gate, namespace, "exception/exception.yaml")
    exception = gate.items("cabexception", namespace)[0]
    assert exception["spec"]["requestRef"]["name"] == request["metadata"]["name"]
    gate.review("security", "cabexception", exception["metadata"]["name"], namespace, "Approved")
    apply(gate, namespace, "exception-required/deployment.yaml")


def test_the_rules_of_change_are_taken_and_asked_of_a_request(gate, namespace):
    """Nothing of the freezes is stored: other namespaces carry a policy too."""
    for path in ("freezes", "change-policy", "promotion/policy.yaml"):
        gate.kubectl("admin", "apply", "--dry-run=server", "-f", EXAMPLES / path)
    policy = EXAMPLES / "change-policy" / "strict.yaml"
    gate.kubectl("admin", "apply", "-f", policy)
    try:
        chosen = "cabgate.dev/change-policy=board-2-strict"
        gate.kubectl("admin", "label", "namespace", namespace, chosen, "cabgate.dev/ring=4", *AGAIN)
        apply(gate, namespace, "exception-required/intent.yaml")
        request = gate.request_of(namespace, "ledger", "ExceptionRequired")
    finally:
        gate.kubectl("admin", "delete", "-f", policy)
    terms = request["spec"]["terms"]
    needs = {each["verb"]: each for each in terms["approvals"]}
    assert needs["approve"]["count"] == 2
    assert needs["approve-senior"]["validForSeconds"] == 720 * 3600
    assert terms["exceptions"] == {"count": 2, "maxDays": 14, "require": ["maxReplicas"]}


def test_the_kustomization_rolls_out_once_its_intent_is_approved(gate):
    """The namespace and the intent are applied first; the workload follows at the next try."""
    folder = EXAMPLES / "kustomization"

    def applied():
        return gate.kubectl("admin", "apply", "-k", folder, check=False).returncode == 0

    try:
        wait_until(applied, "the kustomization is applied whole", interval=0.5)
        assert gate.request_of("cart", "cart", "AutoApproved")
        assert gate.get("deployment", "cart", "cart")
    finally:
        gate.kubectl("admin", "delete", "namespace", "cart", "--wait=false", check=False)
