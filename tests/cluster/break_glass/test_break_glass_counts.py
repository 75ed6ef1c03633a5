# SPDX-License-Identifier: Apache-2.0
"""What counts as a break of the glass, of which kind and by which words, and what does not."""

import re

import pytest

from cabgate.lifecycle.requests.break_glass import ANNOTATION, STAMPS
from cabgate_devcluster import wait_until
from support.gated import gated, url
from support.glass import WHY, annotated, breaking, events_about, refusal
from support.namespaces import set_ring

ZERO_WIDTH = "\u200b\u2060\u202e \u3164"


@pytest.fixture(scope="module")
def glass(gate):
    with breaking(gate, "counts") as made:
        yield made


@pytest.mark.parametrize("kind", ["StatefulSet", "ReplicationController", "Job", "CronJob"])
def test_every_kind_is_found(glass, namespace, kind):
    assert glass.creates("breaker", kind, namespace).status_code == 201
    (request,) = glass.opened(namespace)
    target = request["spec"]["targets"][0]
    assert (target["kind"], target["images"]) == (kind, ["web:1"])


@pytest.mark.parametrize("reason", [ZERO_WIDTH, "\u00a0", "\u200b" * 512, "\u2800"])
def test_what_nobody_sees_is_no_reason(glass, namespace, reason):
    glass.make(namespace)
    said = refusal(glass.breaks("breaker", namespace, f"INC-1: {reason}"))
    assert said.startswith("BreakGlassMalformed: ")
    assert "characters that nobody sees are no reason" in said
    assert glass.breaks("breaker", namespace, f"INC-1: {reason[:500]}.").status_code == 200


def test_the_command_of_a_denial_tells(gate, glass, namespace):
    said = refusal(glass.creates("requester", "Deployment", namespace))
    command = said[said.index("kubectl ") :]
    assert command == f"kubectl auth can-i --list -n {namespace}"
    for user, has in (("requester", False), ("breaker", True)):
        listing = gate.shell(user, command).stdout
        assert bool(re.search(r"(?m)^rings\.cabgate\.dev .*break-glass", listing)) is has


def test_what_was_annotated_in_ring_0_is_no_break_in_ring_2(gate, glass, make_namespace):
    """Nobody had the verb, and nothing went past a gate: no request, no Event, no approval."""
    namespace = make_namespace("0")
    stamps = dict(zip(STAMPS, ("reviewer", "deployments/new", "2"), strict=True))
    for name, annotations in (("plain", {}), ("forged", stamps)):
        obj = gated("Deployment", namespace, name)
        obj["metadata"]["annotations"] = {ANNOTATION: WHY, **annotations}
        made = glass.client("requester").post(url("Deployment", namespace), json=obj)
        assert made.status_code == 201, made.text
    # Planted first, the annotation behind it.
    obj = gated("Deployment", namespace, "planted")
    obj["metadata"]["annotations"] = stamps
    assert glass.client("requester").post(url("Deployment", namespace), json=obj).is_success
    assert glass.patch("requester", namespace, annotated(WHY), name="planted").is_success
    set_ring(gate.cluster, namespace, "2")
    glass.gated_by_now(namespace)
    change = {"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}}
    for name in ("plain", "forged", "planted"):
        body = {"metadata": {"annotations": stamps}}
        assert glass.patch("requester", namespace, body, name=name).is_success
        assert glass.annotations(namespace, name=name) == {ANNOTATION: WHY}
        assert "NoRequest: " in glass.patch("requester", namespace, change, name=name).text
    # A break that comes later is found, and nothing else.
    glass.creates("breaker", "Deployment", namespace, name="broken")
    (request,) = glass.opened(namespace)
    assert request["spec"]["targets"][0]["name"] == "broken"
    wait_until(lambda: events_about(gate, namespace, "broken"), "an Event of the break")
    for name in ("plain", "forged", "planted"):
        assert events_about(gate, namespace, name) == []


def test_no_stamp_counts_where_no_policy_looks(gate, glass, namespace):
    """In a namespace that is excluded anybody writes what looks like a break: nobody is named for
    it, and no request is opened."""
    excluded = "kube-public"
    stamps = {
        ANNOTATION: WHY,
        **dict(zip(STAMPS, ("reviewer", "deployments/1", "4"), strict=True)),
    }
    obj = gated("Deployment", excluded, name="planted")
    obj["metadata"]["annotations"] = stamps
    made = gate.client("admin").post(url("Deployment", excluded), json=obj)
    assert made.status_code == 201, made.text
    try:
        # A break that is made later is looked at later.
        glass.make(namespace)
        assert glass.breaks("breaker", namespace).status_code == 200
        glass.opened(namespace)
        assert gate.items("cabrequests", excluded) == []
    finally:
        gate.client("admin").delete(url("Deployment", excluded, "planted"))
