# SPDX-License-Identifier: Apache-2.0
"""What was refused is refused under whatever intent's name, for exceptions too; and the reason that
is told is the one that matters."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.gate.candidates import describe
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.standing import standing_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    newer,
    request,
    retrospective,
    rollout,
)
from cabgate_samples.objects import GOOD
from unit.core.standings import candidates, check_takes_exception, decide

HOUR = timedelta(hours=1)
FIRST = request("ExceptionRequired", by_person("Revoked", NOW - HOUR), age=2 * HOUR)
SAME = request("ExceptionRequired", of=intent({}, name="again"), age=2 * HOUR)


def test_no_exception_admits_what_was_revoked_under_another_name():
    leave = exception(SAME, by_person("Approved", NOW - HOUR / 2))
    found = decide(rollout(), 2, [FIRST, SAME], [leave], NOW)
    assert (found.allowed, found.reason) == (False, Reason.REVOKED)
    assert f"request {FIRST.metadata.name} is revoked by rita: because" in found.message
    with pytest.raises(Refusal, match="No exception admits it: ask rita") as refusal:
        check_takes_exception(SAME, [FIRST, SAME])
    assert refusal.value.reason is RefusalReason.EXCEPTION_NOT_ALLOWED
    check_takes_exception(SAME, [SAME])


def test_other_evidence_for_the_same_images_may_have_an_exception():
    other = request("ExceptionRequired", of=intent({"scope": {"affectedComponents": 9}}))
    leave = exception(other, by_person("Approved", NOW - HOUR / 2))
    assert decide(rollout(), 2, [FIRST, other], [leave], NOW).allowed
    check_takes_exception(other, [FIRST, other])


def test_what_waits_for_nothing_says_so():
    """Its content was rejected elsewhere: nobody can approve it."""
    rejected = request("ManualReview", by_person("Rejected"), name="other")
    waits = request("ManualReview")
    found = decide(rollout(), 2, [rejected, waits], [], NOW)
    assert found.reason is Reason.REJECTED
    assert "request other was rejected by rita" in found.message
    [seen] = [look for look in candidates(rollout(), [rejected, waits], [], NOW) if look.refused]
    assert seen.request == standing_of(waits)
    assert "the very same content was rejected by rita: because (request other)" in (
        describe(seen, rollout(), [], NOW)
    )


def test_another_that_can_be_decided_is_told_before_it():
    rejected = request("ManualReview", by_person("Rejected"), name="other")
    better = request("ManualReview", of=intent({**GOOD, "scanResults": {"critical": 1, "high": 0}}))
    found = decide(rollout(), 2, [rejected, request("ManualReview"), better], [], NOW)
    assert found.reason is Reason.REVIEW_PENDING
    assert better.metadata.name in found.message


@pytest.mark.parametrize(
    "unknown",
    [
        newer(retrospective(), "quorum"),
        newer(retrospective(by_person("Approved")), "quorum"),
        newer(request("ManualReview", by_system("Superseded"), name="old"), "quorum"),
        newer(request("ManualReview", name="old"), "quorum"),
    ],
)
def test_rules_that_nobody_knows_are_told_where_something_was_approved_by_them(unknown):
    """Else the request that somebody can decide is what to look at."""
    waits = request("ManualReview")
    assert waits.metadata.name in decide(rollout(), 2, [unknown, waits], [], NOW).message
    reasons = [decide(rollout(), 2, each, [], NOW).reason for each in ([unknown, waits], [unknown])]
    broken = unknown.spec.break_glass is not None
    assert reasons[1] is (Reason.GLASS_BROKEN if broken else Reason.UNKNOWN_REQUIREMENT)
    approved = newer(request("ManualReview", by_person("Approved"), name="new"), "quorum")
    found = decide(rollout(), 2, [unknown, waits, approved], [], NOW)
    assert found.reason is Reason.UNKNOWN_REQUIREMENT


VERDICTS = ["UnderReview", "Approved", "Rejected", "Revoked"]


@given(st.lists(st.sampled_from(VERDICTS), max_size=4), st.booleans())
def test_rules_that_nobody_knows_never_admit(verdicts, broken):
    said = [by_person(verdict) for verdict in verdicts]
    made = retrospective(*said) if broken else request("ManualReview", *said)
    found = decide(rollout(), 2, [newer(made, "quorum")], [], NOW)
    assert not found.allowed
