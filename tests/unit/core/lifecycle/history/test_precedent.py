# SPDX-License-Identifier: Apache-2.0
"""A verdict holds for its content and its images, by whatever name they come again."""

from datetime import timedelta

import pytest

from cabgate.api.types import Tier
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.history.precedent import EARLIER_VERDICT
from cabgate.lifecycle.state.standing import standing_of
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import (
    decide,
    decided_elsewhere,
    earlier_verdict,
    request_for,
    standing_verdict,
)

HOUR = timedelta(hours=1)
BEFORE, AFTER = NOW - HOUR, NOW
NEVER = [by_person("Approved", BEFORE - HOUR), by_person("Revoked", BEFORE)]


@pytest.mark.parametrize("entries", [[by_person("Rejected")], NEVER])
def test_a_refusal_stands_for_the_same_content_under_any_intent(entries):
    refused = request("ManualReview", *entries)
    same = request_for(intent(MIDDLING, name="another"), 2)
    assert standing_verdict(same.spec.evidence_digest, [refused]) == standing_of(refused)
    other = request_for(intent(GOOD, name="another"), 2)
    assert standing_verdict(other.spec.evidence_digest, [refused]) is None


def test_an_approval_does_not_stand_for_another_intent_but_forbids_another_verdict():
    approved = request("ManualReview", by_person("Approved"))
    twin = request("ManualReview", name="twin")
    assert standing_verdict(twin.spec.evidence_digest, [approved]) is None
    assert decided_elsewhere(twin, [twin, approved]) == standing_of(approved)
    assert decided_elsewhere(approved, [twin, approved]) is None


@pytest.mark.parametrize("state", ["Rejected", "Revoked"])
def test_new_evidence_for_refused_images_is_never_approved_by_score(state):
    entries = NEVER if state == "Revoked" else [by_person("Rejected", rationale="no tests")]
    refused = request("ManualReview", *entries)
    made = request_for(intent(GOOD), 2, [refused])
    assert made.spec.assessment.score == "0.00"
    assert made.spec.assessment.gate is Tier.MANUAL_REVIEW
    first = made.spec.assessment.floors[0]
    assert first.name == EARLIER_VERDICT
    assert refused.metadata.name in first.explanation
    assert "by rita" in first.explanation


@pytest.mark.parametrize(
    ("images", "same"),
    [
        (["a", "b"], True),
        (["a", "b", "c"], True),
        (["a"], True),
        (["a", "c"], True),
        (["c"], False),
    ],
)
def test_each_image_that_was_refused_counts_whatever_is_beside_it(images, same):
    refused = request("ManualReview", by_person("Rejected"), targets=[target("web", "a", "b")])
    found = earlier_verdict(intent(targets=[target("web", *images)]).spec.targets, [refused])
    assert (found is not None) is same


def test_images_of_another_workload_are_others():
    refused = request("ManualReview", by_person("Rejected"), targets=[target("web", "a")])
    assert earlier_verdict(intent(targets=[target("api", "a")]).spec.targets, [refused]) is None


def test_of_several_refusals_the_latest_is_told():
    old = request("ManualReview", by_person("Rejected", BEFORE), name="old")
    new = request("ManualReview", by_person("Rejected", AFTER), name="new")
    found = earlier_verdict(intent().spec.targets, [new, old])
    assert found is not None
    assert "request new" in found.explanation


def said(requests, exceptions=()):
    return decide(rollout(), 2, requests, exceptions, NOW + HOUR)


def test_a_revocation_denies_its_images_under_every_request():
    older = request("AutoApprove", by_system("AutoApproved", BEFORE - HOUR), name="older")
    person = request("ManualReview", by_person("Approved", BEFORE - HOUR), name="person")
    revoked = request("ManualReview", *NEVER, name="revoked")
    decision = said([older, person, revoked])
    assert decision.reason is Reason.REVOKED
    assert "revoked" in decision.message


def test_a_score_does_not_undo_a_revocation_and_a_person_does():
    revoked = request("ManualReview", *NEVER, name="revoked")
    score = request("AutoApprove", by_system("AutoApproved", AFTER), name="score")
    assert said([revoked, score]).reason is Reason.REVOKED
    # On new evidence: the very same content is decided once.
    anew = intent({**MIDDLING, "scope": {"affectedComponents": 8}})
    person = request("ManualReview", by_person("Approved", AFTER), name="person", of=anew)
    assert said([revoked, score, person]).reason is Reason.REQUEST_APPROVED


def test_a_revocation_ends_the_exceptions_of_other_requests_too():
    revoked = request("ManualReview", *NEVER, name="revoked")
    risky = request("ExceptionRequired", name="risky")
    before = exception(risky, by_person("Approved", BEFORE - HOUR))
    assert not said([revoked, risky], [before]).allowed
    after = exception(risky, by_person("Approved", AFTER))
    assert said([revoked, risky], [after]).reason is Reason.EXCEPTION_ACTIVE


def test_a_revocation_of_other_images_denies_nothing_here():
    approved = request("AutoApprove", by_system("AutoApproved", BEFORE - HOUR))
    other = request("ManualReview", *NEVER, name="other", targets=[target("checkout", "x")])
    assert said([approved, other]).allowed
