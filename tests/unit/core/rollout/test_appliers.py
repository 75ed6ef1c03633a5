# SPDX-License-Identifier: Apache-2.0
"""Where a tool applies an intent, messages name Git in place of `kubectl edit`, which the tool
would undo."""

import pytest

from cabgate.api import DeploymentIntent
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.rollout.appliers import tool_of
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate_samples.models import NAMESPACE, NOW, by_person, intent, request
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import check_created, decide, request_for, told_of_intent

FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}
EDIT = "kubectl edit deploymentintent checkout -n shop"


def applied(metadata: dict[str, object], evidence: dict[str, object] | None = None):
    found = intent(evidence).to_dict()
    return DeploymentIntent.model_validate({**found, "metadata": {**found["metadata"], **metadata}})


def by(manager: str) -> dict[str, object]:
    return {"managedFields": [{"manager": "kubectl-edit"}, {"manager": manager, "operation": "A"}]}


@pytest.mark.parametrize(
    ("metadata", "tool"),
    [
        ({}, None),
        (by("kubectl-client-side-apply"), None),
        ({"labels": {"app.kubernetes.io/instance": "shop"}}, None),
        ({"labels": {"app.kubernetes.io/managed-by": "people"}}, None),
        (FLUX, "Flux"),
        (by("kustomize-controller"), "Flux"),
        (by("helm-controller"), "Flux"),
        (
            {
                "labels": {
                    "app.kubernetes.io/managed-by": "Helm",
                    "helm.toolkit.fluxcd.io/name": "shop",
                }
            },
            "Flux",
        ),
        (by("argocd-controller"), "Argo CD"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/x:y"}}, "Argo CD"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD"),
        (by("helm"), "Helm"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm"),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "Helm"),
    ],
)
def test_labels_annotations_and_field_managers_tell(metadata, tool):
    assert tool_of(applied(metadata).metadata) == tool


def denial(metadata: dict[str, object]) -> str:
    """Of another image than is declared."""
    opened = request_for(applied(metadata), 2)
    rollout = Rollout(NAMESPACE, Workload("apps", "Deployment", "checkout"), ("other:1",))
    return decide(rollout, 2, [opened], [], NOW).message


@pytest.mark.parametrize(
    ("metadata", "step"),
    [
        ({}, EDIT),
        (FLUX, "edit DeploymentIntent checkout in Git, from where Flux applies it"),
        (by("argocd-controller"), "edit DeploymentIntent checkout in Git, from where Argo CD appl"),
        (by("helm"), "edit DeploymentIntent checkout in the chart or the values of its Helm rel"),
    ],
)
def test_a_denial_says_where_its_intent_is_edited(metadata, step):
    message = denial(metadata)
    assert f": {step}" in message
    assert ("kubectl edit" in message) == (step == EDIT)


def test_whoever_applies_refused_content_again_is_told_likewise():
    declared = applied(FLUX, MIDDLING)
    refused = request("", by_person("Rejected"), of=declared)
    seen = told_of_intent(declared, 2, [refused], DEFAULT_RISK_MODEL)
    assert seen.endswith("Declare new evidence: edit DeploymentIntent checkout in Git, from where "
                         "Flux applies it")  # fmt: skip


@pytest.mark.parametrize("opened_as", [{}, FLUX, by("helm")])
@pytest.mark.parametrize("stored_as", [{}, FLUX, by("helm")])
def test_who_applies_is_for_messages_alone(opened_as, stored_as):
    opened = request_for(applied(opened_as, GOOD), 2)
    check_created(opened, applied(stored_as, GOOD), [], DEFAULT_RISK_MODEL)
