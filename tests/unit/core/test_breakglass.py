# SPDX-License-Identifier: Apache-2.0
"""Break-glass: what the annotation says, and the request that follows from a workload."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import CABRequest, RequestVerdict
from cabgate.api.types import AuthorType, Gate
from cabgate.breakglass import (
    ANNOTATION,
    BREAKABLE,
    BY_ANNOTATION,
    ID_ANNOTATION,
    assessment_of_glass,
    breakable,
    check_opened_for_glass,
    glass_of,
    recomputed,
    request_for_glass,
)
from cabgate.commands import edit_intent
from cabgate.evidence import evidence_digest
from cabgate.gate import decide
from cabgate.lifecycle import next_request_state, state_of
from cabgate.messages import assessment_details
from cabgate.refusal import Refusal, RefusalReason
from cabgate.requests import is_current, is_wanted
from cabgate.retention import removable
from cabgate.workloads import GatedKind
from unit.core.builders import NOW, by_person, by_system, intent, numbered, rollout

WHY = "INC-1: the shop is down"
DEPLOYMENT = next(kind for kind in BREAKABLE if kind.kind == "Deployment")


def workload(
    why: str | None = WHY,
    by: str = "ann",
    identity: str = "deployments/7",
    images: tuple[str, ...] = ("web:9",),
    uid: str = "u-1",
) -> dict[str, Any]:
    stamps = {ANNOTATION: why, BY_ANNOTATION: by, ID_ANNOTATION: identity}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "uid": uid,
            "annotations": {key: value for key, value in stamps.items() if value},
        },
        "spec": {"template": {"spec": {"containers": [{"image": image} for image in images]}}},
    }


def opened(obj: dict[str, Any], *decisions: dict[str, Any]) -> CABRequest:
    made = request_for_glass(DEPLOYMENT, obj, 2)
    assert made is not None
    stored = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    stored["metadata"]["creationTimestamp"] = "2026-03-01T11:00:00Z"
    stored["status"] = {"decisions": numbered(decisions, made.spec.evidence_digest)}
    return CABRequest.model_validate(stored)


TICKETS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._/#-]{0,63}\Z")
REASONS = st.from_regex(r"\A[^ \t\r\n][^\r\n]{0,511}\Z")


@given(TICKETS, REASONS, st.text(max_size=600), st.text(max_size=200))
def test_whatever_has_the_form_leads_to_a_request(
    ticket: str, reason: str, by: str, identity: str
) -> None:
    obj = workload(f"{ticket}: {reason}", by, identity)
    glass = glass_of(obj)
    assert glass is not None
    assert (glass.ticket, glass.reason) == (ticket, reason)
    request = request_for_glass(DEPLOYMENT, obj, 2)
    assert request is not None
    # As it is stored and read again, it is the same: the webhook compares them.
    stored = CABRequest.model_validate(
        {"metadata": request.metadata.model_dump(by_alias=True), "spec": request.spec.to_dict()}
    )
    check_opened_for_glass(stored, obj)
    assert evidence_digest(stored.spec) == request.spec.evidence_digest


@given(st.text(max_size=80))
def test_whatever_has_not_the_form_leads_to_none(text: str) -> None:
    obj = workload(text)
    if ": " not in text or "\n" in text or "\r" in text:
        assert glass_of(obj) is None
        assert request_for_glass(DEPLOYMENT, obj, 2) is None


def test_without_metadata_there_is_no_glass() -> None:
    assert glass_of({}) is None
    assert glass_of({"metadata": {"annotations": None}}) is None


def test_the_breaker_submitted_and_nobody_is_named_who_is_not_known() -> None:
    known, unknown = opened(workload()), opened(workload(by=""))
    assert [s.username for s in known.spec.submitted_by] == ["ann"]
    assert unknown.spec.submitted_by == []
    assert "nobody knows who" in assessment_details(unknown)[0]
    assert "ann broke the glass for INC-1: the shop is down" in assessment_details(known)[0]
    assert len(assessment_details(known)) == 1, "no evidence is asked for"


def test_a_person_decides_whatever_the_score() -> None:
    request = opened(workload())
    assert request.spec.break_glass is not None
    assessment = assessment_of_glass(request.spec.break_glass)
    assert (assessment.score, assessment.gate) == ("100.00", Gate.MANUAL_REVIEW)
    assert recomputed(request.spec) == assessment
    assert recomputed(request.spec) != recomputed(
        request.spec.model_copy(update={"break_glass": None})
    )


@pytest.mark.parametrize(
    "other",
    [
        workload("INC-2: the shop is down"),
        workload("INC-1: another reason"),
        workload(by="bob"),
        workload(identity="deployments/8"),
        workload(uid="u-2"),
    ],
)
def test_each_break_is_another_request_about_another_digest(other: dict[str, Any]) -> None:
    first, second = opened(workload()), opened(other)
    assert first.metadata.name != second.metadata.name
    assert first.spec.evidence_digest != second.spec.evidence_digest
    bare = first.spec.model_copy(update={"break_glass": None})
    assert evidence_digest(bare) != first.spec.evidence_digest, "nor is it an intent without any"


def test_what_a_controller_copied_is_told_by_its_resource() -> None:
    replica_set = next(kind for kind in BREAKABLE if kind.kind == "ReplicaSet")
    glass = glass_of(workload())
    assert glass is not None
    assert glass.is_own(DEPLOYMENT) is True
    assert glass.is_own(replica_set) is False
    unknown = glass_of(workload(identity=""))
    assert unknown is not None
    assert unknown.is_own(DEPLOYMENT) is None


def test_pods_cannot_be_broken() -> None:
    assert breakable("apps/v1", "Deployment") == DEPLOYMENT
    assert breakable("v1", "Pod") is None
    assert breakable("v1", "PodTemplate") is None
    assert breakable("apps.kruise.io/v1", "Deployment") is None
    assert all(isinstance(kind, GatedKind) and kind.resource for kind in BREAKABLE)


def changed(request: CABRequest, **spec: Any) -> CABRequest:
    return request.model_copy(update={"spec": request.spec.model_copy(update=spec)})


def test_only_what_the_workload_says_is_opened() -> None:
    obj, request = workload(), opened(workload())
    check_opened_for_glass(request, obj)
    metadata = request.metadata
    pod = request.spec.targets[0].model_copy(update={"api_version": "v1", "kind": "Pod"})
    forged = [
        (changed(request, submitted_by=[]), obj),
        (changed(request, summary="harmless"), obj),
        (changed(request, requester="bob"), obj),
        (changed(request, correlation_id="other"), obj),
        (changed(request, targets=request.spec.targets * 2), obj),
        (changed(request, targets=[pod]), obj),
        (request, workload(why=None)),
        (request, workload(images=("web:10",))),
        (request, workload(identity="deployments/8")),
        (request, None),
        (
            request.model_copy(
                update={"metadata": metadata.model_copy(update={"name": "break-glass-x"})}
            ),
            obj,
        ),
        (
            request.model_copy(update={"metadata": metadata.model_copy(update={"labels": {}})}),
            obj,
        ),
    ]
    for created, live in forged:
        with pytest.raises(Refusal) as refusal:
            check_opened_for_glass(created, live)
        assert refusal.value.reason is RefusalReason.WRONG_CONTENT


def test_it_waits_until_a_person_decides_and_covers_its_images_then() -> None:
    said = by_system("GlassBroken")
    waiting = opened(workload(), said)
    assert state_of(waiting) == "Submitted"
    assert decide(rollout("web:9"), 2, [waiting], (), NOW).reason == "ReviewPending"
    approved = opened(workload(), said, by_person("Approved"))
    assert decide(rollout("web:9"), 2, [approved], (), NOW).allowed
    assert not decide(rollout("web:10"), 2, [approved], (), NOW).allowed
    rejected = opened(workload(), said, by_person("Rejected"))
    decision = decide(rollout("web:9"), 2, [rejected], (), NOW)
    assert decision.reason == "Rejected"
    assert "cabgate intent -n shop deployment/checkout --image web:9" in decision.message


def test_nothing_supersedes_it_and_no_retention_removes_it() -> None:
    request = opened(workload())
    assert is_wanted(request, None)
    assert not is_current(request, intent())
    assert edit_intent(request).startswith("cabgate intent ")
    decided = opened(workload(), by_person("Approved"))
    assert removable([request, decided], [], {}, NOW, kept=0) == []


def test_that_the_glass_was_broken_is_said_of_no_other_request() -> None:
    request = opened(workload())
    state, verdict = state_of(request), RequestVerdict.GLASS_BROKEN
    assert next_request_state(request, state, verdict, AuthorType.SYSTEM) == state
    assert next_request_state(request, state, verdict, AuthorType.PERSON) is None
    other = changed(request, break_glass=None)
    assert next_request_state(other, state, verdict, AuthorType.SYSTEM) is None


def test_image_changes_after_the_break_make_no_other_request() -> None:
    later = copy.deepcopy(workload(images=("web:10",)))
    assert opened(later).metadata.name == opened(workload()).metadata.name
