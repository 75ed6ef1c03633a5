# SPDX-License-Identifier: Apache-2.0
"""A rollout whose intent was just written is held until that is judged, for a moment at most; who
misuses that holds up nobody else."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from cabgate.api.base import rfc3339
from cabgate.gate.verdict import Reason
from cabgate.rollout.modes import MODE_LABEL, Mode
from cabgate.rollout.workloads import kind_of
from cabgate_samples.models import NAMESPACE, NOW, by_system, request, rollout
from cabgate_webhook.client.lookups import BudgetUsedUp, LookupFailed
from cabgate_webhook.handlers.fresh import (
    MAX_LISTED,
    MAX_OF_NAMESPACE,
    MAX_WAITING,
    Declared,
    FreshIntents,
    Patience,
    Places,
)
from cabgate_webhook.handlers.rollouts import judge_rollout
from cabgate_webhook.metrics import Metrics
from support.waiting import until
from unit.webhook.client.test_large_answers import READ_BYTES, reading
from unit.webhook.handlers.test_tenant_reads import CountingApi, rollout_of, sent, stored, targets

IMAGE = targets(1)[0]["images"][0]
LIST = f"/apis/cabgate.dev/v1alpha1/namespaces/{NAMESPACE}/deploymentintents"


def declared(name="web", *, seconds=0, generation=1, observed=0, **spec):
    """An intent for the rollout as it is stored, made so many seconds ago."""
    return {
        "metadata": {
            "name": name,
            "generation": generation,
            "creationTimestamp": rfc3339(NOW - timedelta(seconds=seconds)),
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {"targets": targets(1), "evidence": {"artifacts": [{"name": "web"}]}, **spec},
        "status": {"observedGeneration": observed},
    }


def approved():
    return stored(request("AutoApprove", by_system("AutoApproved"), targets=targets(1)))


class Api(CountingApi):
    """An API server with an operator that judges after so many looks at an intent; None: never."""

    def __init__(self, *intents, after=None, requests=(), labels=None):
        super().__init__(requests)
        self._kinds["deploymentintents"] = list(intents)
        self._after = after
        self.labels = {"cabgate.dev/ring": "3"} | (labels or {})
        self.fault = None

    async def namespace_labels(self, name):
        self.reads.append((f"/api/v1/namespaces/{name}", None))
        return self.labels

    async def _read(self, path, query=None, **more):
        if not path.startswith(LIST):
            return await super()._read(path, query)
        assert more == {"large": False}
        self.reads.append((path, query))
        if self.fault is not None:
            raise self.fault
        intents = self._kinds["deploymentintents"]
        if path == LIST:
            return sent({"items": intents[: int(query["limit"])]})
        name = path.removeprefix(f"{LIST}/")
        return next((sent(each) for each in intents if each["metadata"]["name"] == name), None)

    async def sleep(self, _seconds):
        """What passes between two looks."""
        if self._after is None:
            await asyncio.Event().wait()
        self._after -= 1
        if self._after <= 0:
            self.judge()

    def judge(self, *, approves=True):
        """What the operator does, in its order."""
        if approves:
            self._kinds["cabrequests"].append(approved())
        for each in self._kinds["deploymentintents"]:
            each["status"] = {"observedGeneration": each["metadata"]["generation"]}

    @property
    def listed(self):
        return [query for path, query in self.reads if path == LIST]

    @property
    def gets(self):
        return [path for path, _ in self.reads if path.startswith(f"{LIST}/")]


class Webhook:
    """The part of a webhook that waits, over an API server."""

    def __init__(self, api, *, mode=Mode.ENFORCE, seconds=60.0, **patience):
        self.api = api
        self.metrics = Metrics()
        patience = Patience(seconds=seconds, ends=seconds, sleep=api.sleep, **patience)
        self.fresh = FreshIntents(api, lambda: NOW, self.metrics, mode, patience=patience)

    async def asked(self, image=IMAGE, *, namespace=NAMESPACE, dry_run=False):
        review = replace(rollout_of(image), namespace=namespace, dry_run=dry_run)
        kind = kind_of("apps/v1", "Deployment")
        return await judge_rollout(review, kind, self.api, 0, NOW, fresh=self.fresh)

    def waited(self, outcome):
        name = "cabgate_fresh_intent_waits_total"
        return self.metrics.registry.get_sample_value(name, {"outcome": outcome})


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("before", [(), (IMAGE + "-old",)])
async def test_what_is_applied_with_its_intent_is_admitted_at_once(before, dry_run):
    other = [{**targets(1)[0], "images": list(before)}]
    requests = [request("AutoApprove", by_system("AutoApproved"), targets=other)] if before else []
    webhook = Webhook(Api(declared(), after=3, requests=requests))
    answer = await webhook.asked(dry_run=dry_run)
    assert answer.allowed, answer.message
    assert answer.reason == Reason.REQUEST_APPROVED
    assert webhook.waited("judged") == 1
    # Requests, namespace, the one list, a look each time, and the requests once more.
    assert webhook.api.listed == [{"limit": str(MAX_LISTED)}]
    assert len(webhook.api.gets) == 3
    # Where a machine is slow a list of exceptions goes out beside them, needed by none here.
    needed = [path for path, _ in webhook.api.reads if not path.endswith("/cabexceptions")]
    assert len(needed) == 2 + 1 + 3 + 1


async def test_what_was_judged_since_the_requests_were_read_is_admitted_without_a_wait():
    api = Api(declared())

    class Judging(type(api)):
        async def namespace_labels(self, name):
            found = await super().namespace_labels(name)
            self.judge()
            return found

    api.__class__ = Judging
    webhook = Webhook(api)
    assert (await webhook.asked()).allowed
    assert not api.gets


async def test_what_becomes_of_the_intent_is_what_is_told():
    """Judged, and a person has to decide: that is said, and no longer that nothing is declared."""
    api = Api(declared(), after=1)
    waiting = stored(request("ManualReview", targets=targets(1)))
    judge = api.judge
    api.judge = lambda: (api._kinds["cabrequests"].append(waiting), judge(approves=False))
    answer = await Webhook(api).asked()
    assert not answer.allowed
    assert answer.reason == Reason.REVIEW_PENDING


async def test_with_the_operator_dead_the_denial_is_the_same():
    without = await Webhook(Api()).asked()
    webhook = Webhook(Api(declared()), seconds=0.05)
    answer = await webhook.asked()
    assert answer.reason == Reason.NO_REQUEST
    assert answer.message == without.message
    assert webhook.waited("not-judged") == 1


async def test_who_goes_on_writing_the_intent_does_not_prolong_the_wait():
    api = Api(declared(), after=0)

    def judge():
        for each in api._kinds["deploymentintents"]:
            each["metadata"]["generation"] += 1
            each["status"] = {"observedGeneration": each["metadata"]["generation"] - 1}

    api.judge = judge
    assert (await Webhook(api).asked()).reason == Reason.NO_REQUEST
    assert len(api.gets) == 1


async def test_an_intent_that_goes_is_waited_for_no_longer():
    api = Api(declared(), after=0)
    api.judge = api._kinds["deploymentintents"].clear
    assert (await Webhook(api).asked()).reason == Reason.NO_REQUEST
    assert len(api.gets) == 1


@pytest.mark.parametrize(
    "intent",
    [
        declared(seconds=6),
        declared(targets=[{**targets(1)[0], "name": "other"}]),
        declared(targets=[{**targets(1)[0], "images": ["other:1"]}]),
        declared(targets=[{"kind": 7}]),
        declared() | {"metadata": 7},
        declared() | {"spec": None},
    ],
    ids=["old", "other workload", "other image", "unreadable", "no metadata", "no spec"],
)
async def test_what_is_not_worth_waiting_for_costs_one_list(intent):
    webhook = Webhook(Api(intent))
    assert (await webhook.asked()).reason == Reason.NO_REQUEST
    assert len(webhook.api.listed) == 1
    assert not webhook.api.gets


async def test_one_that_cannot_be_read_hides_no_other():
    webhook = Webhook(Api({"metadata": {"name": "odd", "generation": "two"}}, declared(), after=1))
    assert (await webhook.asked()).allowed


@pytest.mark.parametrize(
    ("labels", "mode", "requests", "reason"),
    [
        ({"cabgate.dev/ring": "1"}, Mode.ENFORCE, [], Reason.RING_NOT_GATED),
        ({}, Mode.WARN, [], Reason.NO_REQUEST),
        ({}, Mode.AUDIT, [], Reason.NO_REQUEST),
        ({MODE_LABEL: "Warn"}, Mode.AUDIT, [], Reason.NO_REQUEST),
        ({}, Mode.ENFORCE, [("AutoApprove", "AutoApproved")], Reason.REQUEST_APPROVED),
        ({}, Mode.ENFORCE, [("ManualReview",)], Reason.REVIEW_PENDING),
        ({}, Mode.ENFORCE, [("ExceptionRequired",)], Reason.EXCEPTION_REQUIRED),
    ],
)
async def test_what_is_let_through_or_waits_for_a_person_is_not_held(
    labels, mode, requests, reason
):
    made = [
        request(gate, *map(by_system, states), targets=targets(1)) for gate, *states in requests
    ]
    webhook = Webhook(Api(declared(), requests=made, labels=labels), mode=mode)
    answer = await webhook.asked()
    assert answer.reason == reason
    assert not webhook.api.listed


async def test_a_namespace_that_enforces_by_itself_is_waited_for():
    api = Api(declared(), after=1, labels={MODE_LABEL: "Enforce"})
    assert (await Webhook(api, mode=Mode.AUDIT).asked()).allowed


@pytest.mark.parametrize("fault", [LookupFailed("GET: HTTP 500"), BudgetUsedUp.of(LIST)])
async def test_intents_that_cannot_be_read_leave_the_denial_as_it_is(fault):
    webhook = Webhook(Api(declared()))
    webhook.api.fault = fault
    assert (await webhook.asked()).reason == Reason.NO_REQUEST


async def test_a_review_that_took_long_is_not_held():
    webhook = Webhook(Api(declared()))
    loop = asyncio.get_running_loop()
    begun = loop.time() - 61  # of the 60 s that this one has
    labels = webhook.api.labels
    assert (
        await webhook.fresh.judged(rollout(IMAGE), Reason.NO_REQUEST, labels, begun) == Declared()
    )
    assert not webhook.api.gets


def test_no_more_wait_than_may_and_all_give_their_places_back():
    places = Places()

    def holding(spaces, then):
        with places.taken(spaces[0]) as taken:
            assert taken
            return holding(spaces[1:], then) if spaces[1:] else then()

    def free(space):
        with places.taken(space) as taken:
            return taken

    holding(["shop"] * MAX_OF_NAMESPACE, lambda: _differ(free("shop"), free("bank")))
    many = [f"team-{n // MAX_OF_NAMESPACE}" for n in range(MAX_WAITING)]
    holding(many, lambda: _none(free("bank")))
    with pytest.raises(ZeroDivisionError):
        holding(many, lambda: 1 / 0)
    holding(many, lambda: None)


def _differ(refused, taken):
    assert (refused, taken) == (False, True)


def _none(taken):
    assert not taken


async def test_a_wait_that_is_cut_short_gives_its_place_back():
    webhook = Webhook(Api(declared()))
    for _ in range(2):
        waiting = [asyncio.create_task(webhook.asked()) for _ in range(MAX_OF_NAMESPACE)]
        await until(lambda: len(webhook.fresh._places._waiting) == 1, "they wait")
        for each in waiting:
            each.cancel()
        assert all(
            isinstance(each, asyncio.CancelledError)
            for each in await asyncio.gather(*waiting, return_exceptions=True)
        )
        assert not webhook.fresh._places._waiting


async def test_thousands_of_intents_that_nobody_judges_hold_up_nobody_else():
    """One team writes intents for its workload without end, with the operator down, and rolls out
    as often as it can."""
    crowd = [declared(f"web-{n}") for n in range(3000)]
    webhook = Webhook(Api(*crowd))
    storm = [asyncio.create_task(webhook.asked()) for _ in range(50)]
    await until(lambda: sum(each.done() for each in storm) == 50 - MAX_OF_NAMESPACE, "four wait")
    denied = [each.result() for each in storm if each.done()]
    assert {each.reason for each in denied} == {Reason.NO_REQUEST}
    assert webhook.waited("no-place") == 50 - MAX_OF_NAMESPACE
    # Meanwhile: others roll out, and who is waited for there has a place.
    webhook.api._kinds["cabrequests"].append(approved())
    assert (await webhook.asked()).allowed
    assert webhook.fresh._places._waiting.total() == MAX_OF_NAMESPACE
    with webhook.fresh._places.taken("bank") as taken:
        assert taken
    for each in storm:
        each.cancel()
    await asyncio.gather(*storm, return_exceptions=True)


@pytest.mark.parametrize(("size", "calls"), [(READ_BYTES, 1), (READ_BYTES + 1, 1)])
async def test_a_list_that_is_too_large_is_not_asked_for_again(size, calls):
    async def read(api):
        try:
            return await api.read_small(LIST)
        except BudgetUsedUp:
            return None

    data, server = await reading(read, shop=size)
    assert len(server.asked) == calls
    assert (data is None) == (size > READ_BYTES)


@pytest.mark.parametrize("seconds", [0, 99])
@pytest.mark.parametrize(
    ("image", "reason"), [(IMAGE + "-old", "ImagesNotCovered"), (None, "NoRequest")]
)
async def test_why_no_request_is_opened_for_its_intent_is_told(seconds, image, reason):
    """A policy of another version, say: nobody is told to write the intent that is there."""
    other = [{**targets(1)[0], "images": [image]}]
    requests = [request("AutoApprove", by_system("AutoApproved"), targets=other)] if image else []
    intent = declared(seconds=seconds, observed=1)
    says = "ChangePolicy board cannot be used: this release of cabgate does not know spec.quorum"
    ready = {"type": "Ready", "status": "False", "reason": "ChangePolicyInvalid", "message": says}
    intent["status"]["conditions"] = [{"type": "Stalled", "status": "True"}, ready]
    webhook = Webhook(Api(intent, requests=requests))
    answer = await webhook.asked()
    assert (answer.allowed, answer.reason) == (False, reason)
    assert "none is opened for it: ChangePolicyInvalid. ChangePolicy board cannot" in answer.message
    assert answer.message.endswith(f"kubectl get deploymentintent web -n {NAMESPACE} -o yaml")
    assert len(webhook.api.listed) == 1
