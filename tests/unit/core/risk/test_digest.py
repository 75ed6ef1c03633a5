# SPDX-License-Identifier: Apache-2.0
"""The evidence digest: what a decision is about, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.lifecycle.requests.opening import (
    correlation_id,
    is_current,
    request_for,
    request_name,
    target_labels,
)
from cabgate.risk.evidence import evidence_digest
from cabgate.rollout.targets import Workload
from cabgate.text.canonical import canonical_json, sha256_hex
from cabgate_samples.models import IMAGE, intent, request, target
from cabgate_samples.objects import GOOD

DIGEST = evidence_digest(intent(named=False).spec)


def digest(*args: Any, **fields: Any) -> str:
    """Of evidence as it was before its artifacts could name images, unless a test names some."""
    return evidence_digest(intent(*args, named=False, **fields).spec)


PINNED: dict[str, Any] = {
    "artifacts": [{"name": "checkout", "uri": "https://ci.example.com/1"}],
    "testResults": {"coveragePercent": 95, "passed": 100, "failed": 0},
    "scanResults": {"critical": 0, "high": 0},
    "manualTesting": {"status": "Completed"},
    "rollbackPlan": {"validated": True, "uri": "https://wiki.example.com/back"},
    "deploymentPlan": {"uri": "https://wiki.example.com/forward"},
    "scope": {"affectedComponents": 1},
}
"""Written out here: no other test may have a reason to change it."""


def test_the_digest_is_named_by_recipe_and_stays_what_it_was() -> None:
    """Another value here would make every decision that was ever taken about something else."""
    kept = "v1:sha256:8748aa1ad771ac844245b5128ae57cabaca270013c0fa56d194f37f05a433258"
    assert digest(PINNED) == kept


def test_a_copy_with_other_content_has_a_digest_of_its_own() -> None:
    """However lately that of the original was asked for."""
    spec = intent(named=False).spec
    assert evidence_digest(spec) == DIGEST
    first = spec.targets[0]
    others = [
        spec.model_copy(update={"targets": [first.model_copy(update={"images": [f"web:{n}"]})]})
        for n in range(8)
    ]
    assert len({DIGEST, *map(evidence_digest, others)}) == 9
    assert [evidence_digest(each) for each in others] == [evidence_digest(e) for e in others]
    assert evidence_digest(spec) == DIGEST


@given(st.permutations(range(3)), st.permutations(range(3)), st.permutations(range(3)))
def test_the_order_of_targets_images_and_artifacts_does_not_matter(
    targets: list[int], images: list[int], artifacts: list[int]
) -> None:
    def made(targets: list[int], images: list[int], artifacts: list[int]) -> str:
        return digest(
            {**GOOD, "artifacts": [{"name": f"a{n}"} for n in artifacts]},
            [target(f"t{n}", *(f"i{m}" for m in images)) for n in targets],
        )

    assert made(targets, images, artifacts) == made([0, 1, 2], [0, 1, 2], [0, 1, 2])


@pytest.mark.parametrize(
    "changed",
    [
        {"summary": "another text"},
        {"correlationID": "CHG-1"},
        {"requester": "ann"},
        {"submittedBy": [{"username": "ann"}]},
        {"name": "another"},
        {"namespace": "elsewhere"},
    ],
)
def test_what_is_not_evidence_leaves_the_digest_alone(changed: dict[str, Any]) -> None:
    assert digest(**changed) == DIGEST


@pytest.mark.parametrize(
    "evidence",
    [
        {**GOOD, "testResults": {"coveragePercent": 95, "passed": 100, "failed": 1}},
        {**GOOD, "testResults": {"coveragePercent": 95, "passed": 100}},
        {**GOOD, "testResults": {"coveragePercent": 95.1, "passed": 100, "failed": 0}},
        {**GOOD, "rollbackPlan": {"validated": False, "uri": "https://wiki.example.com/back"}},
        {**GOOD, "rollbackPlan": {"uri": "https://wiki.example.com/back"}},
        {**GOOD, "artifacts": [{"name": "checkout"}]},
        {**GOOD, "artifacts": [*GOOD["artifacts"], {"name": "more"}]},
        {},
    ],
)
def test_other_evidence_is_another_digest(evidence: dict[str, Any]) -> None:
    assert digest(evidence) != DIGEST


@pytest.mark.parametrize(
    "targets",
    [
        [target("checkout", IMAGE + "0")],
        [target("checkout", IMAGE, "busybox:1")],
        [target("cart")],
        [target("checkout"), target("cart")],
        [target("checkout", kind="StatefulSet")],
        [target("checkout", apiVersion="apps/v1beta1")],
    ],
)
def test_other_targets_are_another_digest(targets: list[dict[str, Any]]) -> None:
    assert digest(None, targets) != DIGEST


def test_an_image_that_stands_twice_counts_once() -> None:
    assert digest(None, [target("checkout", IMAGE, IMAGE)]) == DIGEST


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"artifacts": []}),
        ({}, {"testResults": {}}),
        ({}, {"testResults": None}),
        ({"testResults": {"passed": 1}}, {"testResults": {"passed": 1, "failed": None}}),
        ({"testResults": {"coveragePercent": 80}}, {"testResults": {"coveragePercent": 80.0}}),
    ],
)
def test_absent_empty_and_null_are_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest(one) == digest(other)


def test_zero_and_false_are_not_absent() -> None:
    assert digest({"testResults": {"failed": 0}}) != digest({})
    assert digest({"rollbackPlan": {"validated": False}}) != digest({})


def test_a_request_has_the_digest_of_its_intent() -> None:
    made = intent(named=False)
    opened = request_for(made, ring=3)

    assert opened.spec.evidence_digest == evidence_digest(opened.spec) == DIGEST
    assert opened.metadata.name == f"checkout-{DIGEST.rpartition(':')[2][:8]}"
    assert opened.spec.ring == 3
    assert (opened.spec.intent_ref.name, opened.spec.intent_ref.uid) == ("checkout", "u-1")
    assert opened.metadata.labels == target_labels(opened.spec)


def test_a_request_name_holds_the_beginning_of_the_digest() -> None:
    assert request_name("checkout", "v1:sha256:0123456789abcdef") == "checkout-01234567"


def test_a_correlation_id_is_derived_and_a_retry_gives_the_same() -> None:
    made = intent()
    derived = correlation_id(made, DIGEST)

    assert derived.startswith("CAB-")
    assert len(derived) == 16
    assert derived == correlation_id(intent(), DIGEST)
    assert derived != correlation_id(intent(namespace="elsewhere"), DIGEST)
    assert derived != correlation_id(made, "v1:sha256:" + "0" * 64)
    assert correlation_id(intent(correlationID="CHG-1"), DIGEST) == "CHG-1"


def test_a_request_is_current_while_its_intent_says_the_same() -> None:
    opened = request("AutoApprove")

    assert is_current(opened, intent())
    assert not is_current(opened, None)
    assert not is_current(opened, intent({}))
    assert not is_current(opened, intent(name="another"))
    deleted = intent()
    gone = deleted.metadata.model_copy(update={"deletion_timestamp": "2026-01-01T00:00:00Z"})
    assert not is_current(opened, deleted.model_copy(update={"metadata": gone}))


def test_the_label_of_a_target_ignores_the_version_of_its_api() -> None:
    def label(name: str = "checkout", **fields: str) -> str:
        [key] = target_labels(request_for(intent(None, [target(name, **fields)]), 2).spec)
        return key

    assert label() == label(apiVersion="apps/v1beta1")
    assert len({label(), label(kind="DaemonSet"), label(apiVersion="v1"), label("cart")}) == 4
    assert len(label().partition("/")[2]) <= 63


def test_a_workload_is_told_as_kubectl_tells_it() -> None:
    assert Workload("apps", "Deployment", "web").argument == "deployment/web"
    assert Workload("", "Pod", "web").argument == "pod/web"
    assert Workload("argoproj.io", "Rollout", "web").argument == "rollout.argoproj.io/web"
    assert Workload("x.io", "CloneSet", "web").argument == "CloneSet.x.io/web"
    assert str(Workload("apps", "Deployment", "web")) == "Deployment web"


def test_canonical_json_refuses_what_json_cannot_say() -> None:
    assert canonical_json({"b": 1, "a": 85.0}) == b'{"a":85,"b":1}'
    assert len(sha256_hex([])) == 64
    for value in (float("nan"), 2**60):
        with pytest.raises(ValueError, match=r".+"):
            canonical_json(value)
