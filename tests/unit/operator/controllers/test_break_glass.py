# SPDX-License-Identifier: Apache-2.0
"""Broken glasses: each leads to one request, which is told of once."""

from typing import Any

import pytest

from cabgate.lifecycle.requests.break_glass import ANNOTATION, STAMPS
from cabgate.rollout.installation import InstallationSettings
from cabgate_kube.resources import NAMESPACES, REQUESTS, Object, Resource
from cabgate_operator.controllers.break_glass import (
    WORKLOADS,
    Glass,
    glass_key,
    reconcile_glass,
    reconcile_retrospect,
    served_workloads,
)
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import ME, World, decisions

BY_KIND = {resource.kind: resource for resource in WORKLOADS}
TEMPLATE: Object = {"spec": {"containers": [{"name": "c", "image": "web:9"}]}}
WHY = "INC-1: the shop is down"


def workload(
    kind: str = "Deployment", *, identity: str = "", ring: str = "2", **metadata: Any
) -> Object:
    resource = BY_KIND[kind]
    stamps = ("ann", identity or f"{resource.plural}/7", ring)
    annotations = {ANNOTATION: WHY, **dict(zip(STAMPS, stamps, strict=True))}
    spec: Object = {"template": TEMPLATE}
    return {
        "apiVersion": resource.api_version,
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": "team",
            "uid": f"uid-{kind}",
            "annotations": {k: v for k, v in annotations.items() if v},
            **metadata,
        },
        "spec": {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec,
    }


def owned_by(owner: Object) -> list[Object]:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return [reference]


async def reconcile(world: World, *bodies: Object) -> None:
    """Put workloads into the cluster, and look at each."""

    for body in bodies:
        world.api.put(BY_KIND[body["kind"]], body)
    for body in bodies:
        key = glass_key(BY_KIND[body["kind"]], body)
        if key is not None:
            await reconcile_glass(world.context, key)
    for name in list(world.requests()):
        await reconcile_retrospect(world.context, Key(Subject.RETROSPECT, "team", name))


@pytest.mark.parametrize("kind", sorted(BY_KIND))
async def test_a_broken_glass_leads_to_one_request_that_is_told_of_once(kind: str) -> None:
    world = World()
    body = workload(kind, identity=f"{BY_KIND[kind].plural}/new")
    for _ in range(3):
        await reconcile(world, body)
    assert list(world.requests().values()) == ["Submitted"]
    (request,) = world.api.all(REQUESTS)
    (said,) = request["status"]["decisions"]
    assert (said["verdict"], said["author"]["username"]) == ("GlassBroken", ME)
    assert world.notes() == ["GlassBroken", "GlassBroken"]
    assert world.context.metrics.registry.get_sample_value(
        "cabgate_break_glass_total", {"namespace": "team"}
    ) == 1  # fmt: skip


@pytest.mark.parametrize(
    "labels", [{}, {"cabgate.dev/ring": "1"}, {"cabgate.dev/ring": "3"}], ids=str
)
async def test_what_counts_is_the_ring_at_the_write(labels: dict[str, str]) -> None:
    """Whatever ring holds now: nothing was broken in ring 0, and what was is not undone by it."""
    world = World()
    world.api.put(NAMESPACES, {"metadata": {"name": "team", "labels": labels}})
    for ring in ("", "0", "1"):
        await reconcile(world, workload(ring=ring))
    assert world.requests() == {}
    assert world.notes() == []
    await reconcile(world, workload(ring="3"))
    (request,) = world.api.all(REQUESTS)
    assert request["spec"]["ring"] == 3


async def test_what_is_whole_malformed_gone_or_going_leads_to_nothing() -> None:
    world = World()
    whole = workload(annotations={})
    await reconcile(world, whole, workload("StatefulSet", annotations={ANNOTATION: "because"}))
    assert world.requests() == {}
    key = Key(Subject.GLASS, "team", "deployments/nobody")
    await reconcile_glass(world.context, key)
    await reconcile_glass(world.context, Key(Subject.GLASS, "gone", "deployments/web"))
    going = {"metadata": {"name": "team", "deletionTimestamp": "2030-01-01T00:00:00Z"}}
    world.api.put(NAMESPACES, going)
    await reconcile(world, workload())
    assert world.requests() == {}


async def test_a_copy_on_a_replica_set_is_not_another_break() -> None:
    world, deployment = World(), workload()
    copied = workload("ReplicaSet", identity="deployments/7", ownerReferences=owned_by(deployment))
    await reconcile(world, deployment, copied)
    assert len(world.requests()) == 1


async def test_a_break_on_the_copy_itself_is_one() -> None:
    world, deployment = World(), workload(identity="deployments/7")
    own = workload("ReplicaSet", identity="replicasets/8", ownerReferences=owned_by(deployment))
    await reconcile(world, deployment, own)
    assert len(world.requests()) == 2


async def test_a_rollout_runs_what_it_refers_to() -> None:
    world = World()
    rollout = workload("Rollout")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "base"}
    rollout["spec"] = {"workloadRef": reference}
    base = workload(name="base", annotations={})
    await reconcile(world, base, rollout)
    (request,) = world.api.all(REQUESTS)
    assert request["spec"]["targets"][0]["images"] == ["web:9"]


async def test_a_rollout_that_refers_to_nothing_is_reviewed_all_the_same() -> None:
    world = World()
    rollout = workload("Rollout")
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "base"}
    rollout["spec"] = {"workloadRef": reference}
    await reconcile(world, rollout)
    (request,) = world.api.all(REQUESTS)
    assert request["spec"]["targets"][0]["images"] == ["no image that is known"]


@pytest.mark.parametrize(
    "reference", [7, {}, {"apiVersion": "apps/v1", "kind": "Deployment", "name": "../other"}]
)
async def test_a_rollout_whose_reference_cannot_be_read_is_reviewed_all_the_same(
    reference: Any,
) -> None:
    world = World()
    rollout = workload("Rollout")
    rollout["spec"] = {"workloadRef": reference}
    await reconcile(world, rollout)
    (request,) = world.api.all(REQUESTS)
    assert request["spec"]["targets"][0]["images"] == ["no image that is known"]


@pytest.mark.parametrize("verdict", ["Approved", "Rejected", "UnderReview"])
async def test_what_a_person_said_first_is_left_alone(verdict: str) -> None:
    world = World()
    await reconcile(world, workload())
    (request,) = world.api.all(REQUESTS)
    digest = request["spec"]["evidenceDigest"]
    request["status"] = {"decisions": decisions(digest, (verdict, "rita"))}
    world.api.put(REQUESTS, request)
    await reconcile(world, workload())
    (request,) = world.api.all(REQUESTS)
    assert [entry["verdict"] for entry in request["status"]["decisions"]] == [verdict]
    assert request["status"]["state"] == verdict


async def test_a_name_that_is_taken_is_not_passed_over_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    await reconcile(world, workload())
    (request,) = world.api.all(REQUESTS)
    request["spec"]["breakGlass"]["reason"] = "something else"
    world.api.put(REQUESTS, request)
    await reconcile(world, workload())
    assert "is about something else: not recorded" in caplog.text


async def test_requests_of_intents_and_of_nobody_are_left_to_others() -> None:
    world = World()
    await reconcile_retrospect(world.context, Key(Subject.RETROSPECT, "team", "nobody"))
    assert world.api.written == []


def test_what_is_seen_is_what_is_looked_at() -> None:
    deployments = BY_KIND["Deployment"]
    assert Glass().keys(deployments, workload(annotations={})) == ()
    assert Glass().keys(deployments, workload()) == (Key(Subject.GLASS, "team", "deployments/web"),)
    body = {"metadata": {"namespace": "team", "name": "r"}, "spec": {"breakGlass": {}}}
    assert Manager().keys_of(REQUESTS, body) == [Key(Subject.RETROSPECT, "team", "r")]


async def test_only_kinds_that_there_are_are_watched() -> None:
    def kinds(found: tuple[Resource, ...]) -> set[str]:
        return {resource.kind for resource in found}

    world = World()
    found = kinds(await served_workloads(world.context.api))
    assert found == set(BY_KIND) - {"Rollout"}


async def test_no_request_is_opened_where_no_policy_looks() -> None:
    """In an excluded namespace anybody wrote the stamps."""
    world = World()
    world.context.installation = InstallationSettings(excluded=frozenset({"team"}))
    await reconcile(world, workload())
    assert world.requests() == {}
    world.context.installation = InstallationSettings(excluded=frozenset({"other"}))
    await reconcile(world, workload())
    assert len(world.requests()) == 1
