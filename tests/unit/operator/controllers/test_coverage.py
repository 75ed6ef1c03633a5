# SPDX-License-Identifier: Apache-2.0
"""What the operator counts and tells of what runs uncovered."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.gate.commands import list_uncovered
from cabgate.gate.composing import MAX_BYTES
from cabgate.gate.coverage import Uncovered
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.targets import Workload
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import EVENTS, EXCEPTIONS, NAMESPACES, REQUESTS, Resource
from cabgate_operator.controllers.break_glass import Glass
from cabgate_operator.controllers.coverage import Coverage, news_of
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.metrics import Metrics
from unit.operator.support import GOOD, ME, NOW, Object, World, request, with_decisions

DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
KEY = Key(Subject.COVERAGE, "team", "")


def namespace(ring: str | None, written: str | None = None) -> Object:
    labels = {} if ring is None else {"cabgate.dev/ring": ring}
    owned = {"f:metadata": {"f:labels": {"f:cabgate.dev/ring": {}}}}
    fields = [{"time": written, "fieldsV1": owned}] if written else []
    return {"metadata": {"name": "team", "uid": "u", "labels": labels, "managedFields": fields}}


def deployment(name: str = "web", image: str = "r/web:1") -> Object:
    pod = {"spec": {"containers": [{"name": "a", "image": image}]}}
    return {
        "metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}"},
        "spec": {"template": pod},
    }


class Case:
    """A coverage, its world and its gauge."""

    def __init__(self, **settings: Any) -> None:
        self.world = World()
        self.metrics = Metrics()
        self.coverage = Coverage(self.metrics.uncovered_workloads, InstallationSettings(**settings))

    def saw(self, ring: str | None, *, deleted: bool = False, written: str | None = None) -> Any:
        body = namespace(ring, written)
        if deleted:
            self.world.api.objects.pop((NAMESPACES.plural, "", "team"), None)
        else:
            self.world.api.put(NAMESPACES, body)
        return self.note(body, deleted=deleted)

    def note(self, body: Object, *, deleted: bool = False) -> Key | None:
        keys = self.coverage.saw(WatchEvent(NAMESPACES, body, NOW, deleted))
        return next(iter(keys), None)

    async def reconcile(self) -> None:
        await self.coverage.reconcile(self.world.context, KEY)

    @property
    def counted(self) -> float | None:
        name = "cabgate_uncovered_workloads"
        return self.metrics.registry.get_sample_value(name, {"namespace": "team"})

    @property
    def events(self) -> list[Object]:
        return self.world.api.all(EVENTS)


async def test_a_ring_that_rises_into_the_gated_is_told_of_once() -> None:
    case = Case()
    case.world.api.put(DEPLOYMENTS, deployment())
    assert case.saw(None) is None
    assert case.saw("1") is None
    assert case.saw("2") == KEY
    await case.reconcile()
    [event] = case.events
    assert (event["reason"], event["type"]) == ("UncoveredWorkloads", "Warning")
    assert event["involvedObject"]["kind"] == "Namespace"
    assert event["metadata"]["namespace"] == "team"
    assert "deployment/web" in event["message"]
    assert event["message"].endswith("cabgate uncovered -n team")
    assert case.counted == 1
    assert list(case.coverage.end_sweep()) == [KEY]
    case.world.api.put(DEPLOYMENTS, deployment("more"))
    await case.reconcile()  # as a sweep does
    assert (case.counted, len(case.events)) == (2, 1)


async def test_a_ring_that_rises_further_or_falls_is_not_told_of() -> None:
    case = Case()
    case.world.api.put(DEPLOYMENTS, deployment())
    assert case.saw("2") == KEY
    assert case.saw("2") is None
    assert case.saw("3") == KEY
    await case.reconcile()
    assert (case.counted, case.events) == (1, [])
    assert case.saw("0") == KEY
    await case.reconcile()
    assert (case.counted, list(case.coverage.end_sweep())) == (None, [])
    await case.reconcile()


async def test_what_is_covered_is_not_counted() -> None:
    case = Case()
    case.world.api.put(DEPLOYMENTS, deployment())
    approved = with_decisions(request(GOOD), ("AutoApproved", ME))
    case.world.api.put(REQUESTS, approved.model_dump(mode="json", by_alias=True))
    case.saw(None)
    case.saw("2")
    await case.reconcile()
    assert (case.counted, case.events) == (0, [])


async def test_an_operator_that_starts_tells_of_what_rose_not_long_ago_and_of_nothing_else() -> (
    None
):
    for written, seen in (
        ("2030-01-01T11:30:00Z", 1),
        ("2030-01-01T10:30:00Z", 0),
        (None, 0),
    ):
        case = Case()
        case.world.api.put(DEPLOYMENTS, deployment())
        assert case.saw("2", written=written) == KEY
        await case.reconcile()
        assert (case.counted, len(case.events)) == (1, seen)


async def test_an_operator_that_is_started_again_does_not_repeat_itself() -> None:
    case = Case()
    case.world.api.put(DEPLOYMENTS, deployment())
    case.saw("1")
    case.saw("2", written="2030-01-01T11:59:59Z")
    await case.reconcile()
    case.coverage = Coverage(Metrics().uncovered_workloads, InstallationSettings())
    case.world.clock.now += timedelta(minutes=1)
    case.world.api.put(DEPLOYMENTS, deployment("more"))  # the Event that stands says otherwise
    case.saw("2", written="2030-01-01T11:59:59Z")
    await case.reconcile()
    assert len(case.events) == 1


async def test_a_ring_that_rises_again_is_told_of_again() -> None:
    case = Case()
    case.world.api.put(DEPLOYMENTS, deployment())
    for ring, written in (("1", "10"), ("2", "20"), ("0", "30"), ("2", "40")):
        case.saw(ring, written=f"2030-01-01T11:59:{written}Z")
        await case.reconcile()
    assert len(case.events) == 2


async def test_a_namespace_that_is_gone_or_never_gated_is_not_counted() -> None:
    case = Case(default_ring=2)
    assert case.saw(None) == KEY
    await case.reconcile()
    assert case.counted == 0
    assert case.saw(None, deleted=True) == KEY
    await case.reconcile()
    assert case.counted is None
    assert case.saw(None, deleted=True) is None
    system = {"name": "kube-system", "labels": {"cabgate.dev/ring": "4"}}
    assert case.note({"metadata": system}) is None


async def test_a_namespace_that_the_installation_excludes_is_not_counted_nor_told_of() -> None:
    case = Case(excluded=frozenset({"team"}))
    case.world.api.put(DEPLOYMENTS, deployment())
    assert case.saw("1") is None
    assert case.saw("3") is None
    assert list(case.coverage.end_sweep()) == []
    await case.reconcile()
    assert (case.counted, case.events) == (None, [])
    # What it does not exclude is counted, a namespace of Kubernetes too.
    system = {"name": "kube-system", "labels": {"cabgate.dev/ring": "4"}}
    assert case.note({"metadata": system}) == Key(Subject.COVERAGE, "kube-system", "")


async def test_a_kind_that_the_cluster_does_not_have_is_passed_over() -> None:
    case = Case()
    case.world.api.refused["Rollout"] = 404
    case.saw("2")
    await case.reconcile()
    assert case.counted == 0
    case.world.api.refused["Rollout"] = 403
    with pytest.raises(ApiError):  # to be tried again
        await case.reconcile()


def test_an_event_of_many_workloads_is_short_and_ends_with_the_command() -> None:
    found = [
        Uncovered("team", Workload("apps", "Deployment", f"{'w' * 240}-{n}"), (), "NoRequest")
        for n in range(40)
    ]
    news = news_of("team", 3, found, NOW)
    assert len(news.message.encode()) <= MAX_BYTES
    assert news.message.startswith("Ring 3: 40 workloads run images that no approval covers.")
    assert news.message.endswith(list_uncovered("team"))
    assert "Ring 2: 1 workload runs" in news_of("team", 2, found[:1], None).message


async def test_kinds_of_which_a_sweep_found_nothing_are_not_listed_for_it() -> None:
    case = Case()
    glass = Glass()
    case.coverage = Coverage(case.metrics.uncovered_workloads, InstallationSettings(), glass.absent)
    case.world.api.put(DEPLOYMENTS, deployment())
    case.saw(None)
    case.saw("2")
    await case.reconcile()  # without a sweep all are listed
    assert case.counted == 1
    listed: list[str] = []
    pages = case.world.api.pages

    def noted(resource: Resource, *args: Any, **options: Any) -> Any:
        listed.append(resource.plural)
        return pages(resource, *args, **options)

    case.world.api.pages = noted  # type: ignore[method-assign]
    await glass.begin_sweep(case.world.context)
    glass.saw(WatchEvent(DEPLOYMENTS, deployment(), NOW, swept=True))
    assert list(case.coverage.end_sweep()) == [KEY]
    await case.reconcile()
    assert case.counted == 1
    assert listed == ["deployments", "pods", "podtemplates", "rollouts", REQUESTS.plural,
                      EXCEPTIONS.plural]  # fmt: skip
    listed.clear()
    case.saw("3")
    await case.reconcile()
    assert len(listed) > 6


async def test_where_nothing_runs_no_approval_is_read() -> None:
    case = Case()
    case.world.api.refused["CABRequest"] = 403
    case.saw("2")
    await case.reconcile()
    assert case.counted == 0
