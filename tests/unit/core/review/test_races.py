# SPDX-License-Identifier: Apache-2.0
"""Approving and becoming a submitter at the same moment: in every order of the writes, in the end
nobody is both."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from cabgate.api import CABRequest, DeploymentIntent
from cabgate.api.request import RequestState, RequestVerdict
from cabgate.lifecycle.state.states import state_of
from cabgate.review.identity import User
from cabgate.review.reviewers import ReviewFacts, check_reviewer
from cabgate.review.submitters import submitters_of_update
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, by_person, by_system, exception, intent, noticed, request
from cabgate_samples.objects import MIDDLING
from unit.core.standings import (
    approver_of,
    check_not_approver,
    check_request_status,
    decided_at,
    is_noticed,
    own_approver,
    unattested,
    verdict_on,
    waits_for_notice,
)

RITA, OPERATOR = User("rita"), User("system:serviceaccount:cabgate:operator")
ANN = [{"username": "ann"}]
WATCHED = [{"name": "watch", "description": "someone watches", "attestation": "Required"}]


def live(*people: str, **spec: Any) -> DeploymentIntent:
    return intent(MIDDLING, submittedBy=[{"username": name} for name in people], **spec)


def approved(*more: dict[str, Any], by: str = "Approved") -> CABRequest:
    conditions = {"conditions": WATCHED} if by == "ConditionallyApproved" else {}
    return request("ManualReview", by_person(by, **conditions), *more, of=live("ann"))


def test_an_approver_who_stands_in_the_intent_is_found() -> None:
    assert own_approver(approved(), live("ann", "rita")) == "rita"
    assert own_approver(approved(), live("ann", requester="rita")) == "rita"
    assert own_approver(approved(), live("ann", requestedBy=["rita"])) == "rita"
    assert own_approver(approved(by="ConditionallyApproved"), live("rita")) == "rita"


def test_nobody_else_s_approval_is_taken_back() -> None:
    both = live("ann", "rita")
    assert own_approver(approved(), live("ann")) == ""
    assert own_approver(approved(), None) == ""
    assert own_approver(noticed(approved()), both) == "", "it stood before"
    assert own_approver(noticed(approved(), holds=False), both) == "rita"
    assert own_approver(request("ManualReview", by_person("Rejected"), of=both), both) == ""
    assert own_approver(request("AutoApprove", by_system("AutoApproved")), intent()) == ""
    other = intent(submittedBy=[{"username": "rita"}], name="another")
    assert own_approver(approved(), other) == "", "another intent"


def test_an_approver_who_moved_on_to_other_content_is_found_too() -> None:
    """Rita approves and submits at once, and the intent says something else when the operator
    looks."""
    moved = intent(submittedBy=[{"username": "ann"}, {"username": "rita"}])
    assert own_approver(approved(), moved) == "rita"
    assert own_approver(noticed(approved()), moved) == ""


def test_nobody_moves_on_from_what_they_approved_before_it_was_noticed() -> None:
    old, new = live("ann"), intent(submittedBy=[{"username": "ann"}])
    with pytest.raises(Refusal, match="has not looked at yet") as refusal:
        check_not_approver(old, new, RITA, approved())
    assert refusal.value.reason is RefusalReason.SELF_APPROVAL
    check_not_approver(old, new, RITA, noticed(approved()))
    check_not_approver(old, new, User("bob"), approved())
    named = intent(requester="rita")
    with pytest.raises(Refusal, match="has not looked at yet") as refusal:
        check_not_approver(old, named, User("bob"), approved())
    assert refusal.value.field == "spec.requester"


def test_what_was_taken_back_waits_for_another() -> None:
    for by in ("Approved", "ConditionallyApproved"):
        taken = approved(by_system("Reopened"), by=by)
        assert state_of(taken) is RequestState.SUBMITTED
        assert verdict_on(taken) is None
        assert approver_of(taken) is None
        again = approved(by_system("Reopened"), by_person("Approved", rationale="two"), by=by)
        assert state_of(again) is RequestState.APPROVED
        assert waits_for_notice(again, live("ann"))


def test_an_attestation_of_what_was_taken_back_is_none_of_what_comes_after() -> None:
    attested = by_person("Attested", condition="watch")
    assert not unattested(approved(attested, by="ConditionallyApproved"))
    again = by_person("ConditionallyApproved", NOW, conditions=WATCHED)
    taken = approved(attested, by_system("Reopened"), again, by="ConditionallyApproved")
    assert [condition.name for condition in unattested(taken)] == ["watch"]
    assert decided_at(approved(by_system("Reopened"))) is None
    assert decided_at(taken) == NOW


def system_write(old: CABRequest, asked: DeploymentIntent | None) -> None:
    entry = by_system("Reopened", NOW)
    entry["author"]["username"] = OPERATOR.username
    new = request(
        "ManualReview",
        *(each.model_dump(mode="json", by_alias=True) for each in old.status.decisions),
        entry,
        of=live("ann"),
    )
    status = new.status.model_copy(
        update={
            "state": RequestState.SUBMITTED,
            "conditions": old.status.conditions,
        }
    )
    new = new.model_copy(update={"status": status})
    check_request_status(old, new, OPERATOR, current=True, model=None, now=NOW, intent=asked)


def test_the_operator_takes_back_no_other_approval() -> None:
    system_write(approved(), live("ann", "rita"))
    for old, asked in (
        (approved(), live("ann")),
        (approved(), None),
        (noticed(approved()), live("ann", "rita")),
    ):
        with pytest.raises(Refusal) as refusal:
            system_write(old, asked)
        assert refusal.value.reason is RefusalReason.WRONG_CONTENT


def notices(old: CABRequest, asked: DeploymentIntent | None) -> None:
    """The operator says that it noticed what was decided on a request, and nothing else."""
    moments = {"state": state_of(old), "decided_at": decided_at(old)}
    new = noticed(old.model_copy(update={"status": old.status.model_copy(update=moments)}))
    check_request_status(old, new, OPERATOR, current=True, model=None, now=NOW, intent=asked)


def test_the_operator_notices_what_is_decided_and_stands() -> None:
    notices(approved(), live("ann"))
    notices(approved(), None)
    notices(noticed(approved()), live("ann", "rita"))  # moved on since
    for old, asked in (
        (approved(), live("ann", "rita")),
        (approved(by="ConditionallyApproved"), live("ann", requestedBy=["rita"])),
        (request("ManualReview", of=live("ann")), live("ann")),
    ):
        with pytest.raises(Refusal) as refusal:
            notices(old, asked)
        assert refusal.value.field == "status.conditions"


def test_who_approved_a_request_or_an_exception_leaves_its_words_alone() -> None:
    risky = request("ExceptionRequired", of=intent({}))
    leave = exception(risky, by_person("Approved"))
    for found, exceptions, content in ((approved(), [], MIDDLING), (risky, [leave], {})):
        old, new = intent(content), intent(content, summary="x")
        with pytest.raises(Refusal) as refusal:
            check_not_approver(old, new, RITA, found, exceptions)
        assert refusal.value.reason is RefusalReason.SELF_APPROVAL
        check_not_approver(old, new, User("bob"), found, exceptions)
        named = intent(content, requester="rita")
        with pytest.raises(Refusal) as refusal:
            check_not_approver(old, named, User("bob"), found, exceptions)
        assert refusal.value.field == "spec.requester"
        check_not_approver(named, intent(content), User("bob"), found, exceptions)


@dataclass
class World:
    """Two objects of an API server, each write of which is admitted by what was read before, and
    stored if its own object is still what it was."""

    asked: DeploymentIntent = field(default_factory=lambda: observed(live("ann")))
    found: CABRequest = field(default_factory=lambda: request("ManualReview", of=live("ann")))
    version: int = 1


def observed(found: DeploymentIntent, state: str = "Submitted") -> DeploymentIntent:
    status = found.status.model_copy(
        update={"observed_generation": found.metadata.generation, "state": state}
    )
    return found.model_copy(update={"status": status})


class Edit:
    """The person's change of the intent, in steps: admitted, then stored or admitted anew."""

    def __init__(self, world: World) -> None:
        self.world, self.new, self.version, self.refused = world, None, 0, False

    def admit(self) -> None:
        old = self.world.asked
        new = live(*(s.username for s in old.spec.submitted_by), summary="x")
        try:
            check_not_approver(old, new, RITA, self.world.found)
        except Refusal:
            self.refused, self.new = True, None
            return
        people = [s.username for s in submitters_of_update(old, new, RITA)]
        meta = new.metadata.model_copy(update={"generation": old.metadata.generation + 1})
        made = live(*people, summary="x").model_copy(update={"metadata": meta})
        self.new = made.model_copy(update={"status": old.status})
        self.version = self.world.version

    def store(self) -> None:
        if self.new is not None and self.version != self.world.version:
            self.admit()
        if self.new is not None:
            self.world.asked, self.world.version = self.new, self.world.version + 1


class Approval:
    """The person's approval of the request: admitted, then stored."""

    def __init__(self, world: World) -> None:
        self.world, self.admitted = world, False

    def admit(self) -> None:
        asked = self.world.asked
        facts = ReviewFacts(
            submitters=asked.spec.submitted_by,
            requesters=frozenset(),
            holds_verb=True,
            impersonates=None,
            current=True,
            changed=asked.status.observed_generation != asked.metadata.generation,
        )
        try:
            check_reviewer(RITA, RequestVerdict.APPROVED, "cabrequests", facts)
        except Refusal:
            return
        self.admitted = True

    def store(self) -> None:
        if self.admitted:
            self.world.found = approved()


class Operator:
    """The operator: reads both, tells of the intent by compare-and-swap, then of the request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.read()

    def read(self) -> None:
        self.asked, self.found, self.version = (
            self.world.asked,
            self.world.found,
            self.world.version,
        )

    def tell(self) -> None:
        own = own_approver(self.found, self.asked)
        if own:
            self.world.found = noticed(approved(by_system("Reopened")), holds=False)
            return
        if not waits_for_notice(self.found, self.asked) or self.version != self.world.version:
            return
        self.world.asked = observed(self.asked, "Approved")
        self.world.version += 1
        self.world.found = noticed(self.found)


def test_in_every_order_nobody_is_approver_and_submitter_in_the_end() -> None:
    outcomes = set()
    steps = ("admit edit", "store edit", "admit review", "store review", "read", "tell")
    for order in itertools.permutations(steps):
        place = order.index
        if not (
            place("admit edit") < place("store edit")
            and place("admit review") < place("store review")
            and place("read") < place("tell")
        ):
            continue
        world = World()
        edit, review, operator = Edit(world), Approval(world), Operator(world)
        does = dict(
            zip(
                steps,
                (edit.admit, edit.store, review.admit, review.store, operator.read, operator.tell),
                strict=True,
            )
        )
        for step in order:
            does[step]()
        for _ in range(2):  # it looks again at whatever changed
            operator.read()
            operator.tell()
        is_both = approver_of(world.found) is not None and any(
            s.username == "rita" for s in world.asked.spec.submitted_by
        )
        assert not is_both, order
        taken = any(e.verdict is RequestVerdict.REOPENED for e in world.found.status.decisions)
        outcomes.add((edit.refused, review.admitted, taken))
    assert outcomes == {
        (False, False, False),  # the edit was first
        (True, True, False),  # the approval was first
        (False, True, True),  # neither knew of the other
    }


def test_a_notice_is_what_the_operator_writes() -> None:
    assert not is_noticed(approved())
    assert is_noticed(noticed(approved()))
    assert not waits_for_notice(noticed(approved()), live("ann"))
    assert not waits_for_notice(approved(), intent())
