# SPDX-License-Identifier: Apache-2.0
"""Objects, and an API server in memory, for the tests of the operator."""

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_kube.client import Page
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.resources import (
    EVENTS,
    INTENTS,
    NAMESPACES,
    REQUESTS,
    RISK_MODELS,
    Object,
    Resource,
)
from cabgate_operator.plans.requests import System
from cabgate_operator.work.context import Context
from cabgate_operator.work.keys import Key
from cabgate_operator.work.queue import Timing, WorkQueue
from cabgate_samples import objects
from cabgate_samples.decisions import entry, numbered
from cabgate_samples.objects import naming

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
ME = "system:serviceaccount:cabgate-system:cabgate-operator"
SYSTEM = System(ME, NOW)

IMAGES = ("r/web:1", "r/web:2")

GOOD = naming(objects.GOOD, IMAGES)
"""Evidence of both images that is approved by score."""

MIDDLING = naming(objects.MIDDLING, IMAGES)
"""Evidence of both that a person has to look at."""

BAD: Object = {**objects.BAD, "scope": {"affectedComponents": 20}}
"""Evidence that needs an exception, although it says something."""


def evidence(base: Object, note: str) -> Object:
    """The same evidence under another digest."""
    return {**base, "artifacts": [{"name": note, "images": list(IMAGES)}]}


def intent_object(
    content: Object, *, images: tuple[str, ...] = ("r/web:1",), **meta: Any
) -> Object:
    made = objects.declared(
        "team", "web", [objects.target(images)], content, submittedBy=[{"username": "dev"}]
    )
    made["metadata"] |= {"uid": "intent-uid", "generation": 1, "resourceVersion": "1", **meta}
    return made


def intent(content: Object, **kwargs: Any) -> DeploymentIntent:
    return DeploymentIntent.model_validate(intent_object(content, **kwargs))


def request(content: Object, **kwargs: Any) -> CABRequest:
    """The request of an intent, as the API server would have stored it."""
    made = request_for(intent(content, **kwargs), 2)
    meta = made.metadata.model_copy(update={"uid": "request-uid", "creation_timestamp": NOW})
    return made.model_copy(update={"metadata": meta})


def with_decisions(subject: CABRequest, *entries: tuple[str, str]) -> CABRequest:
    """The request with (verdict, author) entries; author ME is the system."""
    return CABRequest.model_validate(
        {
            **subject.model_dump(mode="json", by_alias=True),
            "status": {"decisions": decisions(subject.spec.evidence_digest, *entries)},
        }
    )


def selects(selector: str, labels: Object) -> bool:
    """Whether a label selector of keys that are there (`a`), are not (`!a`) or have a value (`a=b`)
    selects."""
    return all(
        labels.get(key.partition("=")[0]) == key.partition("=")[2]
        if "=" in key
        else (key.lstrip("!") in labels) is not key.startswith("!")
        for key in selector.split(",")
    )


def decisions(digest: str, *entries: tuple[str, str]) -> list[Object]:
    made = (
        entry("System" if who == ME else "Person", who, verdict, "2030-01-01T11:00:00Z",
              rationale="because")
        for verdict, who in entries
    )  # fmt: skip
    return numbered(made, digest)


def exception_object(
    of: CABRequest, *entries: tuple[str, str], days: int = 1, created: datetime = NOW
) -> Object:
    made = objects.exception("team", of.metadata.name, durationDays=days)
    made["metadata"] |= {
        "uid": "exception-uid",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {**made, "status": {"decisions": decisions(of.spec.evidence_digest, *entries)}}


def exception(of: CABRequest, *entries: tuple[str, str], **kwargs: Any) -> CABException:
    made = exception_object(of, *entries, **kwargs)
    for each in made["status"]["decisions"]:
        each["at"] = made["metadata"]["creationTimestamp"]
    return CABException.model_validate(made)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = NOW
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class MemoryApi:
    """What the reconcilers need of an API server, in memory."""

    def __init__(self, clock: Clock) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.written: list[str] = []
        self.unserved = {"Rollout"}
        self.refused: dict[str, int] = {}
        """Kinds that are not listed, and with which code that is refused."""
        self.before_write: Callable[[str], None] = lambda what: None
        self._clock = clock
        self._versions = itertools.count(100)
        self.put(
            NAMESPACES,
            {"metadata": {"name": "team", "labels": {"cabgate.dev/ring": "2"}}},
        )
        self.put(RISK_MODELS, DEFAULT_RISK_MODEL.to_dict())

    def put(self, resource: Resource, body: Object) -> Object:
        """Store as an administrator."""
        body = copy.deepcopy(body)
        meta = body["metadata"]
        meta["resourceVersion"] = str(next(self._versions))
        self.objects[(resource.plural, meta.get("namespace", ""), meta["name"])] = body
        return copy.deepcopy(body)

    def all(self, resource: Resource) -> list[Object]:
        return [body for key, body in sorted(self.objects.items()) if key[0] == resource.plural]

    async def who_am_i(self) -> str:
        return ME

    async def close(self) -> None:
        return

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        await asyncio.sleep(0)
        return copy.deepcopy(self.objects.get((resource.plural, namespace, name)))

    async def serves(self, resource: Resource) -> bool:
        return resource.kind not in self.unserved

    async def pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        fields: str = "",
        labels: str = "",
        metadata: bool = False,
    ) -> AsyncIterator[Page]:
        await asyncio.sleep(0)
        if resource.kind in self.refused:
            raise ApiError(self.refused[resource.kind], "", "")
        for body in self.all(resource):
            meta = body["metadata"]
            if namespace and meta["namespace"] != namespace:
                continue
            if labels and not selects(labels, meta.get("labels", {})):
                continue
            if fields:
                path, _, wanted = fields.partition("=")
                value: Any = body
                for part in path.split("."):
                    value = value.get(part, {})
                if value != wanted:
                    continue
            yield Page([copy.deepcopy(body)], meta["resourceVersion"])

    async def list(
        self, resource: Resource, namespace: str, *, fields: str = "", labels: str = ""
    ) -> list[Object]:
        pages = self.pages(resource, namespace, fields=fields, labels=labels)
        return [item async for page in pages for item in page.items]

    async def delete(self, resource: Resource, body: Object) -> None:
        self.before_write(f"delete {resource.plural}")
        meta = body["metadata"]
        key = (resource.plural, meta["namespace"], meta["name"])
        if self.objects.get(key, body)["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise ConflictError(409, "Conflict", meta["name"])
        self.objects.pop(key, None)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        what = f"create {resource.plural}"
        self.before_write(what)
        name = body["metadata"]["name"]
        if (resource.plural, namespace, name) in self.objects:
            raise AlreadyExistsError(409, "AlreadyExists", name)
        body = copy.deepcopy(body)
        body.pop("status", None)
        created = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        body["metadata"] |= {"uid": f"uid-{name}", "generation": 1, "creationTimestamp": created}
        self.written.append(what)
        return self.put(resource, body)

    async def replace_status(self, resource: Resource, body: Object) -> Object:
        what = f"status {resource.plural}"
        self.before_write(what)
        meta = body["metadata"]
        old = self.objects.get((resource.plural, meta["namespace"], meta["name"]))
        if old is None:
            raise ApiError(404, "NotFound", meta["name"])
        if old["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise ConflictError(409, "Conflict", meta["name"])
        self.written.append(what)
        return self.put(resource, {**old, "status": body["status"]})


class World:
    """A context around an API server in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.api = MemoryApi(self.clock)
        self.seen: list[Key] = []
        timing = Timing(clock=self.clock, monotonic=self.clock.monotonic, jitter=lambda: 1.0)
        self.queue = WorkQueue(self._note, timing)
        self.context = Context(
            api=self.api,  # type: ignore[arg-type]
            queue=self.queue,
            clock=self.clock,
            username=ME,
        )

    async def _note(self, key: Key) -> None:
        self.seen.append(key)

    def requests(self) -> dict[str, str]:
        """State of each request."""
        return {
            body["metadata"]["name"]: body.get("status", {}).get("state", "")
            for body in self.api.all(REQUESTS)
        }

    def notes(self) -> list[str]:
        """Reasons of the Events."""
        return sorted(body["reason"] for body in self.api.all(EVENTS))

    def intent_status(self) -> Object:
        status: Object = self.api.objects[(INTENTS.plural, "team", "web")]["status"]
        return status

    def ready(self) -> tuple[str, str]:
        conditions = {c["type"]: c for c in self.intent_status()["conditions"]}
        return conditions["Ready"]["status"], conditions["Ready"]["reason"]

    def stalled(self) -> bool:
        conditions = {c["type"]: c for c in self.intent_status()["conditions"]}
        return bool(conditions["Stalled"]["status"] == "True")
