# SPDX-License-Identifier: Apache-2.0
"""The policies that keep records what they are; what they deny is for tests/cluster."""

import pytest

from cabgate.writes.caller_proof import ANNOTATION
from support.templates import of

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"


def guarded(made, name):
    """The policy, and its binding, which denies everywhere."""
    policy = made.one("ValidatingAdmissionPolicy", f"{name}.cabgate.dev")["spec"]
    binding = made.one("ValidatingAdmissionPolicyBinding", f"{name}.cabgate.dev")["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert binding["policyName"] == f"{name}.cabgate.dev"
    assert binding["validationActions"] == ["Deny"]
    assert "matchResources" not in binding
    assert "namespaceSelector" not in policy["matchConstraints"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    return policy, binding, rule


@pytest.fixture(params=["Enforce", "Warn", "Audit"])
def made(request, render):
    """The mode is about rollouts: records are guarded in each."""
    return render(mode=request.param)


@of("policies/records.yaml")
def test_requests_are_deleted_by_the_operator_and_with_their_namespace(made):
    policy, _, rule = guarded(made, "records")
    records = ["cabrequests", "cabevidences", "rolloutoutcomes"]
    assert (rule["resources"], rule["operations"]) == (records, ["DELETE"])
    validation, ended = policy["validations"]
    assert f"request.userInfo.username != '{OPERATOR}'" in ended["expression"]
    assert "oldObject.?status.?result.hasValue()" in ended["expression"]
    for user in (
        OPERATOR,
        "system:serviceaccount:kube-system:namespace-controller",
        "system:kube-controller-manager",
    ):
        assert f"'{user}'" in validation["expression"]
    assert validation["expression"].count("'system:") == 3
    assert "matchConditions" not in policy


@of("policies/evidence.yaml")
def test_what_is_kept_beside_requests_is_created_by_the_operator_and_changed_by_nobody(made):
    policy, _, rule = guarded(made, "evidence")
    assert rule["resources"] == ["cabevidences", "cabevidences/*"]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    who, never = (each["expression"] for each in policy["validations"])
    assert f"request.userInfo.username == '{OPERATOR}'" in who
    assert who.count("'system:") == 1
    ledger = made.one("ValidatingAdmissionPolicy", "ledger.cabgate.dev")["spec"]["validations"]
    assert never == ledger[-1]["expression"]
    assert "matchConditions" not in policy


@of("policies/ledger.yaml")
def test_the_ledger_is_written_by_the_operator_and_changed_by_nobody(made):
    policy, _, rule = guarded(made, "ledger")
    assert rule["resources"] == ["cabdecisions", "cabdecisions/*"]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    who = policy["validations"][0]["expression"]
    assert f"request.userInfo.username == '{OPERATOR}'" in who
    assert who.count("'system:") == 1
    never = policy["validations"][-1]
    assert never["message"].startswith(
        "Invalid: spec: a CABDecision is a record of the ledger and never changes"
    )
    for part in ("spec", "labels", "annotations", "finalizers", "ownerReferences"):
        assert part in never["expression"]
    assert "matchConditions" not in policy


@of("policies/pruning.yaml")
def test_the_ledger_is_pruned_up_to_its_checkpoint_by_who_has_the_verb(made):
    policy, binding, rule = guarded(made, "pruning")
    assert (rule["resources"], rule["operations"]) == (["cabdecisions"], ["DELETE"])
    assert policy["paramKind"] == {"apiVersion": "v1", "kind": "ConfigMap"}
    # Where the chart puts it; and without it nothing is pruned.
    checkpoints = made.one("ConfigMap", binding["paramRef"]["name"])
    assert checkpoints["metadata"]["namespace"] == binding["paramRef"]["namespace"]
    assert binding["paramRef"]["parameterNotFoundAction"] == "Deny"
    verb, place = (each["expression"] for each in policy["validations"])
    assert "resource('ledgers').check('prune').allowed()" in verb
    assert "params" in place
    assert "sequence" in place
    (condition,) = policy["matchConditions"]
    assert condition["expression"] == f"request.userInfo.username != '{OPERATOR}'"


@of("policies/definitions.yaml")
def test_deleting_our_definitions_needs_a_verb_of_its_own(made):
    policy, _, rule = guarded(made, "definitions")
    assert (rule["resources"], rule["operations"]) == (["customresourcedefinitions"], ["DELETE"])
    (condition,) = policy["matchConditions"]
    assert condition["expression"] == "oldObject.spec.group == 'cabgate.dev'"
    groups = {each["spec"]["group"] for each in made.all("CustomResourceDefinition")}
    assert groups == {"cabgate.dev"}
    (validation,) = policy["validations"]
    assert "resource('installations').check('uninstall').allowed()" in validation["expression"]


@of("policies/admission-proof.yaml")
def test_admission_requests_carry_what_the_webhook_reads_from_the_same_secret(render):
    made = render()
    policy = made.one("MutatingAdmissionPolicy", "admission-proof.cabgate.dev")["spec"]
    binding = made.one("MutatingAdmissionPolicyBinding", "admission-proof.cabgate.dev")["spec"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (
        ["cabrequests/status", "cabexceptions/status"],
        ["UPDATE"],
    )
    # What the webhook took away does not come back, and what is not there is not waited for.
    assert policy["reinvocationPolicy"] == "Never"
    assert binding["paramRef"]["parameterNotFoundAction"] == "Allow"
    pod = made.one("Deployment", "cabgate-webhook")["spec"]["template"]["spec"]
    mounted = {each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    assert binding["paramRef"]["name"] in mounted
    (mutation,) = policy["mutations"]
    assert f"'{ANNOTATION}'" in mutation["applyConfiguration"]["expression"]
