# SPDX-License-Identifier: Apache-2.0
"""What a request changes against the one that was approved last."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABRequest
from cabgate.views.compare import FieldChange, ImageChange, compare, last_approved
from cabgate_samples.models import NOW, by_person, by_system, intent, request, retrospective, target
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.views.builders import whole


def made(name: str, *decisions: dict[str, Any], images: tuple[str, ...] = ("web:1",),
         evidence: dict[str, Any] = MIDDLING, workload: str = "web") -> CABRequest:  # fmt: skip
    return request(
        "ManualReview",
        *decisions,
        of=intent(evidence, [target(workload, *images)]),
        name=name,
    )


def approved(name: str, hours: int = 1, **more: Any) -> CABRequest:
    return made(name, by_person("Approved", NOW - timedelta(hours=hours)), **more)


def against(of: CABRequest, *others: CABRequest) -> str | None:
    [asked] = whole(of)
    found = last_approved(asked, whole(*others))
    return found.name if found else None


def test_the_one_that_was_approved_last_counts() -> None:
    assert against(made("new"), approved("old", 5), approved("newer", 2), made("open")) == "newer"


@pytest.mark.parametrize(
    "other",
    [
        made("rejected", by_person("Rejected")),
        made("revoked", by_person("Approved"), by_person("Revoked")),
        approved("other", workload="db"),
        retrospective(by_person("Approved"), images=("web:1",)),
    ],
    ids=lambda other: other.metadata.name,
)
def test_what_is_not_approved_or_of_others_counts_for_nothing(other: CABRequest) -> None:
    assert against(made("new"), other) is None


def test_a_decided_request_is_compared_with_what_was_there_before_it() -> None:
    assert against(approved("second", 2), approved("first", 3), approved("third", 1)) == "first"


def test_what_the_containers_are_to_do_otherwise_is_named_without_values() -> None:
    def bound(of: CABRequest, *entries: str) -> CABRequest:
        said = {"template": f"t1:sha256:{len(''.join(entries)):064}", "template_fields": entries}
        first = of.spec.targets[0].model_copy(update=said if entries else {})
        return of.model_copy(update={"spec": of.spec.model_copy(update={"targets": [first]})})

    command, env = "containers[a].command=00000000", "containers[a].env=11111111"
    volume = "volumes[data]=22222222"
    for before, now, fields, was, becomes in (
        ((command, env), (command, volume), ("containers[a].env", "volumes[data]"), "o", "o"),
        ((), (command,), (), "i", "o"),
        ((command,), (), (), "o", "i"),
    ):
        old, new = bound(approved("old"), *before), bound(made("new"), *now)
        [change] = compare(whole(new)[0], whole(old)[0]).containers
        assert change.workload == "Deployment web"
        assert change.fields == fields
        assert (change.before[0], change.now[0]) == (was, becomes)
    same = compare(whole(bound(made("new"), env))[0], whole(bound(approved("old"), env))[0])
    assert same.containers == ()


def test_images_and_evidence_that_are_other_are_shown() -> None:
    before = approved("old", images=("proxy:1", "web:1"), evidence=GOOD)
    now = made(
        "new",
        images=("proxy:1", "web:2"),
        evidence={**GOOD, "scope": {"affectedComponents": 12}, "deploymentPlan": None},
    )
    found = compare(whole(now)[0], whole(before)[0])
    assert found.against == "old"
    assert found.approved == "Approved by rita at 2026-03-01T11:00:00Z"
    assert found.images == (ImageChange("Deployment web", ("web:1",), ("web:2",), 1),)
    changes = {each.field: each for each in found.evidence}
    assert changes["scope.affectedComponents"] == FieldChange("scope.affectedComponents", "1", "12")
    assert changes["deploymentPlan.uri"].now == ""
    assert "testResults.passed" not in changes
    assert found.score == "0.00 AutoApprove -> 20.00 ManualReview"
    assert not found.same


def test_a_workload_that_is_named_no_more_is_shown() -> None:
    before = request("AutoApprove", by_system("AutoApproved"), name="old",
                     of=intent(GOOD, [target("web", "web:1"), target("db", "db:1")]))  # fmt: skip
    found = compare(whole(made("new"))[0], whole(before)[0])
    assert found.images == (ImageChange("Deployment db", ("db:1",), (), 0),)


def test_the_same_again_is_the_same() -> None:
    assert compare(whole(made("new"))[0], whole(approved("old"))[0]).same


def test_against_nothing_every_image_is_new() -> None:
    found = compare(whole(made("new"))[0], None)
    assert (found.against, found.approved, found.evidence) == ("", "", ())
    assert found.images == (ImageChange("Deployment web", (), ("web:1",), 0),)


def test_an_artifact_more_does_not_change_the_others() -> None:
    first = {"name": "web", "images": ["web:1"]}
    before = approved("old", evidence={**GOOD, "artifacts": [first]})
    now = made("new", evidence={**GOOD, "artifacts": [{"name": "a"}, first]})
    found = compare(whole(now)[0], whole(before)[0])
    assert [each.field for each in found.evidence] == ["artifacts[a].name"]


def test_what_differs_in_a_character_that_nobody_sees_is_another() -> None:
    before = approved("old", evidence={**GOOD, "deploymentPlan": {"uri": "https://a.example"}})
    now = made("new", evidence={**GOOD, "deploymentPlan": {"uri": "https://a.exam\u200bple"}})
    [change] = compare(whole(now)[0], whole(before)[0]).evidence
    assert (change.before, change.now) == ("https://a.example", "https://a.exam\\u200bple")
