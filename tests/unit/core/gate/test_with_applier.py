# SPDX-License-Identifier: Apache-2.0
"""A request that was opened before a tool was known to apply its intent: where the intent is at
hand, messages name Git all the same."""

import pytest

from cabgate.api import DeploymentIntent
from cabgate.rollout.appliers import with_applier
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate_samples.models import NAMESPACE, NOW, by_person, intent, request
from cabgate_samples.objects import MIDDLING
from unit.core.standings import decide
from unit.operator.standings import Surroundings, readiness

FLUX = {"kustomize.toolkit.fluxcd.io/name": "shop"}
HELM = {"app.kubernetes.io/managed-by": "Helm"}
IN_GIT = "edit DeploymentIntent checkout in Git, from where Flux applies it"
BY_HAND = "kubectl edit deploymentintent checkout -n shop"


def declared(labels: dict[str, str], name: str = "checkout") -> DeploymentIntent:
    plain = intent(MIDDLING, name=name).to_dict()
    metadata = {**plain["metadata"], "labels": labels}
    return DeploymentIntent.model_validate({**plain, "metadata": metadata})


def rejected(labels: dict[str, str]):
    return request("", by_person("Rejected"), of=declared(labels))


def denial(found) -> str:
    rollout = Rollout(NAMESPACE, Workload("apps", "Deployment", "checkout"), ("other:1",))
    return decide(rollout, 2, [found], [], NOW).message


@pytest.mark.parametrize(
    ("opened_as", "beside", "step"),
    [
        ({}, declared({}), BY_HAND),
        ({}, declared(FLUX), IN_GIT),
        (FLUX, declared({}), IN_GIT),
        (FLUX, declared(HELM), IN_GIT),
        ({}, declared(FLUX, name="another"), BY_HAND),
    ],
)
def test_the_intent_tells_what_its_request_does_not(opened_as, beside, step):
    assert denial(with_applier(rejected(opened_as), beside)).endswith(step)


def test_nothing_else_of_the_request_changes():
    found = rejected({})
    seen = with_applier(found, declared(FLUX)).to_dict()
    assert seen["spec"]["intentRef"].pop("appliedBy") == "Flux"
    assert seen == found.to_dict()


def test_the_condition_of_the_intent_names_git():
    around = Surroundings(2, [rejected({})], [], NOW)
    assert readiness(declared(FLUX), None, around).message.endswith(IN_GIT)
    assert readiness(declared({}), None, around).message.endswith(BY_HAND)
