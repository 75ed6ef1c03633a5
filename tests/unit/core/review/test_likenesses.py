# SPDX-License-Identifier: Apache-2.0
"""Names that are written in another way: who is meant may not approve."""

import pytest

from cabgate.api.request import RequestVerdict
from cabgate.review.identity import User, same_name
from cabgate.review.reviewers import ReviewFacts, check_reviewer
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import intent
from cabgate_samples.objects import MIDDLING
from unit.core.review.test_races import approved
from unit.core.standings import check_not_approver, own_approver

FACTS = {"submitters": [], "holds_verb": True, "impersonates": None, "current": True}


@pytest.mark.parametrize("named", ["rita@example.com", "Rita@Example.com", "RITA@EXAMPLE.COM",
                                   "\uff32ita@example.com"])  # fmt: skip
def test_a_requester_in_other_letters_is_the_same_person(named):
    facts = ReviewFacts(requesters=frozenset({named}), **FACTS)
    with pytest.raises(Refusal) as refusal:
        check_reviewer(User("rita@example.com"), RequestVerdict.APPROVED, "cabrequests", facts)
    assert refusal.value.reason is RefusalReason.SELF_APPROVAL
    assert same_name("rita@example.com", named)
    assert not same_name("rita@example.com", "rita@example.org")


def test_nor_does_one_come_in_beside_an_approval():
    assert own_approver(approved(), intent(MIDDLING, requester="Rita")) == "rita"
    assert own_approver(approved(), intent(MIDDLING, requestedBy=["RITA"])) == "rita"
    with pytest.raises(Refusal) as refusal:
        check_not_approver(
            intent(MIDDLING), intent(MIDDLING, requester="Rita"), User("ann"), approved()
        )
    assert refusal.value.field == "spec.requester"
