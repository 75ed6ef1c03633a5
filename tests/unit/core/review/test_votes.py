# SPDX-License-Identifier: Apache-2.0
"""Who gave one of several approvals is no less its approver than who gave the last."""

import pytest

from cabgate.api.request import RequestVerdict
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.review.identity import User
from cabgate.review.races import check_not_approver, check_voters_stand_apart, own_approver
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import intent, request
from cabgate_samples.objects import MIDDLING
from support.policies import BOARD, vote
from support.reviews import middling

OPENED = intent(MIDDLING)
ONE = WholeRequest.of(request("ManualReview", vote("ann"), of=OPENED, policy=BOARD))
BOTH = WholeRequest.of(request("ManualReview", vote("ann"), vote("bob"), of=OPENED, policy=BOARD))


@pytest.mark.parametrize("stored", [ONE, BOTH], ids=["one of two", "both"])
def test_none_of_them_changes_what_is_said_beside_it(stored):
    other = intent(MIDDLING, summary="other words")
    with pytest.raises(Refusal) as refused:
        check_not_approver(OPENED, other, User("ann"), stored)
    assert refused.value.reason is RefusalReason.SELF_APPROVAL
    named = intent(MIDDLING, requester="ann")
    with pytest.raises(Refusal):
        check_not_approver(OPENED, named, User("dev"), stored)
    check_not_approver(OPENED, other, User("dev"), stored)


def test_nor_declares_anything_else_before_it_is_decided():
    better = intent(middling(7))
    with pytest.raises(Refusal) as refused:
        check_not_approver(OPENED, better, User("ann"), ONE)
    assert "which lacks other approvals" in refused.value.detail
    assert "or try again when it is decided" in refused.value.detail


def test_no_other_approval_is_taken_beside_that_of_who_stands_in_the_intent():
    now = intent(MIDDLING, submittedBy=[{"username": "ann"}])
    with pytest.raises(Refusal) as refused:
        check_voters_stand_apart(ONE, now, RequestVerdict.APPROVED)
    assert refused.value.reason is RefusalReason.SELF_APPROVAL
    assert "ann gave one of the approvals" in refused.value.detail
    assert "declare other content" in refused.value.detail
    for verdict in (RequestVerdict.REJECTED, RequestVerdict.REVOKED):
        check_voters_stand_apart(ONE, now, verdict)
    check_voters_stand_apart(ONE, OPENED, RequestVerdict.APPROVED)


@pytest.mark.parametrize("who", ["ann", "bob"])
def test_it_is_taken_back_whoever_of_them_submits_by_now(who):
    """They changed the intent at the very moment in which they approved."""
    now = intent(MIDDLING, submittedBy=[{"username": who}])
    assert own_approver(BOTH, now) == who
    assert own_approver(ONE, now) == "", "nothing is approved that could be taken back"
    assert own_approver(BOTH, OPENED) == ""
