# SPDX-License-Identifier: Apache-2.0
"""Break-glass: what the annotation says, and the request that follows from a workload."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.kinds import GatedKind
from cabgate.api.request import CABRequest, RequestVerdict
from cabgate.api.types import AuthorType, Tier
from cabgate.gate.commands import edit_intent
from cabgate.gate.phrases import assessment_details
from cabgate.lifecycle.history.revocations import pairs_of
from cabgate.lifecycle.limits.retention import removable
from cabgate.lifecycle.requests.break_glass import (
    BREAKABLE,
    assessment_of_glass,
    breakable,
    check_opened_for_glass,
    check_stamped,
    glass_of,
    recomputed,
    requests_for_glass,
)
from cabgate.lifecycle.requests.opening import is_current, is_wanted
from cabgate.lifecycle.state.states import next_request_state, state_of
from cabgate.risk.evidence import evidence_digest
from cabgate.text.characters import seen, shows
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import (
    NOW,
    broken_workload,
    by_person,
    by_system,
    intent,
    opened_for,
    request,
    retrospective,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING
from unit.core.standings import approvals_of, decide, earlier_verdict

DEPLOYMENT = next(kind for kind in BREAKABLE if kind.kind == "Deployment")


TICKETS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._/#-]{0,63}\Z")
REASONS = st.from_regex(r"\A[^ \t\r\n][^\r\n]{0,511}\Z")


@given(
    TICKETS,
    REASONS,
    st.text(min_size=1, max_size=600),
    st.text(max_size=200).map("deployments/".__add__),
)
def test_whatever_has_the_form_leads_to_a_request(
    ticket: str, reason: str, by: str, identity: str
) -> None:
    obj = broken_workload(f"{ticket}: {reason}", by, identity)
    glass = glass_of(DEPLOYMENT, obj)
    assert glass is not None
    note = seen(reason) if shows(reason) else "(no reason that can be read)"
    assert (glass.ticket, glass.reason) == (ticket, note)
    [request] = requests_for_glass(DEPLOYMENT, obj)
    # As it is stored and read again, it is the same: the webhook compares them.
    stored = CABRequest.model_validate(
        {"metadata": request.metadata.model_dump(by_alias=True), "spec": request.spec.to_dict()}
    )
    check_opened_for_glass(stored, obj)
    assert evidence_digest(stored.spec) == request.spec.evidence_digest


@given(st.text(max_size=80))
def test_whatever_has_not_the_form_leads_to_none(text: str) -> None:
    obj = broken_workload(text)
    if ": " not in text or "\n" in text or "\r" in text:
        assert glass_of(DEPLOYMENT, obj) is None
        assert requests_for_glass(DEPLOYMENT, obj) == []


def test_without_metadata_there_is_no_glass() -> None:
    assert glass_of(DEPLOYMENT, {}) is None
    assert glass_of(DEPLOYMENT, {"metadata": {"annotations": None}}) is None


def test_the_breaker_submitted_and_nobody_is_named_who_is_not_known() -> None:
    known = opened_for(broken_workload())
    # Longer than any name that may submit.
    unknown = opened_for(broken_workload(by="x" * 513))
    assert [s.username for s in known.spec.submitted_by] == ["ann"]
    assert unknown.spec.submitted_by == []
    assert "nobody knows who" in assessment_details(unknown)[0]
    assert "ann broke the glass for INC-1: the shop is down" in assessment_details(known)[0]
    assert len(assessment_details(known)) == 1, "no evidence is asked for"


def test_a_person_decides_whatever_the_score() -> None:
    request = opened_for(broken_workload())
    assert request.spec.break_glass is not None
    assessment = assessment_of_glass(request.spec.break_glass)
    assert (assessment.score, assessment.gate) == ("100.00", Tier.MANUAL_REVIEW)
    assert recomputed(request.spec) == assessment
    assert recomputed(request.spec) != recomputed(
        request.spec.model_copy(update={"break_glass": None})
    )


@pytest.mark.parametrize(
    "other",
    [
        broken_workload("INC-2: the shop is down"),
        broken_workload("INC-1: another reason"),
        broken_workload(by="bob"),
        broken_workload(identity="deployments/8"),
        broken_workload(uid="u-2"),
    ],
)
def test_each_break_is_another_request_about_another_digest(other: dict[str, Any]) -> None:
    first, second = opened_for(broken_workload()), opened_for(other)
    assert first.metadata.name != second.metadata.name
    assert first.spec.evidence_digest != second.spec.evidence_digest
    bare = first.spec.model_copy(update={"break_glass": None})
    assert evidence_digest(bare) != first.spec.evidence_digest, "nor is it an intent without any"


@pytest.mark.parametrize(
    "stamps",
    [
        {"identity": ""},
        {"by": ""},
        {"ring": ""},
        {"ring": "0"},
        {"ring": "1"},
        {"identity": "replicasets/7"},
        {"identity": "deployments"},
        {"identity": "/7"},
    ],
)
def test_what_the_api_server_did_not_stamp_as_a_break_is_none(stamps: dict[str, str]) -> None:
    obj = broken_workload(**stamps)
    broken = stamps == {"identity": "deployments"}  # of this resource, at least
    assert (glass_of(DEPLOYMENT, obj) is not None) is broken
    assert (requests_for_glass(DEPLOYMENT, obj) != []) is broken


@given(st.text(max_size=3), st.text(max_size=12), st.text(max_size=12))
def test_without_a_gated_ring_in_the_stamp_nothing_was_broken(
    ring: str, by: str, identity: str
) -> None:
    glass = glass_of(DEPLOYMENT, broken_workload(by=by, identity=identity, ring=ring))
    if ring in ("", "0", "1") or not by or not identity.startswith("deployments"):
        assert glass is None


@pytest.mark.parametrize(("ring", "recorded"), [("2", 2), ("3", 3), ("4", 4), ("gold", 4)])
def test_the_ring_of_the_break_is_recorded(ring: str, recorded: int) -> None:
    assert opened_for(broken_workload(ring=ring)).spec.ring == recorded


def test_what_a_controller_copied_is_no_break() -> None:
    replica_set = next(kind for kind in BREAKABLE if kind.kind == "ReplicaSet")
    assert glass_of(DEPLOYMENT, broken_workload()) is not None
    assert glass_of(replica_set, broken_workload()) is None


def test_pods_cannot_be_broken() -> None:
    assert breakable("apps/v1", "Deployment") == DEPLOYMENT
    assert breakable("v1", "Pod") is None
    assert breakable("v1", "PodTemplate") is None
    assert breakable("apps.kruise.io/v1", "Deployment") is None
    assert all(isinstance(kind, GatedKind) and kind.resource for kind in BREAKABLE)


def changed(request: CABRequest, **spec: Any) -> CABRequest:
    return request.model_copy(update={"spec": request.spec.model_copy(update=spec)})


def test_only_what_the_workload_says_is_opened() -> None:
    obj, request = broken_workload(), opened_for(broken_workload())
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
        (request, broken_workload(why=None)),
        (request, broken_workload(images=("web:10",))),
        (request, broken_workload(identity="deployments/8")),
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


SAID = by_system("GlassBroken")


@pytest.mark.parametrize("image", ["web:9", "web:10"])
@pytest.mark.parametrize("entries", [(), (SAID,), (SAID, by_person("Approved"))])
def test_it_admits_no_later_rollout_whoever_approved_it(
    entries: tuple[dict[str, Any], ...], image: str
) -> None:
    request = opened_for(broken_workload(), *entries)
    assert state_of(request) == ("Approved" if len(entries) == 2 else "Submitted")
    decision = decide(rollout(image), 2, [request], (), NOW)
    assert not decision.allowed
    assert decision.reason == ("GlassBroken" if image == "web:9" else "ImagesNotCovered")
    assert f"cabgate intent -n shop deployment/checkout --image {image}" in decision.message


def test_nor_does_an_approval_of_it_on_conditions() -> None:
    condition = {"name": "watch", "description": "somebody watches"}
    entry = by_person("ConditionallyApproved", conditions=[condition])
    decision = decide(rollout("web:9"), 2, [opened_for(broken_workload(), entry)], (), NOW)
    assert (decision.allowed, decision.reason) == (False, "GlassBroken")


def test_an_intent_covers_what_was_broken_through() -> None:
    broken = opened_for(broken_workload(), SAID, by_person("Approved"))
    targets = [target("checkout", "web:9")]
    waits = request("ManualReview", targets=targets)
    approved = request("ManualReview", by_person("Approved"), targets=targets)
    other = request("ManualReview", by_person("Approved"))
    # What can still admit it is told, not that the glass was broken.
    assert decide(rollout("web:9"), 2, [broken, waits], (), NOW).reason == "ReviewPending"
    assert decide(rollout("web:9"), 2, [broken, approved], (), NOW).allowed
    assert decide(rollout("web:9"), 2, [broken, other], (), NOW).reason == "GlassBroken"
    uncovered = decide(rollout("web:10"), 2, [broken, other], (), NOW)
    assert uncovered.reason == "ImagesNotCovered"
    assert "kubectl edit deploymentintent" in uncovered.message, "there is one to edit"


def test_a_rejection_of_it_is_told() -> None:
    rejected = opened_for(broken_workload(), SAID, by_person("Rejected"))
    decision = decide(rollout("web:9"), 2, [rejected], (), NOW)
    assert decision.reason == "Rejected"
    assert "cabgate intent -n shop deployment/checkout --image web:9" in decision.message


def test_its_approval_lifts_no_revocation() -> None:
    targets = [target("checkout", "web:9")]
    early, late = NOW - timedelta(hours=3), NOW - timedelta(minutes=5)
    revoked = request(
        "ManualReview",
        by_person("Approved", early - timedelta(hours=1)),
        by_person("Revoked", early, images=["web:9"]),
        targets=targets,
        name="old",
    )
    broken = opened_for(broken_workload(), SAID, by_person("Approved", late))
    assert approvals_of([broken], pairs_of(broken.spec.targets)) == {}
    by_score = request("AutoApprove", by_system("AutoApproved", late), targets=targets)
    decision = decide(rollout("web:9"), 2, [revoked, broken, by_score], (), NOW)
    assert (decision.allowed, decision.reason) == (False, "Revoked")
    # Nor does it let later requests with that image be approved by score.
    wanted = by_score.spec.targets
    assert earlier_verdict(wanted, [revoked, broken]) is not None
    anew = intent({**MIDDLING, "scope": {"affectedComponents": 8}}, targets)
    again = request("ManualReview", by_person("Approved", late), of=anew, name="again")
    assert decide(rollout("web:9"), 2, [revoked, broken, again], (), NOW).allowed


def test_nothing_supersedes_it_and_no_retention_removes_it() -> None:
    request = opened_for(broken_workload())
    assert is_wanted(request, None)
    assert not is_current(request, intent())
    assert edit_intent(request).startswith("cabgate intent ")
    decided = opened_for(broken_workload(), by_person("Approved"))
    assert removable([request, decided], [], {}, NOW, kept=0) == []


def test_that_the_glass_was_broken_is_said_of_no_other_request() -> None:
    request = opened_for(broken_workload())
    state, verdict = state_of(request), RequestVerdict.GLASS_BROKEN
    assert next_request_state(request, state, verdict, AuthorType.SYSTEM) == state
    assert next_request_state(request, state, verdict, AuthorType.PERSON) is None
    other = changed(request, break_glass=None)
    assert next_request_state(other, state, verdict, AuthorType.SYSTEM) is None


def test_image_changes_after_the_break_make_no_other_request() -> None:
    later = copy.deepcopy(broken_workload(images=("web:10",)))
    assert opened_for(later).metadata.name == opened_for(broken_workload()).metadata.name


def test_a_request_for_a_break_that_no_policy_stamped_is_refused() -> None:
    made = retrospective()
    check_stamped(made, {"kube-system"})
    with pytest.raises(Refusal, match="its namespace is excluded") as refusal:
        check_stamped(made, {"kube-system", made.metadata.namespace})
    assert refusal.value.field == "spec.breakGlass"
