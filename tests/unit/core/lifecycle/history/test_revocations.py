# SPDX-License-Identifier: Apache-2.0
"""What was refused counts for each image, in whatever set it comes again: as somebody would try to
get round it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.types import Tier
from cabgate.gate.verdict import GateVerdict, Reason
from cabgate.lifecycle.state.standing import standing_of
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    noticed,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import decide, request_for

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
T = NOW - timedelta(hours=1)
"""When the images were revoked."""


def images(*names: str, **fields: str) -> list[dict[str, Any]]:
    return [target("checkout", *names, **fields)]


def revoked(*names: str, of: tuple[str, ...] = (), at: datetime = T, **more: Any) -> CABRequest:
    """A revoked request for some images; `of` are those that the revocation names."""
    seen = {"images": list(of)} if of else {}
    entries = by_person("Approved", at - MINUTE), by_person("Revoked", at, **seen)
    return request("ManualReview", *entries, targets=images(*names), name="revoked", **more)


def by_score(*names: str, at: datetime = T + MINUTE, name: str = "score") -> CABRequest:
    return request("AutoApprove", by_system("AutoApproved", at), targets=images(*names), name=name)


def approved(
    *names: str, at: datetime = T - MINUTE, name: str = "person", **more: Any
) -> CABRequest:
    """By a person, on evidence of its own: the very same content is decided once."""
    verdict = "ConditionallyApproved" if more else "Approved"
    entry = by_person(verdict, at, **more)
    declared = intent({**MIDDLING, "scope": {"affectedComponents": 8}}, images(*names))
    return noticed(request("ManualReview", entry, of=declared, name=name))


def said(
    names: tuple[str, ...], *requests: CABRequest, exceptions: tuple[CABException, ...] = ()
) -> GateVerdict:
    return decide(rollout(*names), 2, requests, exceptions, NOW)


@pytest.mark.parametrize("other", [by_score, approved])
@pytest.mark.parametrize(
    ("refused", "tried"),
    [
        (("bad",), ("bad",)),
        (("bad",), ("bad", "pause")),
        (("bad", "side:1"), ("bad", "side:2")),
        (("bad", "side:1"), ("bad",)),
    ],
)
def test_a_revoked_image_is_denied_in_whatever_set(other, refused, tried):
    decision = said(tried, revoked(*refused), other(*tried))
    assert (decision.allowed, decision.reason) == (False, Reason.REVOKED)
    assert "revoked" in decision.message


def test_the_denial_names_image_request_and_person():
    message = said(("bad", "pause"), revoked("bad"), by_score("bad", "pause")).message
    assert "request score is AutoApproved, but image bad of Deployment checkout was" in message
    assert "Request revoked is revoked by rita: because." in message


def test_what_is_beside_it_is_not_denied():
    both = revoked("bad", "good", of=("bad",))
    assert said(("good",), both, by_score("bad", "good")).allowed
    assert not said(("bad",), both, by_score("bad", "good")).allowed
    assert not said(("good", "bad"), both, by_score("bad", "good")).allowed


@pytest.mark.parametrize("of", [(), ("*",)])
def test_a_revocation_that_names_none_and_one_of_all_are_about_every_image(of):
    both = revoked("bad", "good", of=of)
    assert not said(("good",), both, by_score("good")).allowed


def test_a_revoked_request_itself_admits_nothing():
    assert not said(("good",), revoked("bad", "good", of=("bad",))).allowed


@pytest.mark.parametrize(("shift", "allowed"), [(-1, False), (0, False), (1, True)])
def test_a_person_who_approves_the_image_afterwards_lifts_it(shift, allowed):
    person = approved("bad", "side:9", at=T + shift * SECOND)
    assert said(("bad",), revoked("bad"), person).allowed is allowed
    # For every request then, also for one by score.
    found = said(("bad", "pause"), revoked("bad"), person, by_score("bad", "pause"))
    assert found.allowed is allowed


def test_an_approval_of_another_image_or_another_workload_lifts_nothing():
    other = approved("pause", at=T + MINUTE)
    elsewhere = request("ManualReview", by_person("Approved", T + MINUTE), name="elsewhere",
                        targets=[target("api", "bad"), target("checkout", "pause")])  # fmt: skip
    assert not said(("bad",), revoked("bad"), by_score("bad"), other, elsewhere).allowed


def test_an_approval_on_conditions_lifts_it_for_its_own_request_alone():
    conditions = [{"name": "watch", "description": "someone watches"}]
    person = approved("bad", at=T + MINUTE, conditions=conditions)
    decision = said(("bad",), revoked("bad"), person, by_score("bad"))
    assert decision.allowed
    assert decision.basis.request == standing_of(person)
    tried = ("bad", "pause")
    assert not said(tried, revoked("bad"), person, by_score(*tried)).allowed


def test_an_approval_that_is_not_attested_lifts_nothing():
    conditions = [{"name": "told", "description": "sales know", "attestation": "Required"}]
    person = approved("bad", at=T + MINUTE, conditions=conditions)
    decision = said(("bad",), revoked("bad"), person, by_score("bad"))
    assert decision.reason is Reason.ATTESTATION_MISSING


def test_a_second_revocation_stands_after_the_first_was_lifted():
    again = request(
        "ManualReview",
        by_person("Approved", T + MINUTE),
        by_person("Revoked", T + 2 * MINUTE, images=["bad"]),
        targets=images("bad", "side:1"),
        name="again",
    )
    assert not said(("bad",), revoked("bad"), by_score("bad"), again).allowed
    other = approved("bad", "side:2", at=T + 3 * MINUTE)
    assert said(("bad",), revoked("bad"), by_score("bad"), again, other).allowed


def test_a_workload_that_is_named_under_two_versions_has_the_images_of_both():
    versions = [target("checkout", "bad"), target("checkout", "other", apiVersion="apps/v1beta1")]
    for targets in (versions, versions[::-1]):
        entries = by_person("Approved", T - MINUTE), by_person("Revoked", T)
        no = request("ManualReview", *entries, targets=targets, name="revoked")
        assert not said(("bad",), no, by_score("bad")).allowed
        rejected = request("ManualReview", by_person("Rejected", T), targets=targets)
        made = request_for(intent(GOOD, images("bad")), 2, [rejected])
        assert made.spec.assessment.gate is Tier.MANUAL_REVIEW


def test_an_exception_lifts_it_for_its_request_while_it_lasts():
    risky = request("ExceptionRequired", targets=images("bad", "side:2"), name="risky")
    leave = exception(risky, by_person("Approved", T + MINUTE), days=1)
    tried = ("bad", "side:2")
    assert said(tried, revoked("bad"), risky, exceptions=(leave,)).reason is Reason.EXCEPTION_ACTIVE
    later = NOW + timedelta(days=2)
    assert not decide(rollout(*tried), 2, [revoked("bad"), risky], [leave], later).allowed
    # Under another request it stays revoked: the controls are not about that.
    other = ("bad", "pause")
    found = said(other, revoked("bad"), risky, by_score(*other), exceptions=(leave,))
    assert not found.allowed


@pytest.mark.parametrize("shift", [-1, 0])
def test_an_exception_from_before_it_ends_for_any_set(shift):
    risky = request("ExceptionRequired", targets=images("bad", "side:2"), name="risky")
    leave = exception(risky, by_person("Approved", T + shift * SECOND))
    assert not said(("bad", "side:2"), revoked("bad"), risky, exceptions=(leave,)).allowed
    assert said(("side:2",), revoked("bad"), risky, exceptions=(leave,)).allowed


@pytest.mark.parametrize(
    ("tried", "score"),
    [
        (("bad", "side:2"), False),
        (("bad",), False),
        (("bad", "side:1"), False),
        (("side:3",), True),
    ],
)
def test_a_rejected_image_is_never_approved_by_score(tried, score):
    rejected = request("ManualReview", by_person("Rejected", T), targets=images("bad", "side:1"))
    made = request_for(intent(GOOD, images(*tried)), 2, [rejected])
    assert (made.spec.assessment.gate is Tier.AUTO_APPROVE) is score


@pytest.mark.parametrize(("shift", "score"), [(0, False), (1, True)])
def test_a_person_who_approves_the_image_lifts_a_rejection(shift, score):
    rejected = request("ManualReview", by_person("Rejected", T), targets=images("bad", "side:1"))
    person = approved("bad", "side:2", at=T + shift * SECOND)
    made = request_for(intent(GOOD, images("bad", "side:3")), 2, [rejected, person])
    assert (made.spec.assessment.gate is Tier.AUTO_APPROVE) is score
    # Not for the image that they did not approve.
    other = request_for(intent(GOOD, images("side:1")), 2, [rejected, person])
    assert other.spec.assessment.gate is Tier.MANUAL_REVIEW


def test_neither_a_score_nor_a_condition_nor_an_exception_lifts_a_rejection():
    rejected = request("ManualReview", by_person("Rejected", T), targets=images("bad"))
    conditions = [{"name": "watch", "description": "someone watches"}]
    others = [rejected, by_score("bad"), approved("bad", at=T + MINUTE, conditions=conditions)]
    made = request_for(intent(GOOD, images("bad", "side:3")), 2, others)
    assert made.spec.assessment.gate is Tier.MANUAL_REVIEW


def test_a_revocation_of_one_image_is_no_floor_under_the_others():
    no = revoked("bad", "good", of=("bad",))
    made = request_for(intent(GOOD, images("good")), 2, [no])
    assert made.spec.assessment.gate is Tier.AUTO_APPROVE
    made = request_for(intent(GOOD, images("good", "bad")), 2, [no])
    assert made.spec.assessment.gate is Tier.MANUAL_REVIEW


NAMES = ("a", "b", "c")
SETS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple)
TIMES = st.integers(-2, 2).map(lambda n: T + n * SECOND)


@st.composite
def histories(draw: st.DrawFn) -> list[CABRequest]:
    """Requests of one workload, decided at about the same time."""
    found = []
    for number in range(draw(st.integers(0, 4))):
        named, at = draw(SETS), draw(TIMES)
        kind = draw(st.sampled_from(["score", "Approved", "Revoked", "waits"]))
        of: Any = draw(st.sampled_from([[], ["*"], list(named[:1])]))
        entries = {
            "score": [by_system("AutoApproved", at)],
            "Approved": [by_person("Approved", at)],
            "Revoked": [by_person("Approved", at - MINUTE), by_person("Revoked", at, images=of)],
            "waits": [],
        }[kind]
        gate = "AutoApprove" if kind == "score" else "ManualReview"
        found.append(request(gate, *entries, targets=images(*named), name=f"r{number}"))
    return found


@given(histories(), st.lists(st.tuples(SETS, TIMES), min_size=1, max_size=3), SETS)
def test_no_rejection_changes_what_an_approval_admitted_before_it(before, rejections, tried):
    was = said(tried, *before)
    # The very same content cannot be rejected before it is approved: see `test_same_content.py`.
    times = [entry.at for each in before for entry in each.status.decisions]
    rejected = []
    for n, (named, at) in enumerate(rejections):
        no = request("ManualReview", targets=images(*named), name=f"no{n}")
        entry = by_person("Rejected", at)
        if any(each.spec.evidence_digest == no.spec.evidence_digest for each in before):
            entry = by_person("Rejected", max([at, *(moment + SECOND for moment in times)]))
        rejected.append(request("ManualReview", entry, targets=images(*named), name=f"no{n}"))
    now = said(tried, *before, *rejected)
    assert now.allowed == was.allowed
    if was.reason is Reason.REQUEST_APPROVED:
        assert (now.reason, now.basis.request) == (was.reason, was.basis.request)


@given(histories(), SETS)
def test_an_image_is_admitted_beside_others_only_if_it_is_by_itself(requests, tried):
    if said(tried, *requests).allowed:
        assert all(said((image,), *requests).allowed for image in tried)


@given(histories(), SETS)
def test_after_a_revocation_nothing_admits_its_images_until_a_person_approves_them(requests, named):
    last = T + 10 * SECOND
    entries = by_person("Approved", T - MINUTE), by_person("Revoked", last)
    no = request("ManualReview", *entries, targets=images(*named), name="last")
    for image in NAMES:
        was, now = said((image,), *requests), said((image,), *requests, no)
        assert now.allowed == (was.allowed and image not in named)
        again = approved(image, at=last + SECOND)
        assert said((image,), *requests, no, again).allowed


def test_a_denial_names_the_images_that_the_revocation_names():
    both = revoked("bad", "good", "worse", of=("bad", "worse"))
    message = said(("good",), both).message
    assert "request revoked is revoked by rita, image bad and 1 more: because." in message
