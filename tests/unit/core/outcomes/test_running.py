# SPDX-License-Identifier: Apache-2.0
"""Whether a workload is available with what stands in its template, by each kind."""

import pytest

from cabgate.outcomes.running import outcome_kind, running_workload
from cabgate.rollout.pods import PodTemplateError
from unit.core.outcomes.outcomes import IMAGE, LATER_IMAGE
from unit.core.outcomes.workloads import deployment, running, template_of


@pytest.mark.parametrize(
    ("how", "rolled_out"),
    [
        ({}, True),
        ({"available": 1}, False),
        ({"updated": 1}, False),
        ({"old": 1}, False),  # one of before is left
        ({"generation": 4}, False),  # its controller has not seen the template yet
        ({"replicas": 0}, False),  # nothing runs
    ],
)
def test_a_deployment(how, rolled_out):
    assert running(**how).rolled_out is rolled_out


def test_what_counts_is_of_the_present_template():
    found = running(LATER_IMAGE, available=0, updated=0, old=2)
    assert (found.images, found.available, found.observed) == ((LATER_IMAGE,), 0, True)
    assert not running(generation=4).observed


def stored(spec, status, generation=1):
    return {
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": generation},
        "spec": {"template": template_of(), **spec},
        "status": {"observedGeneration": generation, **status},
    }


def of_kind(kind, obj, referred=None):
    group = "argoproj.io" if kind == "Rollout" else "apps"
    return running_workload(outcome_kind(group, kind), obj, referred)


@pytest.mark.parametrize(
    ("status", "rolled_out"),
    [
        ({"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}, True),
        ({"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}, False),  # a partition
        ({"replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}, False),
        ({}, False),
    ],
)
def test_a_stateful_set(status, rolled_out):
    assert of_kind("StatefulSet", stored({"replicas": 3}, status)).rolled_out is rolled_out


def nodes(desired, updated, available, current=None):
    return {
        "desiredNumberScheduled": desired,
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "currentNumberScheduled": desired if current is None else current,
    }


@pytest.mark.parametrize(
    ("status", "rolled_out"),
    [
        (nodes(4, 4, 4), True),
        (nodes(4, 3, 4), False),
        (nodes(4, 4, 3), False),
        (nodes(0, 0, 0), False),
    ],
)
def test_a_daemon_set(status, rolled_out):
    assert of_kind("DaemonSet", stored({}, status)).rolled_out is rolled_out


def canary(**changes):
    status = {
        "observedGeneration": "1",  # Argo writes a text
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
        "phase": "Healthy",
        "stableRS": "abc",
        "currentPodHash": "abc",
    }
    return status | changes


@pytest.mark.parametrize(
    ("status", "rolled_out"),
    [
        (canary(), True),
        (canary(currentPodHash="def"), False),  # the canary is not promoted
        (canary(phase="Paused"), False),
        (canary(observedGeneration="0"), False),
    ],
)
def test_an_argo_rollout(status, rolled_out):
    assert of_kind("Rollout", stored({"replicas": 2}, status)).rolled_out is rolled_out


def test_an_argo_rollout_with_the_template_of_a_deployment():
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    obj = stored({"replicas": 2, "workloadRef": reference}, canary())
    del obj["spec"]["template"]
    seen = of_kind("Rollout", obj, deployment(replicas=0))
    assert (seen.images, seen.selector, seen.rolled_out) == ((IMAGE,), "app=web", False)
    obj["status"]["workloadObservedGeneration"] = "3"
    assert of_kind("Rollout", obj, deployment(replicas=0)).rolled_out


def test_a_selector_is_asked_for_as_it_stands():
    terms = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "team", "operator": "Exists"},
        {"key": "zone", "operator": "NotIn", "values": ["c"]},
    ]
    obj = deployment()
    obj["spec"]["selector"] = {"matchLabels": {"app": "web"}, "matchExpressions": terms}
    found = of_kind("Deployment", obj).selector
    assert found == "app=web,tier in (a,b),!old,team,zone notin (c)"


@pytest.mark.parametrize("kind", ["Job", "CronJob", "ReplicaSet", "Pod"])
def test_what_does_not_say_whether_it_is_available_has_no_outcome(kind):
    assert outcome_kind("batch" if "Job" in kind else "apps", kind) is None


def test_what_has_no_template_cannot_be_told():
    with pytest.raises(PodTemplateError):
        of_kind("Deployment", {"metadata": {"name": "web"}, "spec": {}})
