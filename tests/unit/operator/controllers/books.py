# SPDX-License-Identifier: Apache-2.0
"""A ledger in memory."""

from typing import Any

from cabgate.ledger.signatures import PublicKeys
from cabgate.ledger.verification import verify
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.installation import LEDGER_HEADS
from cabgate_kube.resources import CONFIG_MAPS, DECISIONS, EXCEPTIONS, REQUESTS, Object, Resource
from cabgate_operator.controllers.ledger import Ledger
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import (
    BAD,
    GOOD,
    ME,
    MIDDLING,
    MemoryApi,
    World,
    exception_object,
    request,
    with_decisions,
)

KEY = Key(Subject.LEDGER, "team", "")


class LedgerApi(MemoryApi):
    """With the writes of the ledger, and faults after a write as well as before."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.lost_answers = 0
        self.reads: list[str] = []
        """Names of the objects that were read, one by one."""
        meta = {"name": LEDGER_HEADS, "namespace": SYSTEM_NAMESPACE}
        self.put(CONFIG_MAPS, {"metadata": meta})

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        self.reads.append(name)
        return await super().get(resource, namespace, name)

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        answer = await super().create(resource, namespace, body)
        if self.lost_answers:
            self.lost_answers -= 1
            raise ApiError(0, "Unreachable", "the answer was lost")
        return answer

    async def replace(self, resource: Resource, body: Object) -> Object:
        self.before_write(f"replace {resource.plural}")
        meta = body["metadata"]
        old = self.objects[(resource.plural, meta["namespace"], meta["name"])]
        if old["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise ConflictError(409, "Conflict", meta["name"])
        self.written.append(f"replace {resource.plural}")
        return self.put(resource, body)


class Books(World):
    """Three subjects with four decisions, and a ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.api: LedgerApi = LedgerApi(self.clock)
        self.context.api = self.api  # type: ignore[assignment]
        self.ledger = Ledger()
        self.subject(with_decisions(request(GOOD), ("AutoApproved", ME)), "uid-low")
        medium = with_decisions(request(MIDDLING), ("Superseded", ME), ("Reopened", ME))
        self.subject(medium, "uid-medium")
        high = request(BAD)
        # Nothing is recorded of one of which nobody knows when it was opened.
        meta = high.metadata.model_copy(update={"creation_timestamp": None})
        self.subject(high.model_copy(update={"metadata": meta}), "uid-high")
        self.put(EXCEPTIONS, exception_object(high, ("Expired", ME)))

    def subject(self, made: Any, uid: str) -> None:
        body = made.model_dump(mode="json", by_alias=True)
        body["metadata"]["uid"] = uid
        self.put(REQUESTS, body)

    def put(self, resource: Resource, body: Object) -> None:
        self.saw(resource, self.api.put(resource, body))

    def saw(self, resource: Resource, body: Object, **options: Any) -> Key | None:
        keys = self.ledger.saw(WatchEvent(resource, body, self.clock(), **options))
        return next(iter(keys), None)

    def look_again(self) -> None:
        for resource in (REQUESTS, EXCEPTIONS):
            for body in self.api.all(resource):
                self.saw(resource, body)

    async def work(self) -> None:
        await self.ledger.reconcile(self.context, KEY)

    async def publish(self) -> None:
        await self.ledger.publish(self.context)

    def records(self) -> list[Object]:
        return self.api.all(DECISIONS)

    def heads(self) -> dict[str, str]:
        key = (CONFIG_MAPS.plural, SYSTEM_NAMESPACE, LEDGER_HEADS)
        data: dict[str, str] = self.api.objects[key].get("data", {})
        return data

    def head(self) -> str:
        spec = self.records()[-1]["spec"]
        return f"{spec['sequence']} {spec['digest']}"

    def wrong(self) -> list[str]:
        requests, exceptions = self.api.all(REQUESTS), self.api.all(EXCEPTIONS)
        found = verify(self.records(), requests, exceptions, PublicKeys())
        return [f"{finding.code}: {finding.message}" for finding in found]
