# SPDX-License-Identifier: Apache-2.0
"""The annotation of a broken glass where somebody lets a controller, or kubectl, carry it."""

import json

import pytest

from cabgate.lifecycle.requests.break_glass import (
    ANNOTATION,
    BY_ANNOTATION,
    ID_ANNOTATION,
    RING_ANNOTATION,
)
from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, intent, target
from support.gated import gated, url
from support.glass import WHY, annotated, breaking, image_of, rolled
from support.namespaces import set_ring

FORGED = {
    ANNOTATION: "INC-9: all is lost",
    BY_ANNOTATION: "security",
    ID_ANNOTATION: "jobs/new",
    RING_ANNOTATION: "2",
}


@pytest.fixture(scope="module")
def glass(gate):
    with breaking(gate, "copies") as made:
        yield made


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


def test_no_break_that_never_was_is_carried_up_from_ring_0_by_a_controller(
    gate, glass, make_namespace
):
    """Stamps planted on a ReplicaSet, or on its Deployment, and the annotation brought to them by
    the deployment controller, which copies both ways."""
    namespace = make_namespace("0")
    path = url("Deployment", namespace)
    planted = {BY_ANNOTATION: "security", RING_ANNOTATION: "2"}
    for name, made_on in (("up", "deployments/7"), ("down", "replicasets/7")):
        stamps = {"metadata": {"annotations": {**planted, ID_ANNOTATION: made_on}}}
        obj = gated("Deployment", namespace, name)
        if name == "down":
            obj["metadata"]["annotations"] = stamps["metadata"]["annotations"]
        assert glass.client("requester").post(path, json=obj).status_code == 201

        def replica_sets(name=name):
            found = gate.items("replicasets", namespace)
            return [rs for rs in found if rs["metadata"]["name"].startswith(f"{name}-")]

        (first,) = wait_until(replica_sets, "its ReplicaSet")
        first = first["metadata"]["name"]
        if name == "up":
            options = {"kind": "ReplicaSet", "name": first}
            assert glass.patch("requester", namespace, stamps, **options).is_success
        assert (
            glass.annotations(namespace, "ReplicaSet", first).keys()
            == stamps["metadata"]["annotations"].keys()
        )
        # The controller brings it down.
        assert glass.patch("requester", namespace, annotated(WHY), name=name).is_success
        wait_until(
            lambda first=first: ANNOTATION in glass.annotations(namespace, "ReplicaSet", first),
            "the annotation on the ReplicaSet",
        )
        if name == "down":
            assert glass.annotations(namespace, "ReplicaSet", first) == {ANNOTATION: WHY}
            continue
        # And up again, with a rollback.
        assert glass.patch("requester", namespace, annotated(None), name=name).is_success
        for body in (
            rolled("Deployment", "web:2"),
            {"metadata": {"annotations": {"deprecated.deployment.rollback.to": "1"}}},
        ):
            assert glass.patch("requester", namespace, body, name=name).is_success
            wait_until(lambda: len(replica_sets()) == 2, "the second ReplicaSet")
        wait_until(
            lambda: image_of("Deployment", glass.get(namespace, name="up")) == "web:1",
            "the rollback",
        )
        assert glass.annotations(namespace, name=name) == {}
    set_ring(gate.cluster, namespace, "2")
    glass.gated_by_now(namespace)
    assert glass.creates("breaker", "Deployment", namespace, name="broken").status_code == 201
    (request,) = glass.opened(namespace)
    assert request["spec"]["targets"][0]["name"] == "broken"


def test_stamps_planted_on_a_deployment_reach_no_replicaset_on_which_the_annotation_stands(
    gate, glass, make_namespace
):
    namespace = make_namespace("0")
    path = url("Deployment", namespace)
    assert (
        glass.client("requester").post(path, json=gated("Deployment", namespace)).status_code == 201
    )
    (first,) = wait_until(lambda: gate.items("replicasets", namespace), "its ReplicaSet")
    first = first["metadata"]["name"]
    where = {"kind": "ReplicaSet", "name": first}
    assert glass.patch("requester", namespace, annotated(WHY), **where).is_success
    planted = {BY_ANNOTATION: "security", ID_ANNOTATION: "replicasets/7", RING_ANNOTATION: "3"}
    body = {"metadata": {"annotations": {**planted, "copied": "yes"}}}
    assert glass.patch("requester", namespace, body).is_success
    wait_until(
        lambda: gate.get("replicaset", first, namespace)["metadata"]["annotations"].get("copied"),
        "the controller has copied the annotations",
    )
    assert glass.annotations(namespace, "ReplicaSet", first) == {ANNOTATION: WHY}
    set_ring(gate.cluster, namespace, "2")
    glass.gated_by_now(namespace)
    assert glass.creates("breaker", "Deployment", namespace, name="broken").status_code == 201
    (request,) = glass.opened(namespace)
    assert request["spec"]["targets"][0]["name"] == "broken"


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


def test_a_rollback_passes_and_leaves_the_annotation(gate, glass, namespace):
    """`kubectl rollout undo` writes the annotations of the old revision: who may not break the
    glass is not to be stopped for that, nor to get rid of it."""
    glass.make(namespace)
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 1, "the first ReplicaSet")
    assert glass.breaks("breaker", namespace).status_code == 200
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 2, "the second ReplicaSet")
    before = glass.annotations(namespace)
    gate.open(namespace, GOOD, "AutoApproved", images=("web:1",))
    gate.kubectl("requester", "rollout", "undo", "deployment/web", "-n", namespace)
    assert image_of("Deployment", glass.get(namespace)) == "web:1"
    assert glass.annotations(namespace) == before
    # So does a replacement that knows nothing of it.
    live = glass.get(namespace)
    live["metadata"] = {"name": "web", "namespace": namespace, "labels": {"app": "x"}}
    live["spec"]["minReadySeconds"] = 5
    answer = glass.client("requester").put(url("Deployment", namespace, "web"), json=live)
    assert answer.status_code == 200, answer.text
    assert glass.annotations(namespace) == before
