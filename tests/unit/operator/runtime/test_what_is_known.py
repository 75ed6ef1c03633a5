# SPDX-License-Identifier: Apache-2.0
"""What the operator reads of the API server where its watches tell it what there is, and what it
makes of what they tell too late."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cabgate.rollout.targets import Workload
from cabgate_kube.client import Page
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import (
    CHANGE_POLICIES,
    INTENTS,
    NAMESPACES,
    REQUESTS,
    RISK_MODELS,
    Object,
    Resource,
)
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.work.keys import Key, Subject
from support.waiting import until
from unit.operator.runtime.managed import idle, ready, state_of_web, working
from unit.operator.support import BAD, GOOD, MIDDLING, Clock, MemoryApi, evidence
from unit.operator.support import intent_object as declared

INTENT = Key(Subject.INTENT, "team", "web")
WATCHED = (INTENTS, REQUESTS, NAMESPACES, RISK_MODELS, CHANGE_POLICIES)


class Counted(MemoryApi):
    """Notes each read, and refuses the opening of requests where it is told to."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.reads: list[str] = []
        self.refusals = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        self.reads.append(f"get {resource.plural}")
        return await super().get(resource, namespace, name)

    def pages(self, resource: Resource, namespace: str = "", **options: Any) -> AsyncIterator[Page]:
        by = "labels" if options.get("labels") else "fields" if options.get("fields") else "all"
        self.reads.append(f"list {resource.plural} by {by}")
        return super().pages(resource, namespace, **options)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        if resource is REQUESTS and self.refusals:
            self.refusals -= 1
            raise ApiError(403, "Forbidden", "another request for it was refused")
        return await super().create(resource, namespace, body)

    async def newest_version(self, resource: Resource) -> int:
        return 10_000


@contextlib.asynccontextmanager
async def watching(api: Counted) -> AsyncIterator[Manager]:
    """A manager whose watches have begun, and whose first sweep is done."""
    async with working(api) as (manager, _):
        await ready(manager)
        for resource in WATCHED:
            manager.watch_began(resource.plural, 1)
        await idle(manager)
        manager.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, first())})
        await settled(manager, api, "AutoApproved")
        api.reads.clear()
        yield manager


def first() -> Object:
    """An intent by which namespace, models and policies come to be known."""
    body = declared(GOOD)
    body["metadata"] |= {"name": "web", "uid": "uid-web"}
    return body


def changed(content: Object, target: str = "web", generation: int = 2) -> Object:
    body = first()
    body["metadata"]["generation"] = generation
    body["spec"]["evidence"] = content
    body["spec"]["targets"] = [{**t, "name": target} for t in body["spec"]["targets"]]
    return body


async def settled(manager: Manager, api: Counted, state: str) -> None:
    """Wait for the state of the intent, and tell what the watches have to tell."""
    await until(lambda: state_of_web(api) == state, f"the intent is {state}")
    await idle(manager)
    for resource in (REQUESTS, INTENTS):
        for body in api.all(resource):
            manager.saw(resource, {"type": "MODIFIED", "object": body})
    await idle(manager)


def states_of(api: Counted) -> list[str]:
    return sorted(body["status"]["state"] for body in api.all(REQUESTS))


def put(api: Counted, body: Object) -> Object:
    """Store an intent as its team does: with the status that it has."""
    [old] = api.all(INTENTS)
    return api.put(INTENTS, {**body, "status": old.get("status", {})})


async def test_a_changed_intent_takes_one_list() -> None:
    api = Counted()
    async with watching(api) as manager:
        stored = put(api, changed(evidence(MIDDLING, "n")))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
        await until(lambda: state_of_web(api) == "Submitted", "it waits for a person")
        await idle(manager)
        of_look = [read for read in api.reads if "cabrequests by" in read or "intents" in read]
        assert of_look == ["list cabrequests by labels"]
        assert not {"get namespaces", "list riskmodels by all"} & set(api.reads)


async def test_requests_for_workloads_that_are_not_declared_any_more_are_found() -> None:
    api = Counted()
    async with watching(api) as manager:
        stored = put(api, changed(evidence(MIDDLING, "n"), target="other"))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
        await until(lambda: state_of_web(api) == "Submitted", "it waits for a person")
        assert "list cabrequests by fields" in api.reads
        stored = put(api, changed(evidence(BAD, "n"), target="other", generation=3))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
        await settled(manager, api, "ExceptionRequired")
        assert states_of(api) == ["AutoApproved", "ExceptionRequired", "Superseded"]


async def test_a_request_that_no_watch_has_brought_yet_is_superseded() -> None:
    api = Counted()
    async with watching(api) as manager:
        for number, note in enumerate("nm", 1):
            body = changed(evidence(MIDDLING, note), "fresh", number)
            body["metadata"] |= {"name": "fresh", "uid": "uid-fresh"}
            manager.saw(INTENTS, {"type": "MODIFIED", "object": api.put(INTENTS, body)})
            await until(
                lambda number=number: len(api.all(REQUESTS)) == 1 + number, "there is a request"
            )
            await idle(manager)
            if number == 1:
                assert [read for read in api.reads if "cabrequests by" in read] == []
        assert states_of(api) == ["AutoApproved", "Submitted", "Superseded"]


async def test_an_intent_that_a_watch_brings_too_late_changes_nothing() -> None:
    api = Counted()
    async with watching(api) as manager:
        late = put(api, changed(evidence(BAD, "late")))
        put(api, changed(evidence(MIDDLING, "now"), generation=3))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": late})
        await until(lambda: state_of_web(api) == "Submitted", "what is declared now is judged")
        assert "get deploymentintents" in api.reads
        # The request for what was declared before may be there, and ends.
        await settled(manager, api, "Submitted")
        states = {body["status"]["state"] for body in api.all(REQUESTS)}
        assert states <= {"AutoApproved", "Submitted", "Superseded"}


async def test_after_a_refusal_everything_is_read() -> None:
    api = Counted()
    async with watching(api) as manager:
        api.refusals = 1
        stored = put(api, changed(evidence(MIDDLING, "n")))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
        await until(lambda: state_of_web(api) == "Submitted", "it is opened after all")
        assert {
            "get namespaces",
            "get deploymentintents",
            "list cabrequests by fields",
            "list cabrequests by labels",
            "list riskmodels by all",
        } <= set(api.reads)


@pytest.mark.parametrize("how", ["a watch failed", "the watches began anew"])
async def test_where_watches_may_have_missed_something_lists_are_asked(how: str) -> None:
    api = Counted()
    async with watching(api) as manager:
        if how == "a watch failed":
            manager.watch_failed(REQUESTS.plural)
        else:
            manager.watches_restarted()
            await idle(manager)
        api.reads.clear()
        stored = put(api, changed(evidence(MIDDLING, "n"), "other"))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
        await until(lambda: state_of_web(api) == "Submitted", "it waits for a person")
        assert {"list cabrequests by fields", "list cabrequests by labels"} <= set(api.reads)


async def test_what_a_watch_brings_while_a_sweep_lists_is_not_forgotten() -> None:
    class Slow(Counted):
        """Lists requests, and lets a new one come before the answer."""

        sweeping = False

        async def pages(  # type: ignore[override]
            self, resource: Resource, namespace: str = "", **options: Any
        ) -> AsyncIterator[Page]:
            async for page in super().pages(resource, namespace, **options):
                yield page
            if self.sweeping and resource is REQUESTS and not namespace:
                self.sweeping = False
                stored = put(self, changed(evidence(MIDDLING, "n"), "other"))
                manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
                await settled(manager, self, "Submitted")

    api = Slow()
    async with watching(api) as manager:
        before = manager.metrics.swept_at._value.get()
        api.sweeping = True
        manager.sweep_soon()
        await until(lambda: manager.metrics.swept_at._value.get() > before, "the sweep is done")
        await idle(manager)
        labels = {Workload("apps", "Deployment", "other").label}
        assert manager.context.requests.to_list(INTENT, labels).naming
