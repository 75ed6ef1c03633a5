# SPDX-License-Identifier: Apache-2.0
"""The annotation of a broken glass where somebody lets a controller, or kubectl, carry it."""

import json

import pytest

from cabgate.breakglass import ANNOTATION, BY_ANNOTATION, ID_ANNOTATION
from cabgate_devcluster import wait_until
from support.gated import gated, url
from support.glass import WHY, Glass, annotated, image_of
from support.namespaces import set_ring
from support.objects import GOOD, intent, target

FORGED = {ANNOTATION: "INC-9: all is lost", BY_ANNOTATION: "security", ID_ANNOTATION: "jobs/new"}


@pytest.fixture(scope="module")
def glass(gate):
    args = ("create", "clusterrolebinding")
    gate.cluster.kubectl(*args, "copies-edit", "--clusterrole=edit", "--user=breaker")
    gate.cluster.kubectl(*args, "copies", "--clusterrole=cabgate-break-glass", "--user=breaker")
    made = Glass(gate)
    yield made
    made.close()
    gate.cluster.kubectl("delete", "clusterrolebinding", "copies-edit", "copies")


def test_the_job_of_a_cron_job_tells_of_no_break_that_never_was(gate, glass, namespace):
    targets = [target(["web:1"], "web", "CronJob", "batch/v1")]
    gate.apply("admin", intent(namespace, targets=targets))
    gate.request_of(namespace, state="AutoApproved", timeout=60)
    obj = gated("CronJob", namespace)
    obj["spec"]["jobTemplate"]["metadata"] = {"annotations": {**FORGED, "note": "x"}}
    obj["spec"]["jobTemplate"]["spec"]["suspend"] = True
    made = glass.client("requester").post(url("CronJob", namespace), json=obj)
    assert made.status_code == 201, made.text
    # A schedule that was missed is made up for at once: no need to wait for the next minute.
    past = {"status": {"lastScheduleTime": "2026-01-01T00:00:00Z"}}
    gate.patch("admin", "cronjob", "web", namespace, past, "--subresource=status")
    body = {"spec": {"suspend": False, "schedule": "* * * * *"}}
    gate.patch("requester", "cronjob", "web", namespace, body)
    job = wait_until(lambda: gate.items("job", namespace), "the CronJob's Job", timeout=90)[0]
    found = job["metadata"]["annotations"]
    assert found["note"] == "x"
    assert not set(FORGED) & set(found)


def test_the_deployment_controller_takes_the_annotation_away_for_nobody(gate, glass, namespace):
    gate.open(namespace, GOOD, "AutoApproved", images=("web:1",))
    made = glass.creates("requester", "Deployment", namespace, None)
    assert made.status_code == 201, made.text
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 1, "the first ReplicaSet")
    assert glass.breaks("breaker", namespace).status_code == 200
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 2, "the second ReplicaSet")
    before = glass.annotations(namespace)
    back = {"metadata": {"annotations": {"deprecated.deployment.rollback.to": "1"}}}
    assert glass.patch("requester", namespace, back).status_code == 200
    wait_until(lambda: image_of("Deployment", glass.get(namespace)) == "web:1", "the rollback")
    assert glass.annotations(namespace) == before


def test_the_deployment_controller_rolls_back_to_nothing_that_is_not_covered(gate, namespace):
    """The write that it makes for the annotation deprecated.deployment.rollback.to."""
    gate.open(namespace, GOOD, "AutoApproved", images=("web:2",))
    gate.create("requester", gated("Deployment", namespace, images=("web:2",)))
    controller = "--as=system:serviceaccount:kube-system:deployment-controller"
    obj = gate.get("deployment", "web", namespace)
    del obj["metadata"]["resourceVersion"]  # its controller may have written it since
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "web:1"
    message = gate.refused("admin", "replace", "-f", "-", controller, stdin=json.dumps(obj))
    assert "ImagesNotCovered: " in message


def test_applying_the_manifest_as_it_was_before_is_not_stopped(gate, glass, namespace):
    """On call applied it with the annotation; a pipeline goes on applying it without."""
    set_ring(gate.cluster, namespace)
    obj = gated("Deployment", namespace)
    gate.apply("requester", obj)
    set_ring(gate.cluster, namespace, "2")
    with_annotation = json.loads(json.dumps(obj))
    with_annotation["metadata"]["annotations"] = {ANNOTATION: WHY}
    gate.apply("breaker", with_annotation)
    before = glass.annotations(namespace)
    assert before[BY_ANNOTATION] == "breaker"
    wait_until(
        lambda: not glass.patch("requester", namespace, annotated(None), dryRun="All").is_success,
        "the gate is closed",
    )
    for labels in ({}, {"team": "x"}):
        obj["metadata"]["labels"] |= labels
        gate.apply("requester", obj)
        assert glass.annotations(namespace) == before
    # Nothing but its removal is refused as ever.
    assert glass.patch("requester", namespace, annotated(None)).status_code == 403
