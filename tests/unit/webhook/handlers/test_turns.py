# SPDX-License-Identifier: Apache-2.0
"""What one namespace writes at once, in dry runs too, takes turns: others' writes do not wait."""

import asyncio
import json
from functools import partial
from types import SimpleNamespace

import httpx
import pytest

from cabgate.api.types import Target
from cabgate.rollout.targets import Workload
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_kube.transport import HttpAnswer
from cabgate_samples.models import NOW, exception, request
from cabgate_webhook.admission.requests import read_admission
from cabgate_webhook.client.apiserver import LISTS_AT_ONCE, LiveReads
from cabgate_webhook.client.exceptions import MAX_WAITING as MOST_FOR_EXCEPTIONS
from cabgate_webhook.client.exceptions import READS_AT_ONCE
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.handlers.rollouts import gated_kind, judge_rollout
from cabgate_webhook.handlers.write_turns import MAX_WAITING, WRITES_AT_ONCE, WriteTurns
from support.waiting import until
from unit.webhook.handlers.test_tenant_reads import stored, targets
from unit.webhook.http.applications import review, webhook

CREDENTIALS = SimpleNamespace(token=lambda: "t", trust=lambda: None)
PATIENT = 60.0


def patient():
    """Reads of which none takes so long that the next may go out beside it."""
    return LiveReads(CREDENTIALS, list_seconds=PATIENT, read_seconds=PATIENT)


class Writes:
    """Writes that take until they are let go."""

    def __init__(self, turns):
        self.turns = turns
        self.end = asyncio.Event()
        self.under_way = []
        self.tasks = []

    def begin(self, namespace, count=1):
        made = [asyncio.create_task(self._one(namespace)) for _ in range(count)]
        self.tasks += made
        return made

    async def _one(self, namespace):
        async with self.turns.taken(namespace):
            self.under_way.append(namespace)
            await self.end.wait()

    async def finish(self):
        self.end.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_four_of_one_namespace_are_looked_at_and_anothers_waits_for_none_of_them():
    writes = Writes(WriteTurns(PATIENT))
    writes.begin("loud", 20)
    await until(lambda: len(writes.under_way) == WRITES_AT_ONCE, "some are looked at")
    writes.begin("quiet")
    await until(lambda: "quiet" in writes.under_way, "the other one's is")
    assert writes.under_way.count("loud") == WRITES_AT_ONCE
    assert await writes.finish() == [None] * 21
    assert not len(writes.turns)


async def test_who_waits_too_long_is_told_what_it_is_about_and_what_to_do():
    writes = Writes(WriteTurns(0.01))
    writes.begin("loud", WRITES_AT_ONCE)
    await until(lambda: len(writes.under_way) == WRITES_AT_ONCE, "all places are taken")
    with pytest.raises(Refusal, match="try again in a moment") as refused:
        async with writes.turns.taken("loud"):
            pass
    assert refused.value.reason is RefusalReason.BUDGET_USED_UP
    await writes.finish()


async def test_no_more_wait_than_may():
    writes = Writes(WriteTurns(PATIENT))
    last = writes.begin("loud", WRITES_AT_ONCE + MAX_WAITING + 1)[-1]
    await until(last.done, "the one too many is refused at once")
    assert isinstance(last.exception(), Refusal)
    assert [each for each in await writes.finish() if each is not None] == [last.exception()]


class Held:
    """Connections over which nothing is answered until all is let go."""

    def __init__(self):
        self.under_way = []
        self.most = 0
        self.answer = asyncio.Event()

    async def call(self, method, target, **_):
        self.under_way.append(target)
        self.most = max(self.most, len(self.under_way))
        try:
            if "/namespaces/loud" in target:
                await self.answer.wait()
        finally:
            self.under_way.remove(target)
        return HttpAnswer(200, b'{"items": []}')


async def test_lists_of_twenty_workloads_go_out_few_at_a_time_and_a_rollouts_waits_for_none():
    named = [Workload.of(Target.model_validate(each)) for each in targets(20)]
    api = patient()
    api._connections = held = Held()
    wide = [asyncio.create_task(api.requests_naming("loud", named)) for _ in range(3)]
    await until(lambda: len(held.under_way) == LISTS_AT_ONCE, "some lists are under way")
    rollout = asyncio.create_task(api.requests_naming("loud", named[7:8]))
    await until(lambda: len(held.under_way) == LISTS_AT_ONCE + 1, "that of a rollout is, too")
    assert await api.requests_naming("quiet", named) == []
    held.answer.set()
    assert await asyncio.gather(*wide, rollout) == [[]] * 4
    assert not len(api._lists)


async def test_lists_that_wait_let_others_go_out_beside_them():
    """Where the API server's cache is behind, each takes as long as another."""
    named = [Workload.of(Target.model_validate(each)) for each in targets(12)]
    api = LiveReads(CREDENTIALS, list_seconds=0.01, read_seconds=PATIENT)
    api._connections = held = Held()
    wide = asyncio.create_task(api.requests_naming("loud", named))
    await until(lambda: len(held.under_way) == len(named), "all are under way")
    held.answer.set()
    assert await wide == []


async def test_a_rollout_that_several_workloads_may_allow_waits_for_no_list_of_others():
    """A Job that says it was made from a CronJob; an Argo Rollout that refers to a Deployment."""
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "nightly-by-hand",
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly"}],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:1"}]}}},
    }
    sent = review(
        kind={"group": "batch", "version": "v1", "kind": "Job"},
        resource={"group": "batch", "version": "v1", "resource": "jobs"},
        namespace="loud",
        name="nightly-by-hand",
        object=made,
    )
    asked = read_admission(json.dumps(sent).encode(), rollout=True)
    api = patient()
    api._connections = held = Held()
    named = [Workload.of(Target.model_validate(each)) for each in targets(20)]
    wide = asyncio.create_task(api.requests_naming("loud", named))
    await until(lambda: len(held.under_way) == LISTS_AT_ONCE, "some lists are under way")
    judged = asyncio.create_task(judge_rollout(asked, gated_kind(asked), api, 0, NOW))
    await until(lambda: len(held.under_way) >= LISTS_AT_ONCE + 2, "so are its own")
    held.answer.set()
    await asyncio.gather(wide, judged, return_exceptions=True)  # there is nothing to judge by


async def test_of_denied_rollouts_no_more_wait_for_exceptions_than_may_and_a_revocation_does():
    """What waits holds what it read of requests."""
    api = patient()
    api._connections = held = Held()
    ask = partial(api.exceptions_for, "loud")
    asked = range(READS_AT_ONCE + MOST_FOR_EXCEPTIONS)
    tasks = [asyncio.create_task(ask([f"r-{n}"])) for n in asked]
    await until(lambda: len(held.under_way) == READS_AT_ONCE, "some read them")
    with pytest.raises(LookupFailed, match="admission requests of namespace loud wait"):
        await ask(["r-0"])
    revocation = asyncio.create_task(ask(["r-0"], however_many=True))
    assert await api.exceptions_for("quiet", ["r-0"]) == []
    assert held.most == READS_AT_ONCE + 1  # of loud no more at a time
    held.answer.set()
    assert await asyncio.gather(*tasks, revocation) == [[]] * (len(tasks) + 1)
    assert not len(api._turns)


def sent_to_webhook(plural, subresource="", namespace="loud"):
    """A review of a write of an exception, in a dry run."""
    made = exception(of=request("ExceptionRequired"))
    body = stored(made)
    body["metadata"]["namespace"] = namespace
    body["spec"]["submittedBy"] = [{"username": "alice", "type": "Person"}]
    changes = {
        "resource": {"group": "cabgate.dev", "version": "v1alpha1", "resource": plural},
        "subResource": subresource,
        "namespace": namespace,
        "object": {**body, "status": {"state": "Approved"}} if subresource else body,
        "oldObject": body if subresource else None,
        "operation": "UPDATE" if subresource else "CREATE",
        "dryRun": True,
    }
    return review(**changes)


async def test_dry_runs_of_one_namespace_hold_up_neither_its_reviews_nor_anybody_else():
    """However they are answered: how many are looked at at a time is what matters here."""
    asked, let_go = [], asyncio.Event()

    async def hangs():
        asked.append(None)
        await let_go.wait()
        raise LookupFailed("GET /somewhere: gone")

    transport = httpx.ASGITransport(webhook(hangs, deadline_seconds=PATIENT))
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:

        def send(body):
            return asyncio.create_task(client.post("/validate", json=body, timeout=None))

        loud = [send(sent_to_webhook("cabexceptions")) for _ in range(20)]
        reads = 2 * WRITES_AT_ONCE  # each reads its request, and the exceptions of the namespace
        await until(lambda: len(asked) == reads, "four are looked at")
        quiet = send(sent_to_webhook("cabexceptions", namespace="quiet"))
        await until(lambda: len(asked) == reads + 2, "and another team's one")
        person = send(sent_to_webhook("cabexceptions", "status"))
        await until(lambda: len(asked) == reads + 3, "a decision in that namespace waits for none")
        let_go.set()
        answers = await asyncio.gather(*loud, quiet, person)
    assert {answer.status_code for answer in answers} == {200}
