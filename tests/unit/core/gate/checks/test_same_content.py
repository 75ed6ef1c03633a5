# SPDX-License-Identifier: Apache-2.0
"""The very same content, approved under one intent's name and refused under another's at the same
moment: neither reviewer can have seen the other."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.standing import standing_of
from cabgate_samples.models import (
    IMAGE,
    NOW,
    by_person,
    by_system,
    intent,
    noticed,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import decide, earlier_verdict, overruled_by
from unit.operator.standings import Surroundings, readiness

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
T = NOW - HOUR
BOTH = [target("checkout", IMAGE, "side:1")]
WATCH = [{"name": "watch", "description": "someone watches"}]


def twins(approval, *refusal, evidence=MIDDLING, targets=None):
    """Two requests for one content under the names of two intents."""
    one, two = (intent(evidence, targets, name=name) for name in ("one", "two"))
    gate = "AutoApprove" if evidence is GOOD else "ManualReview"
    return request(gate, approval, of=one), request(gate, *refusal, of=two)


def said(*requests, images=(IMAGE,)):
    return decide(rollout(*images), 2, requests, [], NOW)


@pytest.mark.parametrize(("shift", "stands"), [(-1, False), (0, False), (1, True)])
@pytest.mark.parametrize("by", ["Approved", "ConditionallyApproved"])
def test_a_rejection_that_came_no_later_overrules_an_approval(by, shift, stands):
    more = {"conditions": WATCH} if by == "ConditionallyApproved" else {}
    yes, no = twins(by_person(by, T, **more), by_person("Rejected", T + shift * SECOND))
    for order in ([yes, no], [no, yes]):
        decision = said(*order)
        assert decision.allowed is stands
        assert decision.reason is (Reason.REQUEST_APPROVED if stands else Reason.REJECTED)
        assert decision.basis.request == standing_of(yes if stands else no)
    assert overruled_by(yes, [yes, no]) == (None if stands else standing_of(no))


def test_the_same_holds_of_an_approval_by_score():
    yes, no = twins(by_system("AutoApproved", T), by_person("Rejected", T), evidence=GOOD)
    assert said(yes, no).reason is Reason.REJECTED
    yes, no = twins(by_system("AutoApproved", T), by_person("Rejected", T + SECOND), evidence=GOOD)
    assert said(yes, no).allowed


@pytest.mark.parametrize("images", [[], ["*"], [IMAGE, "side:1"]])
def test_a_revocation_as_a_whole_overrules_it_as_well(images):
    again = by_person("Approved", T + SECOND)
    entries = by_person("Approved", T - HOUR), by_person("Revoked", T, images=images)
    yes, no = twins(again, *entries, targets=BOTH)
    decision = said(yes, no)
    assert (decision.reason, decision.basis.request) == (Reason.REVOKED, standing_of(no))


def test_a_revocation_of_one_image_is_about_that_image():
    entries = by_person("Approved", T - HOUR), by_person("Revoked", T, images=["side:1"])
    yes, no = twins(by_person("Approved", T), *entries, targets=BOTH)
    assert said(yes, no).allowed
    assert not said(yes, no, images=("side:1",)).allowed


def test_other_content_is_none_of_it():
    yes = request("AutoApprove", by_system("AutoApproved", T))
    no = request("ManualReview", by_person("Rejected", T - SECOND))
    assert said(yes, no).allowed


@pytest.mark.parametrize("name", ["one", "two"])
def test_neither_intent_is_ready_and_both_name_the_refusing_request(name):
    yes, no = twins(by_person("Approved", T), by_person("Rejected", T))
    found = readiness(intent(MIDDLING, name=name), None, Surroundings(2, [yes, no], [], NOW))
    assert (found.ready, found.reason, found.stalled) == (False, "Rejected", True)
    assert f"request {no.metadata.name} was rejected by rita" in found.message


def test_an_approval_that_counts_for_nothing_lifts_nothing():
    old = request("ManualReview", by_person("Rejected", T - HOUR), name="old",
                  of=intent({**MIDDLING, "scope": {"affectedComponents": 8}}))  # fmt: skip
    yes, no = twins(by_person("Approved", T), by_person("Rejected", T))
    yes, targets = noticed(yes), yes.spec.targets
    assert earlier_verdict(targets, [old, yes]) is None
    assert earlier_verdict(targets, [old, yes, no]) is not None


@given(st.integers(-2, 2), st.integers(1, 3), st.booleans())
def test_no_rejection_changes_what_was_admitted_before_it(first, later, by_score):
    at = T + first * SECOND
    entry = by_system("AutoApproved", at) if by_score else by_person("Approved", at)
    evidence = GOOD if by_score else MIDDLING
    yes, no = twins(entry, by_person("Rejected", at + later * SECOND), evidence=evidence)
    assert said(yes).allowed
    now = said(yes, no)
    assert (now.reason, now.basis.request) == (Reason.REQUEST_APPROVED, standing_of(yes))
