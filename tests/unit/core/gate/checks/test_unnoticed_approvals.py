# SPDX-License-Identifier: Apache-2.0
"""An approval that the operator has not noticed yet may be of who submits by now, and is taken back
then: it admits what it was given for, and lifts nothing for other requests."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import RequestVerdict
from cabgate.gate.verdict import Reason
from cabgate_samples.models import (
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
from unit.core.gate.checks.test_lifts import histories
from unit.core.standings import decide, earlier_verdict, floors_now, lifted_by, request_for

T, SECOND = NOW - timedelta(hours=1), timedelta(seconds=1)


def made(name, *entries, images=("bad",), number=1):
    """A request of its own content: the very same content is decided once."""
    content = {**MIDDLING, "testResults": {**MIDDLING["testResults"], "passed": 100 + number}}
    declared = intent(content, [target("checkout", *images)], name=name)
    return request("ManualReview", *entries, of=declared, name=name)


@pytest.fixture(params=["Rejected", "Revoked"])
def refused(request):
    more = {"images": ["bad"]} if request.param == "Revoked" else {}
    before = [by_person("Approved", T - SECOND)] if more else []
    return made("refused", *before, by_person(request.param, T, **more))


def approved(*images):
    checked = {"refusals": 1, "lifts": ["refused"]}
    return made(
        "again", by_person("Approved", T + SECOND, checked=checked), images=images, number=2
    )


def by_score(*images):
    declared = intent(GOOD, [target("checkout", *images)], name="other")
    return request("AutoApprove", by_system("AutoApproved", T - SECOND), of=declared)


def test_it_admits_what_it_was_given_for(refused):
    decision = decide(rollout("bad"), 2, [refused, approved("bad")], [], NOW)
    assert decision.reason is Reason.REQUEST_APPROVED


@pytest.mark.parametrize("seen", [False, True])
def test_it_lifts_nothing_for_another_request_before_it_is_noticed(refused, seen):
    again = noticed(approved("bad", "side"), seen)
    revoked = refused.status.decisions[-1].verdict is RequestVerdict.REVOKED
    # What a score approved before the revocation:
    alone = ("bad", "pause")
    decision = decide(rollout(*alone), 2, [refused, again, by_score(*alone)], [], NOW)
    assert decision.allowed is (seen or not revoked)
    # What a score is asked about after it:
    opened = request_for(intent(GOOD, [target("checkout", "bad")], name="new"), 2, [refused, again])
    assert (opened.spec.assessment.gate.value == "AutoApprove") is seen
    waits = request("AutoApprove", targets=[target("checkout", "bad")])
    assert any(f.name == "EarlierVerdict" for f in floors_now(waits, [refused, again], None)) is (
        not seen
    )


@pytest.mark.parametrize("seen", [False, True])
def test_who_approves_beside_it_names_what_still_stands(refused, seen):
    others = [refused, noticed(approved("bad"), seen)]
    found = lifted_by(made("mine", number=3), RequestVerdict.APPROVED, others)
    assert [each.request.metadata.name for each in found] == ([] if seen else ["refused"])


@given(histories(), st.sampled_from([("bad",), ("bad", "pause")]))
def test_not_to_be_noticed_only_ever_denies_more(requests, images):
    """Whatever stands: what passes while approvals wait passes once they are noticed as well."""
    scored = by_score(*images)
    waiting = [noticed(each, False) for each in requests]
    before, after = ([*found, scored] for found in (waiting, requests))
    if decide(rollout(*images), 2, before, [], NOW).allowed:
        assert decide(rollout(*images), 2, after, [], NOW).allowed
    targets = made("new", images=images).spec.targets
    lifted = earlier_verdict(targets, requests) is None
    assert lifted or earlier_verdict(targets, waiting) is not None
