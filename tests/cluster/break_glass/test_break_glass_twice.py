# SPDX-License-Identifier: Apache-2.0
"""Several breaks of one workload before the operator looks: each has a request of its own."""

import json

import pytest

from cabgate.lifecycle.requests.break_glass import ANNOTATION, CUT, EARLIER_ANNOTATION, STAMPS
from cabgate_devcluster import wait_until
from support.clients import client_of
from support.gate import paused
from support.gated import ROLLOUT_CRD, gated, url
from support.glass import MERGE, WHY, annotated, breaking, rolled
from support.namespaces import set_ring


@pytest.fixture(scope="module")
def glass(gate):
    with breaking(gate, "twice") as made:
        yield made


def seen(requests):
    """What was broken through, and with which images."""
    return sorted(
        (r["spec"]["breakGlass"]["reason"], r["spec"]["targets"][0]["images"]) for r in requests
    )


def list_of(glass, namespace):
    """The list of earlier breaks of a workload."""
    return glass.get(namespace)["metadata"]["annotations"].get(EARLIER_ANNOTATION, "")


def test_each_of_three_breaks_in_a_row_has_its_request_and_record(gate, glass, namespace):
    glass.make(namespace)
    with paused(gate.installation.operator):
        for number, image in enumerate(("web:2", "web:3", "web:4")):
            answer = glass.breaks("breaker", namespace, f"INC-{number}: try {image}", image)
            assert answer.status_code == 200, answer.text
    opened = glass.opened(namespace, 3)
    assert seen(opened) == [(f"try web:{n}", [f"web:{n}"]) for n in (2, 3, 4)]
    assert {r["spec"]["breakGlass"]["by"] for r in opened} == {"breaker"}

    def recorded():
        found = [
            each["spec"]["subject"]["name"]
            for each in gate.items("cabdecisions", namespace)
            if each["spec"]["subject"]["namespace"] == namespace
        ]
        return sorted(found) == sorted(r["metadata"]["name"] for r in opened)

    wait_until(recorded, "a record of each")
    # One is decided, and the others go on waiting.
    name = opened[0]["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected", rationale="not so")
    assert len(glass.opened(namespace, 3)) == 3


def test_a_break_whose_annotation_is_taken_away_is_reviewed_all_the_same(gate, glass, namespace):
    glass.make(namespace)
    with paused(gate.installation.operator):
        assert glass.breaks("breaker", namespace).status_code == 200
        assert glass.patch("breaker", namespace, annotated(None)).status_code == 200
        assert ANNOTATION not in glass.get(namespace)["metadata"]["annotations"]
    assert seen(glass.opened(namespace, 1)) == [("the shop is down", ["web:9"])]


def test_a_break_is_not_lost_where_the_ring_goes_down_before_the_next(gate, glass, namespace):
    glass.make(namespace)
    with paused(gate.installation.operator):
        assert glass.breaks("breaker", namespace).status_code == 200
        set_ring(gate.cluster, namespace, "1")
        wait_until(
            lambda: (
                glass.patch("requester", namespace, annotated("a note"), dryRun="All").is_success
            ),
            "the API server has seen the ring",
        )
        assert glass.patch("requester", namespace, annotated("a note")).is_success
        assert set(STAMPS).isdisjoint(glass.get(namespace)["metadata"]["annotations"])
    assert seen(glass.opened(namespace, 1)) == [("the shop is down", ["web:9"])]


@pytest.mark.parametrize("ring", ["1", "2"])
def test_nobody_writes_the_list_themselves(glass, make_namespace, ring):
    namespace = make_namespace("2")
    glass.make(namespace)
    forged = "deployments/3\t2\treviewer\t1\tweb:1\tINC-6: never"
    body = {"metadata": {"annotations": {EARLIER_ANNOTATION: forged}}}
    if ring == "1":
        set_ring(glass.gate.cluster, namespace, ring)
    for user in ("requester", "breaker"):
        for also in ({}, annotated(f"INC-7: {user}")):
            annotations = {**body["metadata"]["annotations"]}
            if user == "breaker":
                annotations |= also.get("metadata", {}).get("annotations", {})
            answer = glass.patch(user, namespace, {"metadata": {"annotations": annotations}})
            assert answer.status_code == 200, answer.text
            assert "reviewer" not in list_of(glass, namespace)
    obj = gated("Deployment", namespace, "other")
    obj["metadata"]["annotations"] = {EARLIER_ANNOTATION: forged, ANNOTATION: WHY}
    made = glass.client("breaker").post(url("Deployment", namespace), json=obj)
    assert made.status_code == 201, made.text
    assert EARLIER_ANNOTATION not in made.json()["metadata"]["annotations"]


def test_nobody_takes_the_list_away(gate, glass, namespace):
    glass.make(namespace)
    for number in (2, 3):
        assert glass.breaks("breaker", namespace, f"INC-{number}: x", f"web:{number}").is_success
    kept = list_of(glass, namespace)
    assert "INC-2: x" in kept
    for user in ("requester", "breaker"):
        body = {"metadata": {"annotations": {EARLIER_ANNOTATION: None}}}
        assert glass.patch(user, namespace, body).status_code == 200
        assert list_of(glass, namespace) == kept
    for change in (annotated(None), {"spec": {"replicas": 1}}):
        assert glass.patch("breaker", namespace, change).status_code == 200
        assert kept in list_of(glass, namespace)


def test_an_image_with_a_line_feed_writes_no_line_of_its_own(glass, namespace):
    glass.make(namespace)
    image = "web:9\ndeployments/3\t2\treviewer\t0\tINC-6: never"
    assert glass.breaks("breaker", namespace, image=image).status_code == 200
    assert glass.breaks("breaker", namespace, "INC-2: back", "web:1").status_code == 200
    assert list_of(glass, namespace).count("\n") == 0


def test_a_full_list_keeps_nobody_from_breaking_the_glass(gate, glass, namespace):
    """The earliest leaves it, which its last line says, and so does the operator."""
    glass.make(namespace)
    long = "x" * 500
    with paused(gate.installation.operator):
        for number in range(40):
            why = f"INC-{number}: {number} {long}"
            answer = glass.breaks("breaker", namespace, why, f"web:{number}")
            assert answer.status_code == 200, answer.text
        lines = list_of(glass, namespace).split("\n")
        assert lines[-1] == CUT
        assert f"INC-38: 38 {long}" in lines[0]
        count = len(lines)  # without the last line, with the break that stands there
        assert count > 20
    glass.opened(namespace, count)
    about = "--field-selector=involvedObject.name=web,reason=BreaksNotListed"
    (event,) = wait_until(lambda: gate.items("events", namespace, about), "an Event of it")
    assert "may have left no request" in event["message"]
    # Where other annotations take nearly all the room, the list gives way.
    body = annotated("INC-90: once more")
    body["metadata"]["annotations"]["note"] = "y" * 200_000
    answer = glass.patch("breaker", namespace, {**body, **rolled("Deployment", "web:90")})
    assert answer.status_code == 200, answer.text
    assert list_of(glass, namespace) == CUT


def test_a_template_that_cannot_be_read_keeps_nobody_from_breaking_the_glass_again(gate, namespace):
    """The list of what ran has none of its images; nothing of it may refuse the write."""
    gate.cluster.api.apply(ROLLOUT_CRD)
    path = url("Rollout", namespace)
    broken = gated("Rollout", namespace)
    broken["metadata"]["annotations"] = {ANNOTATION: WHY}
    broken["spec"]["template"]["spec"]["containers"] = "none"
    with client_of(gate.cluster.admin) as admin:

        def created():
            answer = admin.post(path, json=broken)
            assert answer.status_code in (201, 404, 503), answer.text
            return answer.status_code == 201

        # It answers 404 or 503 to a new kind for up to a minute.
        wait_until(created, "the API server takes Rollouts", timeout=120)
        body = {**annotated("INC-2: mend it"), **rolled("Rollout", "web:2")}
        answer = admin.patch(
            f"{path}/web", content=json.dumps(body), headers={"Content-Type": MERGE}
        )
        assert answer.status_code == 200, answer.text
        assert WHY in answer.json()["metadata"]["annotations"][EARLIER_ANNOTATION]
