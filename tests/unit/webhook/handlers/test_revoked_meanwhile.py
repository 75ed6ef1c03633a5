# SPDX-License-Identifier: Apache-2.0
"""One reviewer revokes an image, or rejects a request with it, while another approves a request
with that image, in every order of what the webhook does for either, and with the turn of a second
at any place of it: nobody lifts what they cannot have heard of."""

import pytest

from cabgate.api import CABRequest
from cabgate.gate.verdict import Reason
from cabgate.text.refusal import RefusalReason
from cabgate_samples.models import NOW, by_system, exception, intent, noticed, request, target
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import earlier_verdict
from unit.webhook.halves import SECOND, STEPS, World, Writer, orders, play

# All orders of the file together are seconds of CPU time.
pytestmark = pytest.mark.slow

IMAGES = [target("checkout", "bad")]
TEAM = [{"username": "dev"}]
RUNS = intent(GOOD, IMAGES, name="runs", submittedBy=TEAM)
WAITS = intent(MIDDLING, IMAGES, name="waits", submittedBy=TEAM)
RISKY = intent({}, IMAGES, name="risky", submittedBy=TEAM)
RUNNING = request("AutoApprove", by_system("AutoApproved", NOW - 60 * SECOND), of=RUNS)
OTHER = intent({**MIDDLING, "scope": {"affectedComponents": 8}}, IMAGES, name="other",
               submittedBy=TEAM)  # fmt: skip
OPEN = request("ManualReview", of=OTHER)
WAITING = request("ManualReview", of=WAITS)
EXCEPTED = request("ExceptionRequired", of=RISKY)
LEAVE = exception(EXCEPTED)
TURNS = range(1 + 2 * len(STEPS))


def between(order):
    """Whether the refusal was stored before the approval was given its author and its time."""
    return order.index(("no", "store")) < order.index(("yes", "stamp"))


async def played(order, turn, refuse, approve, requests, exceptions=(), **more):
    world = World(requests, exceptions, [RUNS, WAITS, RISKY, OTHER])
    writers = {"no": Writer(world, "rita", *refuse), "yes": Writer(world, "ann", *approve, **more)}
    await play(world, writers, order, turn)
    return world, writers["yes"], writers["no"]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("verdict", ["Approved", "ConditionallyApproved"])
async def test_a_revoked_image_is_admitted_only_by_who_could_know(turn, verdict):
    revoke = (RUNNING.metadata.name, "Revoked")
    approve = (WAITING.metadata.name, verdict)
    watch = {"conditions": [{"name": "watch", "description": "someone watches"}]}
    more = watch if verdict == "ConditionallyApproved" else {}
    refused = set()
    for order in orders("no", "yes"):
        requests = [RUNNING, WAITING]
        world, yes, no = await played(order, turn, revoke, approve, requests, **more)
        if not no.stored:
            # It is told which other approval covers the image, and names its images then.
            assert no.refused.reason is RefusalReason.IMAGES_NEEDED
            continue
        decision = world.said("bad")
        knew = yes.stored and between(order)
        assert decision.allowed == knew, order
        named = yes.stored and yes.entry["checked"].get("lifts", [])
        assert bool(named) == knew
        if yes.stored and not knew:
            assert decision.reason is Reason.REVOKED
        if yes.refused is not None:
            refused.add(yes.refused.reason)
        if knew:
            assert any("lifts what rita revoked" in each for each in yes.warnings)
    assert refused == {RefusalReason.REFUSALS_CHANGED}


@pytest.mark.parametrize("turn", TURNS)
async def test_an_exception_lifts_what_its_reviewer_could_know(turn):
    revoke = (RUNNING.metadata.name, "Revoked", "cabrequests")
    approve = (LEAVE.metadata.name, "Approved", "cabexceptions")
    for order in orders("no", "yes"):
        requests = [RUNNING, EXCEPTED]
        world, yes, no = await played(order, turn, revoke, approve, requests, [LEAVE])
        if not no.stored:
            assert no.refused.reason is RefusalReason.IMAGES_NEEDED
            continue
        assert world.said("bad").allowed == (yes.stored and between(order)), order


@pytest.mark.parametrize("turn", TURNS)
async def test_a_rejected_image_waits_for_a_person_until_one_who_could_know_approves_it(
    turn,
):
    reject, approve = (OPEN.metadata.name, "Rejected"), (WAITING.metadata.name, "Approved")
    for order in orders("no", "yes"):
        world, yes, no = await played(order, turn, reject, approve, [OPEN, WAITING])
        if not (yes.stored and no.stored):
            continue
        assert earlier_verdict(RUNS.spec.targets, world.requests) is not None
        floor = earlier_verdict(RUNS.spec.targets, [noticed(each) for each in world.requests])
        assert (floor is None) == between(order), order
        # No rejection takes an approval away.
        assert world.said("bad").reason is Reason.REQUEST_APPROVED


async def test_what_was_lifted_meanwhile_is_to_be_looked_at_again():
    """Two approve at once what was revoked: the second is told that it stands no more."""
    world = World([RUNNING, WAITING, OPEN], intents=[RUNS, WAITS, OTHER])
    await finish(Writer(world, "rita", RUNNING.metadata.name, "Revoked"))
    first = Writer(world, "ann", WAITING.metadata.name, "Approved")
    second = Writer(world, "bob", OPEN.metadata.name, "Approved")
    await second.do("stamp")
    await finish(first)
    notice(world, first)
    await second.do("judge")
    assert first.entry["checked"]["lifts"] == [RUNNING.metadata.name]
    assert second.refused.reason is RefusalReason.REFUSALS_CHANGED
    again = Writer(world, "bob", OPEN.metadata.name, "Approved")
    await finish(again)
    assert again.stored
    assert again.entry["checked"]["refusals"] == 0


async def test_until_it_is_noticed_each_lifts_it_for_themselves():
    world = World([RUNNING, WAITING, OPEN], intents=[RUNS, WAITS, OTHER])
    await finish(Writer(world, "rita", RUNNING.metadata.name, "Revoked"))
    writers = [Writer(world, name, of.metadata.name, "Approved") for name, of in
               (("ann", WAITING), ("bob", OPEN))]  # fmt: skip
    for writer in writers:
        await finish(writer)
    lifted = [writer.entry["checked"]["lifts"] for writer in writers]
    assert lifted == [[RUNNING.metadata.name]] * 2


async def finish(writer):
    for step in STEPS:
        await writer.do(step)


def notice(world, writer):
    """The operator notices what somebody decided."""
    found = CABRequest.model_validate(world.found(writer.plural, writer.old["metadata"]["name"]))
    world.put(writer.plural, noticed(found).model_dump(mode="json", by_alias=True))
