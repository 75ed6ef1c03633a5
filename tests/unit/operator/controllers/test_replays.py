# SPDX-License-Identifier: Apache-2.0
"""A look at an intent goes through the decisions of each request once, and once more for each entry
that the system adds: that is another history."""

import pytest

from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_kube.resources import INTENTS, REQUESTS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.plans.intents import (
    Surroundings,
    news_of_intent,
    next_window,
    readiness,
    status_of_intent,
)
from cabgate_operator.plans.requests import (
    is_to_be_marked,
    plan_request,
    seconds_to_decision,
    status_of_request,
    waits_for_system,
)
from cabgate_operator.work.keys import Key, Subject
from support.replays import count_replays
from unit.operator.support import (
    GOOD,
    ME,
    MIDDLING,
    NOW,
    SYSTEM,
    World,
    evidence,
    intent,
    intent_object,
    request,
    with_decisions,
)

KEY = Key(Subject.INTENT, "team", "web")


@pytest.mark.parametrize(
    ("content", "before", "replays"),
    [
        (MIDDLING, [("Approved", "ann")], 1),
        (MIDDLING, [], 1),
        (GOOD, [("AutoApproved", ME)], 1),
        (GOOD, [], 2),
        (GOOD, [("Superseded", ME)], 3),
    ],
)
def test_what_is_said_of_a_request_replays_its_history_once(content, before, replays, monkeypatch):
    stored, live = with_decisions(request(content), *before), intent(content)
    counted = count_replays(monkeypatch)
    whole = WholeRequest.of(stored)
    waits_for_system(whole, live)
    is_to_be_marked(whole)
    plan = plan_request(whole, live, [], SYSTEM, [whole.standing], model=DEFAULT_RISK_MODEL)
    raw = stored.to_dict()
    status_of_request(raw, plan, NOW)
    seconds_to_decision(raw, plan)
    around = Surroundings(2, [plan.request], (), NOW)
    next_window(around)
    ready = readiness(live, None, around)
    status = status_of_intent({}, live, plan.request.standing, ready, NOW)
    news_of_intent({}, status, plan.request, ready)
    assert counted == {stored.metadata.name: replays}


@pytest.mark.parametrize("number", [1, 10])
async def test_a_reconcile_replays_each_history_once(number, monkeypatch):
    world = World()
    for each in range(number):
        world.api.put(INTENTS, intent_object(evidence(GOOD, f"n{each}")))
        await reconcile_intent(world.context, KEY)
    counted = count_replays(monkeypatch)
    await reconcile_intent(world.context, KEY)
    names = {raw["metadata"]["name"] for raw in world.api.all(REQUESTS)}
    assert len(names) == number
    assert counted == dict.fromkeys(names, 1)
