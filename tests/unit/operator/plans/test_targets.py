# SPDX-License-Identifier: Apache-2.0
"""An intent with a target that covers nothing is not ready, whatever becomes of the others."""

import pytest

from cabgate.rollout.workloads import configured_kind
from cabgate.text.foreign import PHRASES
from cabgate_operator.plans.conditions import Wanted, merge_conditions
from cabgate_operator.settings import Settings
from cabgate_samples.models import NOW, by_system, intent, request, target
from cabgate_samples.objects import GOOD
from unit.operator.standings import Surroundings, readiness

CLONE_SET = configured_kind("apps.kruise.io/CloneSet=spec.template")
CLONED = {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet"}


def ready(*targets, ring=2, kinds=()):
    declared = intent(GOOD, list(targets))
    approved = request("AutoApprove", by_system("AutoApproved"), targets=list(targets))
    return readiness(declared, None, Surroundings(ring, [approved], [], NOW, kinds=kinds))


def test_what_is_gated_is_ready():
    assert ready(target()).ready
    assert ready(target("c", **CLONED), kinds=(CLONE_SET,)).ready


@pytest.mark.parametrize("ring", [0, 2])
@pytest.mark.parametrize(
    "bad",
    [
        target("c", **CLONED),
        target("x", apiVersion="v1"),  # stored before it was refused
        target("Web_App"),
    ],
)
def test_what_is_not_gated_is_told_in_any_ring(ring, bad):
    found = ready(target(), bad, ring=ring)
    assert (found.ready, found.reason, found.stalled) == (False, "TargetNotGated", True)
    assert found.message.startswith("spec.targets[1].")
    assert found.message.endswith("kubectl edit deploymentintent checkout -n shop")


def test_the_operator_knows_the_kinds_that_the_webhook_knows():
    given = ("apps.kruise.io/CloneSet=spec.template", "x.io/Y=spec.a,spec.b")
    assert Settings(gated_kind=given).gated_kind == given


@pytest.mark.parametrize("phrase", PHRASES, ids=[phrase.words for phrase in PHRASES])
def test_no_condition_has_a_phrase_that_tools_act_on(phrase):
    wanted = Wanted("Ready", False, "Rejected", f"said: {phrase.words}, and more")
    [made] = merge_conditions([], [wanted], 1, NOW)
    assert phrase.words not in made["message"]
