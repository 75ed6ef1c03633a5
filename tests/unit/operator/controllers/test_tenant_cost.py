# SPDX-License-Identifier: Apache-2.0
"""What one team's objects make the operator do: calls that do not grow with requests times
workloads, and an end for what nobody asks for any more."""

from collections import Counter
from datetime import timedelta

import pytest

from cabgate.api.types import MAX_DECLARED_TARGETS
from cabgate.lifecycle.limits.retention import KEPT_BYTES
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_kube.client import CHUNK, FIRST_CHUNK, PAGE_BYTES, next_limit
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import INTENTS, REQUESTS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.controllers.ledger import Ledger
from cabgate_operator.controllers.retention import Census, reconcile_retention
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import GOOD, MIDDLING, NOW, World, evidence, intent_object

KEY = Key(Subject.INTENT, "team", "web")


class Counting:
    """Counts the lists that are asked for, and the objects in them."""

    def __init__(self, world):
        self.calls = Counter()
        self.items = 0
        self._pages = world.api.pages
        world.api.pages = self.pages

    async def pages(self, resource, namespace="", **query):
        self.calls[resource.plural] += 1
        async for page in self._pages(resource, namespace, **query):
            self.items += len(page.items)
            yield page


def declared(content, targets=1, name="web"):
    body = intent_object(content, name=name)
    first = body["spec"]["targets"][0]
    body["spec"]["targets"] = [{**first, "name": f"web-{n}"} for n in range(targets)]
    return body


async def cost(requests, targets):
    """The lists and objects that one look takes at an intent beside so many requests."""
    world = World()
    for number in range(requests):
        world.api.put(INTENTS, declared(evidence(MIDDLING, f"n{number}"), targets))
        await reconcile_intent(world.context, KEY)
    counted = Counting(world)
    await reconcile_intent(world.context, KEY)
    return counted


async def test_the_calls_for_an_intent_do_not_grow_with_its_requests():
    few, many = await cost(2, MAX_DECLARED_TARGETS), await cost(12, MAX_DECLARED_TARGETS)
    assert many.calls == few.calls
    assert sum(many.calls.values()) <= MAX_DECLARED_TARGETS + 2


async def test_what_is_read_for_an_intent_does_not_grow_with_its_workloads():
    """Each request once among those for its workloads, and once among its own."""
    one, all_of_them = await cost(8, 1), await cost(8, MAX_DECLARED_TARGETS)
    assert one.items == all_of_them.items == 16


async def gone(world):
    del world.api.objects[(INTENTS.plural, "team", "web")]
    await reconcile_intent(world.context, KEY)
    world.clock.forward(6)
    await reconcile_intent(world.context, KEY)


def marks(world):
    return [
        condition["status"]
        for (plural, *_), body in world.api.objects.items()
        if plural == REQUESTS.plural
        for condition in body["status"]["conditions"]
        if condition["type"] == "IntentGone"
    ]


async def test_an_approval_whose_intent_is_gone_goes_after_seven_days():
    world = World()
    world.api.put(INTENTS, declared(GOOD))
    await reconcile_intent(world.context, KEY)
    assert marks(world) == []
    await gone(world)
    assert marks(world) == ["True"]
    assert list(world.requests().values()) == ["AutoApproved"]
    for days, left in ((6.9, 1), (0.2, 0)):
        world.clock.forward(timedelta(days=days).total_seconds())
        await retain(world)
        assert len(world.requests()) == left


async def test_an_intent_that_comes_back_keeps_its_approval():
    world = World()
    world.api.put(INTENTS, declared(GOOD))
    await reconcile_intent(world.context, KEY)
    await gone(world)
    world.api.put(INTENTS, declared(GOOD))
    await reconcile_intent(world.context, KEY)
    assert marks(world) == ["False"]
    world.clock.forward(timedelta(days=9).total_seconds())
    await retain(world)
    assert list(world.requests().values()) == ["AutoApproved"]


async def test_an_intent_that_is_deleted_and_created_anew_marks_nothing():
    world = World()
    world.api.put(INTENTS, declared(GOOD))
    await reconcile_intent(world.context, KEY)
    del world.api.objects[(INTENTS.plural, "team", "web")]
    written = len(world.api.written)
    await reconcile_intent(world.context, KEY)
    assert len(world.api.written) == written


async def retain(world):
    ledger = Ledger()
    for (plural, *_), body in list(world.api.objects.items()):
        if plural == REQUESTS.plural:
            ledger.saw(WatchEvent(REQUESTS, body, NOW))
    await ledger.reconcile(world.context, Key(Subject.LEDGER, "team", ""))
    await reconcile_retention(world.context, ledger, "team", 10)


async def test_a_sweep_looks_at_the_namespaces_of_what_outlived_its_time():
    world = World()
    world.api.put(INTENTS, declared(MIDDLING))
    await reconcile_intent(world.context, KEY)
    world.api.put(INTENTS, declared(evidence(MIDDLING, "other")))
    await reconcile_intent(world.context, KEY)
    assert sorted(world.requests().values()) == ["Submitted", "Superseded"]
    for days, found in ((6.9, []), (7, ["team"])):
        census = Census(NOW + timedelta(days=days))
        for (plural, *_), body in world.api.objects.items():
            if plural == REQUESTS.plural:
                census.saw(body)
        assert census.to_look_at(10) == found
    assert census.to_look_at(1) == ["team"]


async def test_a_used_up_budget_is_told_and_room_is_looked_for():
    world = World()
    world.api.put(INTENTS, declared(MIDDLING))
    said = str(Refusal(RefusalReason.BUDGET_USED_UP, "those of Deployment web come to 9 bytes"))

    def refuse(what):
        if what == "create cabrequests":
            raise ApiError(403, "Forbidden", said, causes=["BudgetUsedUp"])

    world.api.before_write = refuse
    with pytest.raises(ApiError):
        await reconcile_intent(world.context, KEY)
    assert world.ready()[1] == "RequestRefused"
    assert len(world.context.queue) == 1


def test_large_objects_make_more_pages_and_no_more_memory():
    limit = FIRST_CHUNK
    for _ in range(4):
        limit = next_limit(limit, 1000 * limit)
    assert limit == CHUNK
    assert next_limit(FIRST_CHUNK, FIRST_CHUNK * 700_000) == PAGE_BYTES // 700_000
    assert next_limit(3, 30 * PAGE_BYTES) == 1


def labelled(name, *targets, size=0):
    labels = {f"target.cabgate.dev/{target}": "" for target in targets}
    return {"metadata": {"namespace": "team", "name": name, "labels": labels}, "spec": "x" * size}


def test_a_sweep_looks_where_one_target_has_more_than_is_kept():
    table = [
        ([labelled(f"r{n}", f"web-{n}") for n in range(20)], []),
        ([labelled(f"r{n}", "web", f"web-{n}") for n in range(10)], []),
        ([labelled(f"r{n}", "web", f"web-{n}") for n in range(11)], ["team"]),
        ([labelled(f"r{n}") for n in range(11)], ["team"]),
        ([labelled(f"r{n}", "web", size=KEPT_BYTES // 3) for n in range(3)], []),
        ([labelled(f"r{n}", "web", size=KEPT_BYTES // 3) for n in range(4)], ["team"]),
    ]
    for bodies, found in table:
        census = Census(NOW)
        for body in bodies:
            census.saw(body)
        assert census.to_look_at(10) == found
