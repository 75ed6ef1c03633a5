# SPDX-License-Identifier: Apache-2.0
"""Somebody approves, others change the intent, and then who approved does, with the operator down:
no approval of theirs is taken back for it."""

import itertools

import pytest

from cabgate.lifecycle.requests.opening import request_name
from cabgate.review.identity import User
from cabgate.review.races import requests_behind
from cabgate.review.submitters import submitters_of_update
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import by_person, by_system, intent, request
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.review.test_races import RITA, Approval, Operator, World, approved, noticed, observed
from unit.core.standings import approver_of, check_not_approver, own_approver

ANN = User("ann")
NEXT = {**MIDDLING, "scope": {"affectedComponents": 8}}


def seen(made, of):
    """An intent of which the operator saw an earlier content, for a request."""
    status = made.status.model_copy(
        update={"observed_generation": 1, "request_name": of.metadata.name}
    )
    return made.model_copy(update={"status": status})


def test_who_approved_what_the_operator_saw_last_waits_until_it_looks_again():
    old = seen(intent(NEXT, generation=2, submittedBy=[{"username": "ann"}]), approved())
    own = request_name("checkout", request(of=old).spec.evidence_digest)
    assert requests_behind(old, old) == [own, approved().metadata.name]
    for new in (intent(GOOD), intent(NEXT, summary="x")):
        with pytest.raises(Refusal, match="has not looked at yet") as refusal:
            check_not_approver(old, new, RITA, approved())
        assert refusal.value.reason is RefusalReason.SELF_APPROVAL
        check_not_approver(old, new, ANN, approved())
        check_not_approver(old, new, RITA, noticed(approved()))
    with pytest.raises(Refusal, match="has not looked at yet") as refusal:
        check_not_approver(old, intent(NEXT, requester="rita"), ANN, approved())
    assert refusal.value.field == "spec.requester"


def test_once_the_operator_has_looked_there_is_one_request_behind_an_intent():
    looked = seen(intent(MIDDLING, generation=1), approved())
    assert requests_behind(looked, looked) == [approved().metadata.name]
    assert requests_behind(None, intent(MIDDLING, generation=3)) == [approved().metadata.name]


def test_who_overrides_a_freeze_for_a_request_submits_nothing_of_it_afterwards():
    override = {**by_person("Approved", overrides=["christmas"]), "author": {
        "type": "Person", "username": "max"}}  # fmt: skip
    scored = request("AutoApprove", by_system("AutoApproved"), override)
    people = request("ManualReview", by_person("Approved"), override)
    for found in (scored, people, noticed(scored), noticed(people)):
        evidence = GOOD if found.spec.assessment.gate == "AutoApprove" else MIDDLING
        with pytest.raises(Refusal, match="max approved") as refusal:
            check_not_approver(intent(evidence), intent(evidence, summary="x"), User("max"), found)
        assert refusal.value.reason is RefusalReason.SELF_APPROVAL
        with pytest.raises(Refusal, match="max approved"):
            check_not_approver(intent(evidence), intent(evidence, requester="max"), ANN, found)
        check_not_approver(intent(evidence), intent(evidence, summary="x"), ANN, found)


class Change:
    """A person's change to other content, in steps: admitted, then stored or admitted anew."""

    def __init__(self, world, user, content):
        self.world, self.user, self.content = world, user, content
        self.new, self.version, self.refused = None, 0, False

    def admit(self):
        old, self.new, self.refused = self.world.asked, None, False
        new = intent(self.content, generation=old.metadata.generation + 1)
        for name in requests_behind(old, new):
            if name == self.world.found.metadata.name:
                try:
                    check_not_approver(old, new, self.user, self.world.found)
                except Refusal:
                    self.refused = True
                    return
        people = [each.to_dict() for each in submitters_of_update(old, new, self.user)]
        made = intent(self.content, generation=new.metadata.generation, submittedBy=people)
        self.new = made.model_copy(update={"status": old.status})
        self.version = self.world.version

    def store(self):
        if self.new is not None and self.version != self.world.version:
            self.admit()
        if self.new is not None:
            self.world.asked, self.world.version = self.new, self.world.version + 1


STEPS = ("ann admitted", "ann stored", "rita admitted", "rita stored", "approving", "approved")


def test_in_every_order_an_approval_of_nobody_s_own_stands():
    """It is taken back only where its author was writing the intent while they gave it."""
    outcomes = set()
    for order in itertools.permutations(STEPS):
        place = order.index
        pairs = (STEPS[0:2], STEPS[2:4], STEPS[4:6])
        if any(place(first) > place(second) for first, second in pairs):
            continue
        world = World()
        world.asked = seen(observed(world.asked), world.found)
        review = Approval(world)
        ann, rita = Change(world, ANN, NEXT), Change(world, RITA, GOOD)
        does = dict(
            zip(
                STEPS,
                (ann.admit, ann.store, rita.admit, rita.store, review.admit, review.store),
                strict=True,
            )
        )
        for step in order:
            does[step]()
        taken = own_approver(world.found, world.asked) == "rita"
        stands = any(each.username == "rita" for each in world.asked.spec.submitted_by)
        assert not (review.admitted and stands and not taken), order
        apart = place("rita stored") < place("approving") or (
            place("approved") < place("rita admitted")
        )
        assert not (taken and apart), order
        outcomes.add((review.admitted, rita.refused, taken))
        operator = Operator(world)
        operator.tell()
        assert taken == (approver_of(world.found) is None and review.admitted)
    assert {(True, True, False), (True, False, True), (False, False, False)} <= outcomes


def anew(content=MIDDLING, uid="u-2", **spec):
    """An intent of the same name that was created after the other one was deleted."""
    made = intent(content, **spec)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update={"uid": uid})})


def test_nobody_takes_an_approval_back_by_naming_its_author_in_a_new_intent():
    found = approved()
    for content in (NEXT, GOOD):
        assert own_approver(found, anew(content, requester="rita")) == ""
        assert own_approver(found, anew(content, submittedBy=[{"username": "rita"}])) == ""
    # For the very content it is refused, as long as nobody noticed: else both would stand.
    for spec in ({"requester": "rita"}, {"submittedBy": [{"username": "rita"}]}):
        asked = anew(**spec)
        assert requests_behind(None, asked) == [found.metadata.name]
        with pytest.raises(Refusal) as refusal:
            check_not_approver(None, asked, ANN, found)
        assert refusal.value.reason is RefusalReason.SELF_APPROVAL
        check_not_approver(None, asked, ANN, noticed(found))
        assert own_approver(found, asked) == "rita", "where neither write knew of the other"
    with pytest.raises(Refusal, match="rita approved"):
        check_not_approver(None, anew(), RITA, found)
    check_not_approver(None, anew(), ANN, found)


@pytest.mark.parametrize(
    "spec",
    [{"requester": "rita"}, {"requestedBy": ["rita"]}, {"submittedBy": [{"username": "rita"}]}],
)
def test_nor_by_way_of_other_content(spec):
    """Created with other content, in which anybody may be named, and then brought back."""
    found, old, back = approved(), anew(NEXT, **spec), anew(**spec)
    assert found.metadata.name not in requests_behind(None, old)
    assert found.metadata.name in requests_behind(old, back)
    with pytest.raises(Refusal, match="has not looked at yet"):
        check_not_approver(old, back, ANN, found)
    check_not_approver(old, back, ANN, noticed(found))
