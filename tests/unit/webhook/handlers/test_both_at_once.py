# SPDX-License-Identifier: Apache-2.0
"""One reviewer approves a content while another refuses it, under two intents' names, in every
order of what the webhook does for either, and with the turn of a second at any place of it."""

import pytest

from cabgate.gate.verdict import Reason
from cabgate_samples.models import intent, request
from cabgate_samples.objects import MIDDLING
from unit.webhook.halves import STEPS, World, Writer, orders, play

# All orders of the file together are seconds of CPU time.
pytestmark = pytest.mark.slow

TEAM = [{"username": "dev"}]
ONE, TWO = (intent(MIDDLING, name=name, submittedBy=TEAM) for name in ("one", "two"))
FIRST, SECOND = request("ManualReview", of=ONE), request("ManualReview", of=TWO)


async def both(order, turn):
    world = World([FIRST, SECOND], intents=[ONE, TWO])
    writers = {
        "yes": Writer(world, "ann", FIRST.metadata.name, "Approved"),
        "no": Writer(world, "rita", SECOND.metadata.name, "Rejected"),
    }
    await play(world, writers, order, turn)
    return world, writers["yes"], writers["no"]


@pytest.mark.parametrize("turn", range(1 + 2 * len(STEPS)))
async def test_what_is_rejected_at_the_same_moment_is_admitted_only_if_it_was_approved_before(turn):
    outcomes = set()
    for order in orders("yes", "no"):
        world, yes, no = await both(order, turn)
        decision = world.said()
        raced = yes.stored and no.stored
        before = raced and yes.entry["at"] < no.entry["at"]
        assert decision.allowed == ((yes.stored and not no.stored) or before), order
        if no.stored and not before:
            assert decision.reason is Reason.REJECTED
            assert f"request {SECOND.metadata.name} was rejected by rita" in decision.message
        outcomes.add((yes.stored, no.stored))
    # Never neither; and both, since neither half of one need see anything of the other.
    assert outcomes == {(True, True), (True, False), (False, True)}


async def test_who_is_second_is_refused():
    one_after_the_other = [("no", step) for step in STEPS] + [("yes", step) for step in STEPS]
    _, yes, no = await both(one_after_the_other, 4)
    assert no.stored
    assert "the very same content is decided already" in str(yes.refused)
