# SPDX-License-Identifier: Apache-2.0
"""Approvals that override freezes: beside an approval they change nothing else."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABRequest
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import illegal_entries
from cabgate_samples.models import NOW, by_person, by_system, exception, request, rollout
from support.policies import BOARD, vote
from unit.core.standings import decide

OVERRIDE = by_person("Approved", overrides=["christmas"])
CALM = {"name": "calm", "description": "outside of the sale", "attestation": "Required"}
ONE_DAY = timedelta(days=1)
CHRISTMAS = FreezeInForce("christmas", "Christmas", NOW - ONE_DAY, NOW + ONE_DAY, NOW - ONE_DAY)
SALE = FreezeInForce("sale", "Sale", NOW - ONE_DAY, NOW + ONE_DAY, NOW - ONE_DAY)


def reason(*requests: CABRequest, freezes: Any = (CHRISTMAS,), **more: Any) -> Reason:
    found: Reason = decide(rollout(), 2, list(requests), [], NOW, freezes=freezes, **more).reason
    return found


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ([], "Approved"),
        ([by_person("Approved")], "Approved"),
        ([by_person("ConditionallyApproved", conditions=[CALM])], "ConditionallyApproved"),
    ],
)
def test_an_approval_overrides_and_leaves_what_is_approved_as_it_is(
    before: list[Any], then: str
) -> None:
    found = standing_of(request("ManualReview", *before, OVERRIDE))
    assert found.state == then
    assert list(found.overrides) == ["christmas"]
    if before:
        alone = standing_of(request("ManualReview", *before))
        assert found.verdict == alone.verdict
        assert found.person_approval == alone.person_approval
        assert found.conditions == alone.conditions
        assert [each.name for each in found.unattested] == [each.name for each in alone.unattested]
        assert found.decided_at == alone.decided_at


def test_what_was_approved_by_its_score_is_let_into_a_freeze_by_a_person() -> None:
    scored = request("AutoApprove", by_system("AutoApproved"))
    assert reason(scored) is Reason.FROZEN
    over = request("AutoApprove", by_system("AutoApproved"), OVERRIDE)
    assert standing_of(over).state == "AutoApproved"
    assert standing_of(over).person_approval is None
    assert reason(over) is Reason.REQUEST_APPROVED


@pytest.mark.parametrize(
    "ends",
    [
        [by_person("Revoked")],
        [by_system("Reopened")],
        [by_system("Reopened"), by_person("Approved")],
    ],
)
def test_nothing_is_overridden_by_what_was_given_before_the_end_of_an_approval(ends: Any) -> None:
    found = standing_of(request("ManualReview", by_person("Approved"), OVERRIDE, *ends))
    assert found.overrides == {}


@pytest.mark.parametrize(
    "entry",
    [
        {**by_system("AutoApproved"), "verdict": "Approved", "overrides": ["christmas"]},
        by_person("Approved"),
        by_person("ConditionallyApproved", conditions=[CALM], overrides=["christmas"]),
    ],
)
def test_no_other_second_approval_counts(entry: Any) -> None:
    found = request("ManualReview", by_person("Approved"), entry)
    assert standing_of(found).overrides == {}
    assert len(illegal_entries(found)) == 1


def test_an_override_is_no_illegal_decision() -> None:
    assert illegal_entries(request("ManualReview", by_person("Approved"), OVERRIDE)) == []


def test_one_of_several_votes_overrides_once_the_last_is_given() -> None:
    named = vote("rita", overrides=["christmas"])
    waiting = request("ManualReview", named, policy=BOARD)
    assert reason(waiting) is Reason.REVIEW_PENDING
    both = request("ManualReview", named, vote("max"), policy=BOARD)
    assert reason(both) is Reason.REQUEST_APPROVED
    later = request("ManualReview", vote("rita"), vote("max"), named, policy=BOARD)
    assert [each.author.username for each in standing_of(later).votes] == ["rita", "max"]
    assert reason(later) is Reason.REQUEST_APPROVED


def test_every_freeze_that_holds_is_to_be_overridden() -> None:
    over = request("ManualReview", by_person("Approved"), OVERRIDE)
    assert reason(over, freezes=[CHRISTMAS, SALE]) is Reason.FROZEN
    later = FreezeInForce("christmas", "Christmas", NOW, None, NOW + timedelta(seconds=1))
    assert reason(over, freezes=[later]) is Reason.FROZEN


def test_a_freeze_is_told_of_where_nothing_else_is_in_the_way() -> None:
    assert reason() is Reason.NO_REQUEST
    assert reason(request("ManualReview")) is Reason.REVIEW_PENDING
    rejected = request("ManualReview", by_person("Rejected"))
    assert reason(rejected) is Reason.REJECTED
    waits = request("ManualReview", by_person("ConditionallyApproved", conditions=[CALM]))
    assert reason(waits) is Reason.ATTESTATION_MISSING
    risky = request("ExceptionRequired")
    leave = [exception(risky, by_person("Approved"))]
    found = decide(rollout(), 2, [risky], leave, NOW, freezes=[CHRISTMAS])
    assert found.reason is Reason.FROZEN
    assert decide(rollout(), 1, [], [], NOW, freezes=[CHRISTMAS]).allowed
