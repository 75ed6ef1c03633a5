# SPDX-License-Identifier: Apache-2.0
"""An exception's approval by who stands in the intent is taken back, as a request's is."""

import copy

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.api.exception import ExceptionState
from cabgate.lifecycle.state.states import approval_of, state_of
from cabgate.review.identity import User
from cabgate.text.refusal import Refusal
from cabgate.writes.system import check_exception_status
from cabgate_kube.errors import ConflictError
from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS
from cabgate_operator.controllers.exceptions import reconcile_exception
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from unit.core.standings import check_not_approver, exception_admits, is_noticed
from unit.operator.judged import JudgedApi
from unit.operator.support import BAD, ME, NOW, World, exception, exception_object, intent_object

INTENT = (INTENTS.plural, "team", "web")
LEAVE = (EXCEPTIONS.plural, "team", "leave")


async def approved(*people, edit=None):
    """A world with an exception that sam approved, and whose intent names these people."""
    world = World()
    judged = JudgedApi(world.clock)
    judged.objects, judged.refusals = world.api.objects, []
    world.api = world.context.api = judged
    body = intent_object(BAD)
    world.api.put(INTENTS, body)
    await reconcile_intent(world.context, Key(Subject.INTENT, "team", "web"))
    [raw] = world.api.all(REQUESTS)
    request = CABRequest.model_validate(raw)
    leave = exception_object(request, ("Approved", "sam"))
    leave["status"]["decisions"][0]["at"] = "2030-01-01T12:00:00Z"
    world.api.put(EXCEPTIONS, leave)
    stored = copy.deepcopy(world.api.objects[INTENT])
    stored["spec"]["submittedBy"] += [{"username": name} for name in people]
    stored["spec"] |= edit or {}
    world.api.put(INTENTS, stored)
    return world, request


async def look(world):
    await reconcile_exception(world.context, Key(Subject.EXCEPTION, "team", "leave"))


def found(world):
    return CABException.model_validate(world.api.objects[LEAVE])


async def test_the_end_that_its_reviewer_set_does_not_keep_it_from_being_taken_back():
    """Its end is then that of its team again, and the webhook has to say the same."""
    world, request = await approved("sam")
    limited = copy.deepcopy(world.api.objects[LEAVE])
    limited["status"]["decisions"][0]["constraints"] = {"until": "2030-01-02T11:00:00Z"}
    world.api.put(EXCEPTIONS, limited)
    await look(world)
    assert state_of(found(world), NOW) is ExceptionState.PENDING
    assert not exception_admits(found(world), request, NOW)
    assert world.api.refusals == []


@pytest.mark.parametrize("how", ["submitted", "requested", "named"])
async def test_it_is_taken_back_and_waits_for_another(how):
    people = ["sam"] if how == "submitted" else []
    edit = {"requested": {"requestedBy": ["sam"]}, "named": {"requester": "sam"}}.get(how)
    world, request = await approved(*people, edit=edit)
    assert exception_admits(found(world), request, NOW)
    await look(world)
    taken = found(world)
    assert state_of(taken, NOW) is ExceptionState.PENDING
    assert taken.status.state is ExceptionState.PENDING
    assert taken.status.decisions[-1].verdict == "Reopened"
    assert "sam approved this and changed its intent" in taken.status.decisions[-1].rationale
    assert approval_of(taken) is None
    assert not exception_admits(taken, request, NOW)
    assert not is_noticed(taken)
    assert "ApprovalTakenBack" in world.notes()
    assert world.api.refusals == []
    written = list(world.api.written)
    await look(world)
    assert world.api.written == written


async def test_anybody_else_s_is_noticed_in_the_intent_first():
    world, _ = await approved()
    order = []
    world.api.before_write = order.append
    await look(world)
    assert [what for what in order if "status" in what] == [
        "status deploymentintents",
        "status cabexceptions",
    ]
    assert world.intent_status()["noticedApproval"] == "exception-uid/1"
    assert is_noticed(found(world))
    # Who comes in from now on has been told so, and takes nothing back.
    stored = copy.deepcopy(world.api.objects[INTENT])
    stored["spec"]["submittedBy"].append({"username": "sam"})
    world.api.put(INTENTS, stored)
    await look(world)
    assert state_of(found(world), NOW) is ExceptionState.APPROVED


async def test_a_change_that_is_stored_between_is_a_conflict_and_seen_then():
    world, _ = await approved()

    def change(what):
        if what != "status deploymentintents":
            return
        world.api.before_write = lambda what: None
        stored = copy.deepcopy(world.api.objects[INTENT])
        stored["spec"]["submittedBy"].append({"username": "sam"})
        world.api.put(INTENTS, stored)

    world.api.before_write = change
    with pytest.raises(ConflictError):
        await look(world)
    assert not is_noticed(found(world))
    await look(world)
    assert state_of(found(world), NOW) is ExceptionState.PENDING


async def test_it_is_taken_back_also_when_the_intent_moved_on():
    world, _ = await approved("sam", edit={"evidence": {"scope": {"affectedComponents": 30}}})
    await look(world)
    assert state_of(found(world), NOW) is ExceptionState.PENDING


async def test_the_operator_takes_nothing_back_that_stands():
    world, request = await approved()
    old = found(world)
    entry = {
        "sequence": 2,
        "author": {"type": "System", "username": ME},
        "at": "2030-01-01T12:00:00Z",
        "verdict": "Reopened",
        "rationale": "because",
        "evidenceDigest": request.spec.evidence_digest,
    }
    body = old.model_dump(mode="json", by_alias=True, exclude_none=True)
    body["status"]["decisions"].append(entry)
    body["status"] |= {"state": "Pending", "expiresAt": "2030-01-02T12:00:00Z"}
    new = CABException.model_validate(body)
    intent = world.api.intent("team", "web")
    for live in (intent, None):
        with pytest.raises(Refusal, match="taken back only where its author submitted or asked"):
            check_exception_status(old, new, User(ME), NOW, request, live)
    stored = copy.deepcopy(world.api.objects[INTENT])
    stored["spec"]["requester"] = "sam"
    world.api.put(INTENTS, stored)
    check_exception_status(old, new, User(ME), NOW, request, world.api.intent("team", "web"))


async def test_who_approved_it_moves_on_once_it_was_noticed():
    world, request = await approved()
    old, leave = world.api.intent("team", "web"), found(world)
    new = old.model_copy(
        update={"spec": old.spec.model_copy(update={"evidence": old.spec.evidence.model_copy(
            update={"scope": None})})}
    )  # fmt: skip
    with pytest.raises(Refusal, match="has not looked at yet"):
        check_not_approver(old, new, User("sam"), request, [leave])
    await look(world)
    check_not_approver(old, new, User("sam"), request, [found(world)])
    rejected = exception(request, ("Rejected", "sam"))
    check_not_approver(old, new, User("sam"), request, [rejected])
