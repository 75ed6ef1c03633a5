# SPDX-License-Identifier: Apache-2.0
"""What freezes keep back of what is approved, as the operator tells it; when calendars end."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate_kube.resources import CHANGE_FREEZES, INTENTS, NAMESPACES, REQUESTS, Resource
from cabgate_operator.controllers.freezes import Freezes
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from cabgate_samples.objects import workload
from support.freezes import freeze, interval
from support.policies import change_policy
from unit.operator.support import GOOD, MIDDLING, NOW, World, decisions, intent_object

INTENT = Key(Subject.INTENT, "team", "web")
CHANGED, SWEPT = Key(Subject.FREEZES, "", ""), Key(Subject.FREEZES, "", "ends")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
HOUR = timedelta(hours=1)
CHRISTMAS = freeze("christmas", interval(HOUR, 5 * HOUR, NOW), created=NOW - HOUR)


def world(*, policy: bool = True) -> World:
    made = World()
    labels = {"cabgate.dev/ring": "2", "kubernetes.io/metadata.name": "team"}
    if policy:
        labels["cabgate.dev/change-policy"] = "board"
    made.api.put(NAMESPACES, {"metadata": {"name": "team", "labels": labels}})
    rules = change_policy("board", {"when": {"ringFrom": 4}, "count": 1, "verb": "approve"})
    made.api.put(Resource("cabgate.dev/v1alpha1", "ChangePolicy", "changepolicies"), rules)
    made.api.put(CHANGE_FREEZES, CHRISTMAS)
    made.api.put(INTENTS, intent_object(GOOD))
    return made


async def ready(made: World, after: timedelta) -> tuple[str, str]:
    made.clock.forward(after.total_seconds())
    await reconcile_intent(made.context, INTENT)
    return made.ready()


async def test_what_is_approved_says_that_a_freeze_keeps_it_back_until_its_end() -> None:
    made = world()
    assert await ready(made, timedelta()) == ("True", "RequestApproved")
    made.clock.forward(HOUR.total_seconds())
    made.queue.tick()
    await made.queue.process_one()
    assert made.seen == [INTENT], "it wakes as the freeze begins"
    assert await ready(made, timedelta()) == ("False", "Frozen")
    assert not made.stalled()
    conditions = {c["type"]: c for c in made.intent_status()["conditions"]}
    assert "christmas" in conditions["Ready"]["message"]
    assert "2030-01-01T17:00:00Z" in conditions["Ready"]["message"]
    assert made.intent_status()["frozen"] == {
        "name": "christmas", "since": "2030-01-01T13:00:00Z", "until": "2030-01-01T17:00:00Z"
    }  # fmt: skip
    assert made.notes() == ["AutoApproved", "Frozen"]
    await reconcile_intent(made.context, INTENT)
    assert made.notes() == ["AutoApproved", "Frozen"], "told once"
    assert await ready(made, 4 * HOUR) == ("True", "RequestApproved")
    assert "frozen" not in made.intent_status()


@pytest.mark.parametrize("image", ["r/web:1", "r/web:2"])
async def test_what_runs_already_waits_for_nothing(image: str) -> None:
    made = world()
    made.api.put(DEPLOYMENTS, workload("team", name="web", images=[image]))
    await ready(made, timedelta())
    kept = await ready(made, HOUR)
    assert kept == (("True", "RequestApproved") if image == "r/web:1" else ("False", "Frozen"))


async def test_a_namespace_without_a_policy_meets_no_freeze() -> None:
    made = world(policy=False)
    assert await ready(made, HOUR) == ("True", "RequestApproved")


async def test_what_waits_for_people_says_so_in_a_freeze_too() -> None:
    made = world()
    made.api.put(INTENTS, intent_object(MIDDLING))
    assert await ready(made, HOUR) == ("False", "ReviewPending")


async def test_an_override_makes_it_ready() -> None:
    made = world()
    await ready(made, HOUR)
    [request] = made.api.all(REQUESTS)
    entry = decisions(request["spec"]["evidenceDigest"], ("Approved", "eve"))[0]
    said = {**entry, "sequence": 2, "at": "2030-01-01T13:00:00Z", "overrides": ["christmas"]}
    request["status"]["decisions"].append(said)
    made.api.put(REQUESTS, request)
    assert await ready(made, HOUR) == ("True", "RequestApproved")


async def test_a_change_of_a_freeze_has_the_intents_looked_at_where_it_may_hold() -> None:
    made, controller = world(), Freezes(Metrics().calendar_ends)
    made.api.put(NAMESPACES, {"metadata": {"name": "free", "labels": {}}})
    other = intent_object(GOOD)
    other["metadata"] |= {"namespace": "free"}
    made.api.put(INTENTS, other)
    assert list(controller.keys(CHANGE_FREEZES, CHRISTMAS)) == [CHANGED]
    await controller.reconcile(made.context, CHANGED)
    assert len(made.queue) == 1
    await made.queue.process_one()
    assert made.seen == [INTENT]
    await controller.reconcile(made.context, SWEPT)
    assert len(made.queue) == 0


async def test_the_metric_tells_when_calendars_end() -> None:
    made, metrics = world(), Metrics()
    controller = Freezes(metrics.calendar_ends)

    def shown(name: str, kind: str) -> Any:
        labels = {"changefreeze": name, "kind": kind}
        return metrics.registry.get_sample_value(
            "cabgate_change_freeze_ends_timestamp_seconds", labels
        )

    made.api.put(CHANGE_FREEZES, freeze("hours", interval(-HOUR, HOUR, NOW), kind="Window"))
    await controller.reconcile(made.context, SWEPT)
    assert shown("hours", "Window") == (NOW + HOUR).timestamp()
    assert shown("christmas", "Freeze") is None
    del made.api.objects[(CHANGE_FREEZES.plural, "", "hours")]
    await controller.reconcile(made.context, *controller.end_sweep())
    assert shown("hours", "Window") is None
