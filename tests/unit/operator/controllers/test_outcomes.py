# SPDX-License-Identifier: Apache-2.0
"""What the operator writes of the workloads of intents, and when."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.lifecycle.limits.retention import KEPT_FOR
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import EXCEPTIONS, INTENTS, NAMESPACES, OUTCOMES, REQUESTS, Resource
from cabgate_operator.controllers.outcomes import PODS_EVERY, Outcomes
from cabgate_operator.work.controller import WatchEvent
from unit.operator.controllers.outcome_case import DEPLOYMENTS, KEY, PODS, Case, stamp
from unit.operator.support import BAD, GOOD, NOW, Object, exception_object, intent_object
from unit.operator.support import request as request_of


async def test_an_outcome_begins_once_all_of_it_is_available() -> None:
    case = Case(release="shop")
    case.runs(available=1)
    await case.look()
    case.runs(old=1)
    await case.look()
    assert case.outcomes == []
    case.runs()
    case.pod("a")
    case.pod("b")
    await case.look()
    (found,) = case.outcomes
    assert found["spec"]["images"] == ["r/web:1"]
    assert (found["spec"]["ring"], found["spec"]["release"]) == (2, "shop")
    assert found["metadata"]["labels"]["cabgate.dev/release"] == "shop"
    assert case.pods == (2, 0)


async def test_to_look_again_writes_nothing() -> None:
    case = Case()
    case.runs()
    await case.look()
    before = list(case.world.api.written)
    await case.look()
    await case.look()
    assert case.world.api.written == before


async def test_an_operator_that_was_killed_after_it_wrote_one_writes_no_second() -> None:
    case = Case()
    case.runs()

    async def refused(*_: Any) -> None:
        raise ApiError(500, "", "")

    stored, case.world.api.replace_status = case.world.api.replace_status, refused
    case.pod("a")
    with pytest.raises(ApiError):
        await case.look()
    case.world.api.replace_status = stored
    await case.look()
    assert len(case.outcomes) == 1
    assert case.pods == (1, 0)


async def test_another_that_writes_at_the_same_time_writes_the_same() -> None:
    case = Case()
    case.runs()
    listed, case.world.api.list = case.world.api.list, None

    async def none_yet(resource: Resource, *args: Any, **more: Any) -> list[Object]:
        return [] if resource == OUTCOMES else await listed(resource, *args, **more)

    case.world.api.list = none_yet
    await case.look()
    await case.look(0)
    assert len(case.outcomes) == 1


async def test_a_release_replaces_the_one_before_and_a_rollback_is_one() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.runs("r/web:2", available=0, old=2)
    await case.look()
    assert case.interruptions == [("ImagesLeft", False)]
    case.runs("r/web:2")
    await case.look()
    assert case.results == ["Replaced", None]
    case.runs("r/web:1")
    await case.look()
    assert case.results == ["Replaced", "RolledBack", None]
    assert len({each["metadata"]["name"] for each in case.outcomes}) == 3


async def test_a_rollout_that_never_became_available_interrupts_what_ran() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.runs("r/web:2", available=0, old=2)
    await case.look()
    case.runs("r/web:1")
    await case.look()
    assert case.interruptions == [("ImagesLeft", True)]
    assert case.results == [None]


async def test_an_outage_of_five_minutes_interrupts_and_a_shorter_one_does_not() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.runs(available=0)
    await case.look()
    case.runs()
    await case.look(200)
    assert case.interruptions == []
    case.runs(available=0)
    await case.look()
    assert case.interruptions == []
    await case.look(301)
    assert case.interruptions == [("Unavailable", False)]
    began = case.outcomes[-1]["status"]["interruptions"][0]["from"]
    assert began == stamp(case.world.clock() - timedelta(seconds=301))
    case.runs(available=1)
    await case.look()
    assert case.interruptions == [("Unavailable", True)]


async def test_it_looks_again_when_an_outage_has_lasted_for_five_minutes() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.runs(available=0)
    await case.look()
    case.world.clock.forward(302)
    case.world.queue.tick()
    await case.world.queue.process_one()
    assert case.world.seen == [KEY]


async def test_an_outage_began_when_its_pods_say_if_no_operator_ran_then() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.runs(available=0)
    case.pod("a", ready=False)
    case.controller = Outcomes(lambda: (DEPLOYMENTS,), 3)
    case.declare()
    await case.look(3600)
    assert case.interruptions == [("Unavailable", False)]
    began = case.outcomes[-1]["status"]["interruptions"][0]["from"]
    assert began == stamp(case.world.clock() - timedelta(hours=1))


async def test_what_is_replaced_while_it_is_down_has_failed() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.runs(available=0)
    await case.look()
    await case.look(301)
    case.runs("r/web:2")
    await case.look()
    assert case.results == ["Failed", None]


async def test_pods_that_crash_count_once_each() -> None:
    case = Case()
    case.runs()
    case.pod("a")
    case.pod("b", code=1)
    await case.look()
    assert case.pods == (2, 1)
    await case.look()
    assert case.pods == (2, 1)
    case.world.api.objects.pop((PODS.plural, "team", "b"))
    case.pod("c", code=137)
    await case.look()
    assert case.pods == (2, 2)


async def test_a_workload_that_changes_all_the_time_has_its_pods_listed_now_and_then() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.pod("a")
    await case.look(1)
    assert "pods" not in (case.outcomes[-1].get("status") or {})
    case.world.clock.forward(PODS_EVERY.total_seconds())
    case.world.queue.tick()
    await case.world.queue.process_one()
    assert case.world.seen == [KEY]
    await case.look(0)
    assert case.pods == (1, 0)


async def test_a_workload_that_is_deleted_has_succeeded_and_one_that_was_down_has_not() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.gone()
    await case.look()
    assert case.results == ["Succeeded"]
    case.runs()
    await case.look()
    case.runs(available=0)
    await case.look()
    await case.look(301)
    case.gone()
    await case.look()
    assert case.results == ["Succeeded", "Failed"]


async def test_where_the_ring_rises_another_soak_begins() -> None:
    case = Case()
    case.runs()
    await case.look()
    labels = {"cabgate.dev/ring": "3"}
    case.world.api.put(NAMESPACES, {"metadata": {"name": "team", "labels": labels}})
    await case.look()
    assert case.results == ["Replaced", None]
    assert case.outcomes[-1]["spec"]["ring"] == 3


async def test_a_namespace_whose_ring_changes_leads_to_its_workloads() -> None:
    case = Case()

    def ring(value: str, *, deleted: bool = False) -> list[Any]:
        body = {"metadata": {"name": "team", "labels": {"cabgate.dev/ring": value}}}
        return list(case.controller.saw(WatchEvent(NAMESPACES, body, NOW, deleted=deleted)))

    assert ring("2") == []
    assert ring("3") == [KEY]
    assert ring("3") == []
    assert ring("3", deleted=True) == []


async def test_a_workload_that_was_looked_at_as_it_is_waits_for_a_change() -> None:
    """A sweep comes by all of them: each look is several calls."""
    case = Case()
    case.runs()
    await case.look()
    assert not case.controller.keys(DEPLOYMENTS, case.stored())
    case.runs(available=1)
    assert list(case.controller.keys(DEPLOYMENTS, case.stored())) == [KEY]


async def test_where_an_intent_names_a_release_another_soak_begins() -> None:
    case = Case()
    case.runs()
    await case.look()
    assert case.declare(release="shop") == [KEY]
    assert case.declare(release="shop") == []
    await case.look()
    assert case.results == ["Replaced", None]


async def test_without_an_intent_what_runs_goes_on_and_nothing_new_begins() -> None:
    case = Case()
    case.runs()
    await case.look()
    assert case.withdraw() == [KEY]
    await case.look()
    assert case.results == [None]
    case.runs("r/web:2")
    await case.look()
    assert case.results == ["Replaced"]


async def test_a_workload_without_intent_has_no_outcome() -> None:
    case = Case()
    case.withdraw()
    case.runs()
    await case.look()
    assert case.outcomes == []


async def test_an_outcome_names_what_let_it_in() -> None:
    case = Case(BAD)
    request = request_of(BAD, images=("r/web:1", "r/web:2"))
    case.world.api.put(
        REQUESTS, {"apiVersion": "x", **request.model_dump(mode="json", by_alias=True)}
    )
    granted = exception_object(request, ("Approved", "sec"))
    case.world.api.put(EXCEPTIONS, granted)
    stored = case.world.api.objects[(INTENTS.plural, "team", "web")]
    stored["status"] = {"requestName": request.metadata.name}
    case.runs()
    await case.look()
    spec = case.outcomes[0]["spec"]
    assert (spec["requestName"], spec["exceptionName"]) == (
        *(request.metadata.name, granted["metadata"]["name"]),
    )


async def test_as_many_stay_as_there_are_requests_to_go_back_to() -> None:
    case = Case(kept=2)
    for number in range(4):
        case.runs(f"r/web:{number}")
        await case.look()
    assert case.results == ["Replaced", None]


async def test_what_no_intent_has_any_more_goes_after_a_week() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.gone()
    await case.look()
    case.withdraw()
    await case.look()
    assert len(case.outcomes) == 1
    case.world.clock.forward(KEPT_FOR.total_seconds())
    await case.controller.begin_sweep(case.world.context)
    for raw in case.outcomes:
        case.controller.saw(WatchEvent(OUTCOMES, raw, case.world.clock(), swept=True))
    assert list(case.controller.end_sweep()) == [KEY]
    await case.look(0)
    assert case.outcomes == []


async def test_a_sweep_finds_what_went_while_no_operator_ran() -> None:
    case = Case()
    case.runs()
    await case.look()
    case.gone()
    controller = case.controller = Outcomes(lambda: (DEPLOYMENTS,), 3)
    await controller.begin_sweep(case.world.context)
    for raw in case.outcomes:
        controller.saw(WatchEvent(OUTCOMES, raw, NOW, swept=True))
    assert list(controller.end_sweep()) == [KEY]


async def test_a_workload_leads_to_a_key_if_an_intent_or_an_outcome_has_it() -> None:
    case = Case()
    body = {"metadata": {"name": "web", "namespace": "team"}}
    assert list(case.controller.keys(DEPLOYMENTS, body)) == [KEY]
    assert not case.controller.keys(DEPLOYMENTS, {"metadata": {"name": "x", "namespace": "team"}})
    assert not case.controller.keys(INTENTS, intent_object(GOOD))
    case.runs()
    await case.look()
    case.withdraw()
    assert list(case.controller.keys(DEPLOYMENTS, body)) == [KEY]
    for raw in case.outcomes:
        case.controller.saw(WatchEvent(OUTCOMES, raw, NOW, deleted=True))
    assert not case.controller.keys(DEPLOYMENTS, body)


async def test_nothing_is_written_into_a_namespace_that_goes() -> None:
    case = Case()
    case.runs()
    meta = {"name": "team", "deletionTimestamp": stamp(NOW)}
    case.world.api.put(NAMESPACES, {"metadata": meta})
    await case.look()
    assert case.outcomes == []


@pytest.mark.parametrize(
    "containers", ["none", [{"name": f"c{n}", "image": f"r/web:{n}"} for n in range(60)]]
)
async def test_what_no_outcome_can_say_interrupts_what_ran(containers: Any) -> None:
    case = Case()
    case.runs()
    await case.look()
    case.stored()["spec"]["template"] = {"spec": {"containers": containers}}
    await case.look()
    assert case.interruptions == [("ImagesLeft", False)]
    assert case.results == [None]
