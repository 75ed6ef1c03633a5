# SPDX-License-Identifier: Apache-2.0
"""Where a budget is used up, nobody asks again at once: what is refused costs what it reads."""

from datetime import timedelta

import pytest

from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import INTENTS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.room import ASKED_AGAIN, LOOKED_FOR, Room
from unit.operator.controllers.test_tenant_cost import declared
from unit.operator.support import MIDDLING, NOW, World, evidence

SAID = str(Refusal(RefusalReason.BUDGET_USED_UP, "those of Deployment web come to 9 bytes"))
KEY, OTHER = Key(Subject.INTENT, "team", "web"), Key(Subject.INTENT, "team", "other")


class Full:
    """A world whose budget of requests is used up until it is made free."""

    def __init__(self):
        self.world, self.asked, self.full = World(), 0, True
        self.world.api.before_write = self._before

    def _before(self, what):
        if what == "create cabrequests":
            self.asked += 1
            if self.full:
                raise ApiError(403, "Forbidden", SAID, causes=["BudgetUsedUp"])

    async def change(self, number, name="web", workload="web-0"):
        old = self.world.api.objects.get((INTENTS.plural, "team", name))
        body = declared(evidence(MIDDLING, f"n{number}"), name=name)
        body["spec"]["targets"][0]["name"] = workload
        if old is not None:
            body["status"] = old.get("status", {})
            body["metadata"]["generation"] = old["metadata"]["generation"] + 1
        self.world.api.put(INTENTS, body)
        await reconcile_intent(self.world.context, Key(Subject.INTENT, "team", name))


@pytest.fixture
async def full():
    found = Full()
    with pytest.raises(ApiError):
        await found.change(0)
    return found


async def test_an_intent_that_goes_on_changing_asks_once_in_a_while(full):
    for number in range(1, 6):
        await full.change(number)
        assert full.world.ready()[1] == "RequestRefused"
        message = full.world.intent_status()["conditions"][0]["message"]
        assert "BudgetUsedUp" in message
        assert "asked again at 2030-01-01T12:00:10Z" in message
    await full.change(0, "other")
    assert full.asked == 1
    full.full = False
    full.world.clock.forward(ASKED_AGAIN.total_seconds())
    full.world.queue.tick()
    assert full.world.queue.deadlines == 0
    await reconcile_intent(full.world.context, KEY)
    await reconcile_intent(full.world.context, OTHER)
    assert full.asked == 3
    assert set(full.world.requests().values()) == {"Submitted"}


async def test_other_workloads_do_not_wait(full):
    full.full = False
    await full.change(1, "other", "web-7")
    assert len(full.world.requests()) == 1


async def test_what_may_go_is_looked_for_at_once_however_much_is_refused(full):
    with pytest.raises(ApiError):
        await full.change(1, "other", "web-7")
    assert len(full.world.queue) == 1


async def test_what_may_go_is_looked_for_once_in_a_while(full):
    retention = Key(Subject.RETENTION, "team", "")
    await full.world.queue.process_one()
    assert full.world.seen == [retention]
    full.world.clock.forward(ASKED_AGAIN.total_seconds())
    with pytest.raises(ApiError):
        await full.change(2)
    full.world.queue.tick()
    assert len(full.world.queue) == 0
    full.world.clock.forward(LOOKED_FOR.total_seconds())
    full.world.queue.tick()
    assert len(full.world.queue) == 1


def test_what_is_over_is_forgotten():
    room = Room()
    for number in range(100):
        now = NOW + timedelta(minutes=2 * number)
        room.note_used_up(f"ns-{number}", [], now)
        assert room.look_at(f"ns-{number}", now) == now
    assert len(room._looked) == 1
