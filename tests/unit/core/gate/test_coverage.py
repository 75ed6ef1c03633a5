# SPDX-License-Identifier: Apache-2.0
"""What runs uncovered, by the gate's own decision."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.gate.coverage import MALFORMED, Running, Uncovered, running_of, top_level
from cabgate.rollout.workloads import named_kind
from cabgate_samples.models import (
    IMAGE,
    NAMESPACE,
    NOW,
    by_person,
    by_system,
    exception,
    request,
    rollout,
    target,
)
from unit.core.standings import decide, uncovered


def made(
    kind: str,
    name: str,
    *images: str,
    owner: str = "",
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> Running:
    """An object whose uid is its kind and name, of the controller whose uid is given."""
    pod = {"containers": [{"name": f"c{n}", "image": i} for n, i in enumerate(images or [IMAGE])]}
    bodies: dict[str, dict[str, Any]] = {
        "Pod": pod,
        "CronJob": {"jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    body: dict[str, Any] = {"spec": bodies.get(kind, {"template": {"spec": pod}}) | (spec or {})}
    if kind == "PodTemplate":
        body = {"template": {"spec": pod}}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    gated = named_kind(kind.lower())
    assert gated is not None
    metadata = {"name": name, "uid": f"{kind}/{name}", **metadata}
    return running_of(gated, NAMESPACE, {**body, "metadata": metadata, "status": status or {}})


def found(
    running: list[Running],
    requests: list[CABRequest] | None = None,
    exceptions: list[CABException] | None = None,
    ring: int = 2,
) -> list[tuple[str, tuple[str, ...], str, list[str]]]:
    return [
        (str(item.workload), item.images, item.reason, [str(one) for one in item.objects])
        for item in uncovered(NAMESPACE, ring, running, requests or [], exceptions or [], NOW)
    ]


APPROVED = request("AutoApprove", by_system("AutoApproved"))
DEPLOYMENT = made("Deployment", "checkout")
SET = made("ReplicaSet", "checkout-1", owner="Deployment/checkout", spec={"replicas": 1})
POD = made("Pod", "checkout-1-a", owner="ReplicaSet/checkout-1")


def test_what_nothing_covers_is_found_and_what_is_covered_is_not() -> None:
    assert found([DEPLOYMENT]) == [("Deployment checkout", (IMAGE,), "NoRequest", [])]
    assert found([DEPLOYMENT], [APPROVED]) == []
    assert found([DEPLOYMENT], ring=1) == []


def test_what_controllers_made_is_judged_under_its_top_workload() -> None:
    assert found([DEPLOYMENT, SET, POD], [APPROVED]) == []
    expected = ("Deployment checkout", (IMAGE,), "NoRequest", [])
    assert found([POD, SET, DEPLOYMENT]) == [expected]


def test_an_image_that_was_injected_into_a_pod_is_found() -> None:
    patched = made("Pod", "checkout-1-b", IMAGE, "evil:1", owner="ReplicaSet/checkout-1")
    assert found([DEPLOYMENT, SET, POD, patched], [APPROVED]) == [
        ("Deployment checkout", ("evil:1",), "ImagesNotCovered", ["Pod checkout-1-b"])
    ]


def test_an_old_replica_set_that_was_scaled_up_is_found_and_one_at_rest_is_not() -> None:
    old = {"owner": "Deployment/checkout"}
    at_rest = made("ReplicaSet", "checkout-0", "old:1", spec={"replicas": 0}, **old)
    assert found([DEPLOYMENT, SET, at_rest], [APPROVED]) == []
    scaled = made("ReplicaSet", "checkout-0", "old:1", spec={"replicas": 2}, **old)
    assert found([DEPLOYMENT, scaled], [APPROVED]) == [
        ("Deployment checkout", ("old:1",), "ImagesNotCovered", ["ReplicaSet checkout-0"])
    ]
    alone = made("ReplicaSet", "alone", spec={"replicas": 0})
    assert [row[0] for row in found([alone])] == ["ReplicaSet alone"]


@pytest.mark.parametrize("owner", ["Deployment/gone", "Pod/stray", "Node/n1"])
def test_an_owner_that_is_not_there_covers_nothing(owner: str) -> None:
    """Whoever writes an ownerReference could write any name."""
    stray = made("Pod", "stray", owner=owner)
    assert found([DEPLOYMENT, stray], [APPROVED]) == [("Pod stray", (IMAGE,), "NoRequest", [])]


def test_jobs_of_one_generated_name_are_one_workload() -> None:
    jobs = [made("Job", f"migrate-{n}", f"m:{n}", generateName="migrate-") for n in range(2)]
    [row] = found(jobs)
    assert row == ("Job migrate-*", ("m:0", "m:1"), "NoRequest", ["Job migrate-0", "Job migrate-1"])
    [top] = top_level(jobs)
    assert (str(top.workload), top.images) == ("Job migrate-*", ("m:0", "m:1"))


def test_owners_in_a_circle_come_to_an_end() -> None:
    one, two = made("Pod", "one", owner="Pod/two"), made("Pod", "two", owner="Pod/one")
    assert len(found([one, two])) == 2


@pytest.mark.parametrize(
    ("running", "runs"),
    [
        (made("Pod", "p", status={"phase": "Succeeded"}), False),
        (made("Pod", "p", status={"phase": "Failed"}), False),
        (made("Pod", "p", status={"phase": "Pending"}), True),
        (made("Job", "j", status={"conditions": [{"type": "Complete", "status": "True"}]}), False),
        (made("Job", "j", status={"conditions": [{"type": "Failed", "status": "True"}]}), False),
        (made("Job", "j", status={"conditions": [{"type": "Failed", "status": "False"}]}), True),
        (made("Job", "j", spec={"suspend": True}), True),
        (made("CronJob", "c"), True),
        (made("StatefulSet", "s", spec={"replicas": 0}), True),
        (made("PodTemplate", "t"), False),
    ],
)
def test_what_is_over_is_not_reported(running: Running, runs: bool) -> None:
    assert bool(found([running])) is runs


def test_generated_names_are_covered_by_their_prefix_or_by_their_own() -> None:
    job = made("Job", "migrate-x7", generateName="migrate-")
    for name in ("migrate-*", "migrate-x7"):
        job_target = target(name, apiVersion="batch/v1", kind="Job")
        approved = request("AutoApprove", by_system("AutoApproved"), targets=[job_target])
        assert found([job], [approved]) == []
    assert found([job]) == [("Job migrate-*", (IMAGE,), "NoRequest", ["Job migrate-x7"])]


def test_a_label_of_its_own_gates_a_workload_alone() -> None:
    labelled = made("Deployment", "checkout", labels={"cabgate.dev/ring": "3"})
    assert found([labelled, SET, made("Deployment", "other")], ring=0) == [
        ("Deployment checkout", (IMAGE,), "NoRequest", [])
    ]


def test_a_rollout_runs_the_images_of_what_it_refers_to() -> None:
    spec = {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}}
    kind = named_kind("rollout")
    assert kind is not None
    refers = running_of(kind, NAMESPACE, {"metadata": {"name": "r", "uid": "r"}, "spec": spec})
    assert found([refers, DEPLOYMENT], [APPROVED]) == []
    assert found([refers, DEPLOYMENT])[1] == ("Rollout r", (IMAGE,), "NoRequest", [])
    assert found([refers]) == []  # runs nothing


def test_what_cannot_be_read_is_told() -> None:
    kind = named_kind("deployment")
    assert kind is not None
    broken = running_of(kind, NAMESPACE, {"metadata": {"name": "x", "uid": "x"}, "spec": {}})
    assert found([broken]) == [("Deployment x", (), MALFORMED, [])]


def test_the_exceptions_of_the_requests_count() -> None:
    risky = request("ExceptionRequired")
    leave = exception(risky, by_person("Approved"))
    assert found([DEPLOYMENT], [risky], [leave]) == []
    assert found([DEPLOYMENT], [risky])[0][2] == "ExceptionRequired"


def test_an_approval_that_is_not_attested_hides_nothing_that_is_beyond_an_exception() -> None:
    risky = request("ExceptionRequired")
    leave = exception(risky, by_person("Approved"), constraints={"maxReplicas": 2})
    calm = [{"name": "calm", "description": "after the sale", "attestation": "Required"}]
    bound = by_person("ConditionallyApproved", conditions=calm)
    anew = request("ManualReview", bound, name="anew", age=timedelta())
    running = [made("Deployment", "checkout", spec={"replicas": 5})]
    [item] = uncovered(NAMESPACE, 2, running, [risky, anew], [leave], NOW)
    assert item.reason == "AttestationMissing"
    assert item.beyond is not None
    assert item.beyond.exception == "leave"


def test_the_workloads_at_the_top_have_every_image_that_is_run_for_them() -> None:
    injected = made("Pod", "checkout-1-b", IMAGE, "mesh:1", owner="ReplicaSet/checkout-1")
    over = made("Job", "done", status={"conditions": [{"type": "Complete", "status": "True"}]})
    [top] = top_level([POD, injected, SET, DEPLOYMENT, over, made("PodTemplate", "t")])
    assert (top.api_version, str(top.workload)) == ("apps/v1", "Deployment checkout")
    assert top.images == tuple(sorted([IMAGE, "mesh:1"]))


STATES = [
    (),
    (by_person("Approved"),),
    (by_person("Rejected"),),
    (by_person("Approved"), by_person("Revoked", NOW - timedelta(minutes=1))),
    (by_system("Superseded"),),
]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(STATES)), max_size=5),
    st.lists(st.tuples(st.sampled_from(["x", "y"]), st.sampled_from("abc")), max_size=4),
)
def test_it_says_of_each_workload_what_the_gate_says(
    approvals: list[tuple[str, tuple[dict[str, Any], ...]]], workloads: list[tuple[str, str]]
) -> None:
    requests = [
        request("ManualReview", *entries, targets=[target("x", image)], name=f"r{n}")
        for n, (image, entries) in enumerate(approvals)
    ]
    stored = [made("Deployment", name, image) for name, image in dict(reversed(workloads)).items()]
    expected = {}
    for item in stored:
        what = rollout(*item.rollout.images, name=item.itself.name)
        decision = decide(what, 2, requests, [], NOW)
        if not decision.allowed:
            expected[item.itself] = decision.reason
    reported: list[Uncovered] = uncovered(NAMESPACE, 2, stored, requests, [], NOW)
    assert {item.workload: item.reason for item in reported} == expected
