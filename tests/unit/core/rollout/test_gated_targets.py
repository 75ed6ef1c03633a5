# SPDX-License-Identifier: Apache-2.0
"""A target that can never match is told, with the right spelling."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.intent import WITHOUT_DEFINITION
from cabgate.api.kinds import BUILT_IN
from cabgate.api.types import Target
from cabgate.rollout.gated_targets import check_targets, kind_problem, target_problems
from cabgate.rollout.workloads import configured_kind, kind_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import intent, target

CLONE_SET = configured_kind("apps.kruise.io/CloneSet=spec.template")


def named(api_version="apps/v1", kind="Deployment", name="web", images=("web:1",)):
    return Target(api_version=api_version, kind=kind, name=name, images=list(images))


MISSPELT = [
    ("v1", "Deployment", "apiVersion: apps/v1 and kind: Deployment"),
    ("apps/v1", "deployment", "apiVersion: apps/v1 and kind: Deployment"),
    ("extensions/v1beta1", "Deployment", "apiVersion: apps/v1 and kind: Deployment"),
    ("apps/v1", "Deployments", "apiVersion: apps/v1 and kind: Deployment"),
    ("apps/v1", "deploy", "apiVersion: apps/v1 and kind: Deployment"),
    ("apps/v1", "Deploymnet", "apiVersion: apps/v1 and kind: Deployment"),
    ("Apps/v1", "Deployment", "apiVersion: apps/v1 and kind: Deployment"),
    ("v1", "StatefulSet", "apiVersion: apps/v1 and kind: StatefulSet"),
    ("apps/v1", "Statefulset", "apiVersion: apps/v1 and kind: StatefulSet"),
    ("apps/v1", "sts", "apiVersion: apps/v1 and kind: StatefulSet"),
    ("v1", "Cronjob", "apiVersion: batch/v1 and kind: CronJob"),
    ("apps/v1", "Job", "apiVersion: batch/v1 and kind: Job"),
    ("apps/v1", "Pod", "apiVersion: v1 and kind: Pod"),
    ("v1", "pods", "apiVersion: v1 and kind: Pod"),
    ("argoproj.io/v1alpha1", "rollout", "apiVersion: argoproj.io/v1alpha1 and kind: Rollout"),
    ("argoproj.io/v1", "Rollouts", "apiVersion: argoproj.io/v1 and kind: Rollout"),
    ("argoproj/v1alpha1", "Rollout", "apiVersion: argoproj.io/v1alpha1 and kind: Rollout"),
    ("apps.kruise.io/v1alpha1", "cloneset", "apps.kruise.io/v1alpha1 and kind: CloneSet"),
]  # fmt: skip


@pytest.mark.parametrize(("api_version", "kind", "right"), MISSPELT)
def test_what_was_meant_is_told(api_version: str, kind: str, right: str) -> None:
    [problem] = target_problems([named(api_version, kind)], [CLONE_SET])
    assert problem.final
    assert problem.misspelt
    assert problem.field in ("spec.targets[0].kind", "spec.targets[0].apiVersion")
    assert problem.message.endswith(right)
    assert f"{api_version} {kind} is no kind that is gated" in problem.message


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Service"),
        ("v1", "ConfigMap"),
        ("apps/v1", "ControllerRevision"),
        ("batch/v2", "Task"),
        ("example.com/v1", "My Kind"),
        ("Example.COM/v1", "Widget"),
        ("a/b/v1", "Widget"),
        ("/v1", "Widget"),
    ],
)
def test_what_no_definition_can_bring_is_refused_with_what_is_gated(api_version, kind) -> None:
    with pytest.raises(Refusal) as raised:
        check_targets(intent(targets=[target(apiVersion=api_version, kind=kind)]), [CLONE_SET])
    assert raised.value.reason is RefusalReason.TARGET_NOT_GATED
    assert raised.value.field == "spec.targets[0].kind"
    assert "apps/v1 Deployment, apps/v1 StatefulSet" in raised.value.message
    assert "apps.kruise.io/v1 CloneSet" in raised.value.message


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("example.com/v1", "Widget"),
        ("apps.kruise.io/v1alpha1", "CloneSet"),
        ("serving.knative.dev/v1", "Service"),
        ("argoproj.io/v1alpha1", "Workflow"),
        # Somebody's own Deployment, of which nobody knows.
        ("example.com/v1", "Deployment"),
    ],
)
def test_a_custom_kind_may_be_gated_later_and_is_warned_of(api_version, kind) -> None:
    [warning] = check_targets(intent(targets=[target(apiVersion=api_version, kind=kind)]))
    assert warning.startswith("spec.targets[0].")
    assert f"{api_version} {kind} is not gated by this installation" in warning
    assert "gatedKinds" in warning


def test_what_an_installation_gates_is_no_problem() -> None:
    cloned = intent(targets=[target(apiVersion="apps.kruise.io/v1beta1", kind="CloneSet")])
    assert check_targets(cloned, [CLONE_SET]) == []
    assert check_targets(intent(targets=[target(apiVersion="apps/v1beta2")])) == []


@pytest.mark.parametrize(
    ("name", "kind", "spelt"),
    [
        ("Web_App", "Deployment", ", such as web-app"),
        ("web.", "Deployment", ", such as web"),
        ("-web", "Deployment", ", such as web"),
        ("a..b", "Deployment", ""),
        ("web app", "Deployment", ", such as web-app"),
        ("Train-*", "Job", ", such as train"),
        ("-*", "Job", ""),
        ("ü", "Pod", ""),
    ],
)
def test_a_name_that_no_object_has_is_refused(name: str, kind: str, spelt: str) -> None:
    version = "apps/v1" if kind == "Deployment" else "batch/v1" if kind == "Job" else "v1"
    with pytest.raises(Refusal) as raised:
        check_targets(intent(targets=[target(name, apiVersion=version, kind=kind)]))
    assert raised.value.field == "spec.targets[0].name"
    assert raised.value.message.endswith(f"a letter or digit{spelt}")


@pytest.mark.parametrize("name", ["web", "web-app.v2", "0", "a" * 253, "train-*", "a.b-*", "x*"])
def test_a_name_that_an_object_may_have_is_none(name: str) -> None:
    assert target_problems([named("batch/v1", "Job", name)]) == []


def test_every_problem_is_told_by_its_path() -> None:
    bad = [target(), target("Web_App", kind="deployments"), target("x", apiVersion="v1")]
    with pytest.raises(Refusal) as raised:
        check_targets(intent(targets=bad))
    assert raised.value.field == "spec.targets[1].kind"
    for path in ("spec.targets[1].name: Web_App", "spec.targets[2].apiVersion: v1 Deployment"):
        assert path in raised.value.message


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_the_gate_asks_about_is_no_problem_and_nothing_else(api_version, kind) -> None:
    gated = kind_of(api_version, kind) is not None
    assert (kind_problem(api_version, kind) is None) is gated


@given(st.sampled_from(BUILT_IN), st.data())
def test_another_case_of_a_kind_is_always_recognised(kind, data) -> None:
    mixed = "".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in kind.kind)
    problem = kind_problem(kind.api_version, mixed)
    if mixed != kind.kind:
        assert problem is not None
        assert problem.message.endswith(
            f"write apiVersion: {kind.api_version} and kind: {kind.kind}"
        )


def test_the_schema_knows_the_same_kinds() -> None:
    assert {
        group: tuple(sorted(each.kind for each in BUILT_IN if each.group == group))
        for group in ("apps", "batch", "")
    } == WITHOUT_DEFINITION
    rest = {each.group for each in BUILT_IN} - set(WITHOUT_DEFINITION)
    assert all(re.search(r"\.", group) for group in rest)
