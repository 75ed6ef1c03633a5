# SPDX-License-Identifier: Apache-2.0
"""Approvals that terms ask for: what counts, whose, and from when on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.request import CABRequest, RequestState
from cabgate.api.values import MAX_LISTED
from cabgate.lifecycle.requests.opening import request_for
from cabgate.lifecycle.state.quorum import counted, still_needed
from cabgate.lifecycle.state.requirements import QUORUM
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import illegal_entries, state_of
from cabgate_samples.decisions import entry, numbered
from cabgate_samples.models import NOW, intent
from cabgate_samples.objects import GOOD, MIDDLING
from support.examples import examples
from support.policies import change_policy

S = RequestState
WINDOW = {"name": "night", "description": "at night"}


def policy(*rules):
    return ChangePolicy.model_validate(change_policy("strict", *rules))


TWO = policy({"count": 2, "verb": "approve"})
SENIOR = policy({"count": 2, "verb": "approve"}, {"count": 1, "verb": "approve-senior"})


def lacks(found):
    return still_needed(found, found.votes, found.opened_at)


def vote(name, verdict="Approved", *, uid="", verbs=("approve",), **more):
    said = entry("Person", name, verdict, NOW, **more)
    said["author"]["uid"] = uid
    return (
        {**said, "verbs": list(verbs)} if verdict in ("Approved", "ConditionallyApproved") else said
    )


def request(*decisions, under=TWO, evidence=MIDDLING, **spec):
    made = request_for(intent(evidence, **spec), 2, policy=under).to_dict()
    made["metadata"]["creationTimestamp"] = "2026-03-01T11:00:00Z"
    made["status"] = {"decisions": numbered(decisions, made["spec"]["evidenceDigest"])}
    return CABRequest.model_validate(made)


SUBMITTED = {"submittedBy": [{"username": "dev", "uid": "d-1", "type": "Person"}]}

ATTACKS = {
    "one vote": [vote("ann")],
    "the same person again": [vote("ann"), vote("ann")],
    "the same name under another uid": [vote("ann", uid="1"), vote("ann", uid="2")],
    "the same uid under another name": [vote("ann", uid="1"), vote("bob", uid="1")],
    "the same name as it is written otherwise": [vote("ann"), vote("ANN ")],
    "who submitted": [vote("ann"), vote("dev")],
    "who submitted, under another name": [vote("ann"), vote("other", uid="d-1")],
    "who asked": [vote("ann"), vote("asker")],
    "who holds none of the verbs": [vote("ann"), vote("bob", verbs=())],
    "who holds another verb alone": [vote("ann"), vote("bob", verbs=("approve-senior",))],
    "the system": [vote("ann"), entry("System", "operator", "Approved", NOW)],
    "the system by score": [entry("System", "operator", "AutoApproved", NOW)],
    "votes before it was taken back": [
        *(vote("ann"), entry("System", "operator", "Superseded", NOW)),
        *(entry("System", "operator", "Reopened", NOW), vote("bob")),
    ],
}  # fmt: skip


@pytest.mark.parametrize("decisions", ATTACKS.values(), ids=ATTACKS)
def test_nothing_but_two_different_people_is_two_approvals(decisions):
    people = {"submitted_by": SUBMITTED["submittedBy"], "requester": "asker"}
    found = standing_of(request(*decisions, **people))
    assert not found.is_approved
    assert found.state in (S.SUBMITTED, S.UNDER_REVIEW)
    assert "1 more person with the verb approve" in still_needed(
        found, found.votes, found.opened_at
    ) or (not found.votes)


def test_it_is_approved_with_the_vote_that_meets_the_last_rule():
    votes = [vote("ann"), vote("bob"), vote("eve", verbs=("approve", "approve-senior"))]
    states = [state_of(request(*votes[:number], under=SENIOR)) for number in range(4)]
    assert states == [S.SUBMITTED, S.UNDER_REVIEW, S.UNDER_REVIEW, S.APPROVED]
    found = standing_of(request(*votes[:2], under=SENIOR))
    assert counted(found, found.votes, found.opened_at) == "2/2 approve, 0/1 approve-senior"
    assert lacks(found) == "1 more person with the verb approve-senior"
    first = standing_of(request(votes[0]))
    assert counted(first, first.votes, first.opened_at) == "1/2"


def test_one_rejection_ends_it_whoever_approved_before():
    found = standing_of(request(vote("ann"), vote("bob", "Rejected", rationale="no")))
    assert (found.state, found.verdict.author.username) == (S.REJECTED, "bob")
    later = request(vote("ann"), vote("bob", "Rejected", rationale="no"), vote("eve"), vote("kim"))
    assert state_of(later) is S.REJECTED


def test_who_is_revoked_is_not_approved_by_more_votes():
    revoked = [vote("ann"), vote("bob"), vote("eve", "Revoked", rationale="bad")]
    found = standing_of(request(*revoked, vote("kim"), vote("lea")))
    assert (found.state, list(found.votes)) == (S.REVOKED, [])
    assert found.person_approval.author.username == "ann", "what was refused later, not all knew of"


def test_a_vote_is_not_taking_the_request():
    assert standing_of(request(vote("ann"))).taken_by is None
    taken = standing_of(request(vote("bob", "UnderReview"), vote("ann")))
    assert taken.taken_by.author.username == "bob"


def test_conditions_of_every_vote_hold_and_none_attests_their_own():
    bound = vote("ann", "ConditionallyApproved", rationale="if", conditions=[
        {**WINDOW, "attestation": "Required"}])  # fmt: skip
    attested = {"condition": "night"}
    votes = [bound, vote("bob")]
    found = standing_of(request(*votes))
    assert found.state is S.CONDITIONALLY_APPROVED
    assert [each.name for each in found.unattested] == ["night"]
    for own in ("ann", "bob"):
        again = request(*votes, vote(own, "Attested", **attested))
        assert standing_of(again).unattested, own
        assert [each.verdict for each in illegal_entries(again)] == ["Attested"]
    assert not standing_of(request(*votes, vote("eve", "Attested", **attested))).unattested


def test_what_was_rejected_has_no_conditions():
    bound = vote("ann", "ConditionallyApproved", rationale="if", conditions=[WINDOW])
    found = standing_of(request(bound, vote("bob", "Rejected", rationale="no")))
    assert (found.state, list(found.conditions)) == (S.REJECTED, [])


def test_two_conditions_of_one_name_are_not_taken_for_one():
    other = {**WINDOW, "description": "by day"}
    first = vote("ann", "ConditionallyApproved", rationale="if", conditions=[WINDOW])
    second = vote("bob", "ConditionallyApproved", rationale="if", conditions=[other])
    assert state_of(request(first, second)) is S.UNDER_REVIEW
    same = {**second, "conditions": [WINDOW]}
    assert state_of(request(first, same)) is S.CONDITIONALLY_APPROVED


def test_a_good_score_is_not_enough_where_people_have_to_approve():
    found = request(entry("System", "operator", "AutoApproved", NOW), evidence=GOOD)
    assert state_of(found) is S.SUBMITTED
    assert [floor.name for floor in found.spec.assessment.floors] == ["ChangePolicy"]
    assert found.spec.requires == [QUORUM]


def test_without_a_policy_a_request_is_what_it_was():
    made = request(vote("ann", verbs=()), under=None)
    assert state_of(made) is S.APPROVED
    assert {"terms", "requires"}.isdisjoint(made.to_dict()["spec"])
    assert counted(made, standing_of(made).votes, None) == ""


LONG = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=20, max_size=24)


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(LONG, st.integers(1, 10)), min_size=1, max_size=8))
def test_how_many_are_in_fits_its_column_whatever_a_policy_asks(rules):
    made = [{"count": count, "verb": f"approve-{word}"} for word, count in rules]
    found = counted(request(under=policy(*made)), [], None)
    assert len(found) <= MAX_LISTED
    assert found.startswith("0/")


def test_what_has_no_room_in_the_column_is_counted():
    made = [{"count": 10, "verb": f"approve-{number}{'x' * 23}"} for number in range(8)]
    assert counted(request(under=policy(*made)), [], None).endswith("x and 2 more")


PEOPLE = [f"approver-{number}" for number in range(20)]


@settings(max_examples=examples(200), deadline=None)
@given(st.permutations(PEOPLE), st.integers(1, 5), st.randoms(use_true_random=False))
def test_of_twenty_who_approve_at_once_the_vote_that_is_enough_approves(people, need, chance):
    """Each of twenty writes what they last saw; the API server takes one write after the other, and
    whoever meets a newer object is admitted anew: so no vote is lost, and none counts twice."""
    terms = policy({"count": need, "verb": "approve"})
    stored, waiting = request(under=terms), list(people)
    for _ in range(need):
        name = waiting.pop(chance.randrange(len(waiting)))
        again = [vote(name)] * chance.choice((1, 1, 2))
        before = [each.to_dict() for each in stored.status.decisions]
        stored = request(*before, *again, under=terms)
    voters = {each.author.username for each in standing_of(stored).votes}
    assert len(voters) == need
    assert state_of(stored) is S.APPROVED
    one_less = [each.to_dict() for each in standing_of(stored).votes][:-1]
    assert state_of(request(*one_less, under=terms)) is not S.APPROVED
    more = [vote(name) for name in waiting]
    full = request(*(each.to_dict() for each in stored.status.decisions), *more, under=terms)
    assert state_of(full) is S.APPROVED
    assert len(standing_of(full).votes) == need
