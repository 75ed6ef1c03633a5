# SPDX-License-Identifier: Apache-2.0
"""What the ledger says of requests that several people approve, and what it finds."""

from cabgate.ledger.findings import FindingCode
from cabgate.ledger.records import decided
from cabgate.ledger.verification import verify
from unit.core.ledger.histories import PUBLIC, raw
from unit.core.lifecycle.state.test_escalation import request as escalating
from unit.core.lifecycle.state.test_escalation import vote as late_vote
from unit.core.lifecycle.state.test_quorum import request, vote


def test_a_record_says_by_which_terms_and_with_which_verbs():
    made = stored(request(vote("ann"), vote("bob")))
    records = decided(made)
    assert [each["verbs"] for each in records] == [["approve"], ["approve"]]
    assert all(each["terms"] == made.spec.terms.to_dict() for each in records)
    one = stored(request(vote("ann", verbs=()), under=None))
    assert {"terms", "verbs"}.isdisjoint(decided(one)[0])


def stored(made):
    """A request as the API server has it."""
    meta = made.metadata.model_copy(update={"uid": "u-1"})
    return made.model_copy(update={"metadata": meta})


def findings(found):
    return [each.code for each in verify([], [raw(found, "u-1")], [], PUBLIC, [])]


def test_a_vote_that_cannot_count_is_a_finding():
    assert findings(request(vote("ann"), vote("bob"))).count(FindingCode.ILLEGAL_DECISION) == 0
    for other in (vote("ann"), vote("bob", verbs=())):
        assert findings(request(vote("ann"), other)).count(FindingCode.ILLEGAL_DECISION) == 1


def test_the_verbs_of_a_vote_are_signed():
    body = raw(request(vote("ann", verbs=("approve",))), "u-1")
    [entry] = body["status"]["decisions"]
    for verbs, wrong in ((["approve"], 0), (["approve", "approve-senior"], 1), ([], 1)):
        entry["verbs"] = verbs
        codes = [each.code for each in verify([], [body], [], PUBLIC, [])]
        assert codes.count(FindingCode.WRONG_SIGNATURE) == wrong, verbs


def test_who_decided_before_the_level_that_lets_them_is_a_finding():
    for hours, found in ((25, 0), (23, 1)):
        votes = [late_vote("ann", 1, "approve"), late_vote("olga", hours, "approve-oncall")]
        assert findings(escalating(*votes)).count(FindingCode.ILLEGAL_DECISION) == found
