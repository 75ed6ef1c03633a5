# SPDX-License-Identifier: Apache-2.0
"""Live reads of the API server, over pooled connections; nothing is cached."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

from cabgate import GROUP, VERSION
from cabgate.api import (
    CABEvidence,
    CABRequest,
    DeploymentIntent,
    RolloutOutcome,
    intent,
    outcome,
    request,
)
from cabgate.api.base import Model, is_object_name
from cabgate.api.cabevidence import PLURAL as EVIDENCES
from cabgate.api.outcome import PLURAL as OUTCOMES
from cabgate.api.outcome import RELEASE_LABEL
from cabgate.lifecycle.limits.budget import Weighed
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.review.identity import User
from cabgate.rollout.targets import Workload, selectors
from cabgate.rollout.workloads import kind_of
from cabgate_kube.credentials import Access
from cabgate_kube.transport import (
    MAX_CONNECTIONS,
    AnswerTooLarge,
    ConnectionFailed,
    Connections,
    HttpAnswer,
)
from cabgate_webhook.client.answers import (
    decoded,
    explained,
    items_of,
    labels_of,
    parsed,
    raw_items,
    requests_of,
    wait_before_retry,
)
from cabgate_webhook.client.exceptions import ExceptionReads
from cabgate_webhook.client.lookups import LARGE_BYTES, READ_BYTES, BudgetUsedUp, LookupFailed
from cabgate_webhook.client.paths import namespace_of, resource_of
from cabgate_webhook.client.sharing import READ_SECONDS, SharedReads
from cabgate_webhook.client.turns import Turns
from cabgate_webhook.metrics import Metrics

M = TypeVar("M", bound=Model)

RETRY_WITHIN_SECONDS = 3.0
"""How long after its beginning a read may be tried again that the API server was too busy for: its
answer is to be there within the deadline of an admission request, 4 s."""

ASK_AGAIN = frozenset({429, 504})
"""How the API server answers a read that it is too busy for, or whose cache is behind or not filled
yet, as after a change of the definition."""

NO_WORKLOAD = "cabgate.dev/readiness"
"""A label that no request has."""

MAX_OF_NAMESPACE = MAX_CONNECTIONS // 4
"""Reads of one namespace at a time: however much is asked there, and however slow the answers are,
there are connections for others, and memory for what they hold."""

LISTS_AT_ONCE = 4
"""Lists of requests of one namespace that are under way at a time for those who need several:
the lists of twenty workloads at once would take both the API server and this process."""

PODS_AT_ONCE = 200
"""Pods of one page."""

LIST_SECONDS = 0.2
"""How long such a list keeps others from going out: one that waits for the API server's cache takes
neither of them."""


class LiveReads(ExceptionReads):
    """What the webhook asks the API server. An asynchronous context manager.

    `monotonic` and `sleep` are the time that it waits by where the API server is too busy.
    """

    def __init__(
        self,
        access: Access,
        metrics: Metrics | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        list_seconds: float = LIST_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._sleep = sleep
        self._access = access
        self._metrics = metrics or Metrics()
        self._connections: Connections | None = None
        self._large = asyncio.Lock()
        self._places = Turns(MAX_OF_NAMESPACE)
        self._lists = Turns(LISTS_AT_ONCE, list_seconds)
        self._shared = SharedReads(lambda target: self._send("GET", target), read_seconds)
        self._shared_small = SharedReads(
            lambda target: self._send("GET", target, large=False), read_seconds
        )

    async def __aenter__(self) -> Self:
        self._connections = Connections(self._access)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connections is not None:
            self._connections.close()
            self._connections = None

    async def namespace_labels(self, name: str) -> dict[str, str]:
        """Labels of a namespace. Raises `LookupFailed`, also where there is no such namespace."""
        path = f"/api/v1/namespaces/{name}"
        data = await self._read(path)
        if data is None:
            raise LookupFailed(f"namespace {name} does not exist")
        return labels_of(path, data)

    async def requests_naming(
        self,
        namespace: str,
        workloads: Iterable[Workload],
        intent: str | None = None,
        *,
        at_once: bool = False,
    ) -> list[RequestStanding]:
        """Where the requests of a namespace stand that carry the label of one of some workloads, or
        were made from the intent of a name, each once. `at_once`: for a rollout, whose few lists
        wait for nobody's.

        Raises `LookupFailed` also if one cannot be read: it may be a revocation.
        """
        data = await self._lists_of(namespace, workloads, intent, at_once=at_once)
        return [item for each in data for item in requests_of(*each)]

    async def weighed_requests(
        self, namespace: str, workloads: Iterable[Workload], intent: str | None = None
    ) -> list[Weighed]:
        """The same, each with the bytes that it takes in a list."""
        data = await self._lists_of(namespace, workloads, intent)
        return [
            (item, len(bytes(raw)))
            for each in data
            for item, raw in zip(requests_of(*each), raw_items(*each), strict=True)
        ]

    async def _lists_of(
        self,
        namespace: str,
        workloads: Iterable[Workload],
        intent: str | None,
        *,
        at_once: bool = False,
    ) -> list[tuple[str, bytes | None]]:
        """The lists of the requests that name some workloads, or were made from an intent, as they
        came, each with its path; no request is in two of them."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{request.PLURAL}"
        named = list(workloads)
        queries = [{"labelSelector": selector} for selector in selectors(named)]
        if intent is not None:
            others = ",".join(sorted({f"!{workload.label}" for workload in named}))
            own = f"spec.intentRef.name={intent}"
            queries.append({"fieldSelector": own, "labelSelector": others})
        if at_once or len(queries) == 1:
            found = await asyncio.gather(*(self._read(path, query) for query in queries))
        else:
            reads = [partial(self._read, path, query) for query in queries]
            found = await self._lists.all_within(namespace, reads)
        return [(path, data) for data in found]

    async def workload(self, namespace: str, workload: Workload) -> dict[str, Any] | None:
        """An object of a kind that is gated everywhere, or None if there is none of that name."""
        if not is_object_name(workload.name):
            return None
        kind = kind_of(f"{workload.group}/", workload.kind)
        if kind is None:
            raise LookupFailed(f"{workload}: not a kind that this version of cabgate gates")
        prefix = "/api/v1" if not kind.group else f"/apis/{kind.api_version}"
        path = f"{prefix}/namespaces/{namespace}/{kind.resource}/{workload.name}"
        found: dict[str, Any] | None = await self._get(path)
        return found

    async def revisions(self, namespace: str, kind: str, selector: str) -> list[dict[str, Any]]:
        """The ReplicaSets or ControllerRevisions of a namespace that a label selector selects."""
        path = f"/apis/apps/v1/namespaces/{namespace}/{kind.lower()}s"
        found = await self._get(path, {"labelSelector": selector} if selector else None)
        return (found or {}).get("items") or []

    async def pods(self, namespace: str, selector: str) -> AsyncIterator[list[dict[str, Any]]]:
        """The Pods of a namespace that have some labels, a page at a time: what a workload has may
        come to more than is read at once. Without a selector none."""
        path, token = f"/api/v1/namespaces/{namespace}/pods", ""
        while selector:
            query = {"labelSelector": selector, "limit": str(PODS_AT_ONCE)}
            page = await self._get(path, {**query, "continue": token} if token else query) or {}
            yield page.get("items") or []
            token = str((page.get("metadata") or {}).get("continue") or "")
            if not token:
                return

    async def outcomes(self, namespace: str, label: str) -> list[RolloutOutcome]:
        """The outcomes of a namespace that have a label."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{outcome.PLURAL}"
        found = await self._get(path, {"labelSelector": label})
        return [parsed(RolloutOutcome, each) for each in (found or {}).get("items") or []]

    async def cluster_wide(self, plural: str) -> list[dict[str, Any]]:
        """Every object of a kind of ours without a namespace, as the API server has it."""
        path = f"/apis/{GROUP}/{VERSION}/{plural}"
        found: dict[str, list[dict[str, Any]]] | None = await self._get(path)
        if found is not None:
            return found.get("items") or []
        raise LookupFailed(f"{path}: not found; are the CRDs installed?")

    async def outcomes_of(self, release: str) -> list[RolloutOutcome]:
        """What became of a release, in whatever namespaces it runs. Raises `LookupFailed` also if
        one cannot be read: it may have failed."""
        path = f"/apis/{GROUP}/{VERSION}/{OUTCOMES}"
        data = await self._read(path, {"labelSelector": f"{RELEASE_LABEL}={release}"})
        return [parsed(RolloutOutcome, item) for item in items_of(path, data)]

    async def request(self, namespace: str, name: str) -> CABRequest | None:
        """A request, or None if there is none of that name."""
        return await self._object(CABRequest, namespace, request.PLURAL, name)

    async def intent(self, namespace: str, name: str) -> DeploymentIntent | None:
        """An intent, or None if there is none of that name."""
        return await self._object(DeploymentIntent, namespace, intent.PLURAL, name)

    async def evidence(self, namespace: str, name: str) -> CABEvidence | None:
        """What is kept beside a request, if anything is."""
        return await self._object(CABEvidence, namespace, EVIDENCES, name)

    async def may(
        self,
        user: User,
        *,
        verb: str,
        resource: str,
        namespace: str,
        group: str = GROUP,
        subresource: str = "",
        name: str = "",
    ) -> bool:
        """Whether a user may do something, by SubjectAccessReview, never cached."""
        attributes = {
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "verb": verb,
            "namespace": namespace,
            "name": name,
        }
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.username,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": {key: list(values) for key, values in user.extra.items()},
                "resourceAttributes": {key: value for key, value in attributes.items() if value},
            },
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        data = await self._send("POST", path, asked)
        status = {} if data is None else decoded("POST", path, data).get("status") or {}
        return status.get("allowed") is True

    async def can_read(self) -> None:
        """Read as the gate does. Raises `LookupFailed` if the gate could not."""
        # With a selector: without one a short list passes by the cache that the gate's wait for.
        path = f"/apis/{GROUP}/{VERSION}/namespaces/default/{request.PLURAL}"
        if await self._get(path, {"labelSelector": NO_WORKLOAD}) is None:
            raise LookupFailed(f"{path}: not found; are the CRDs installed?")

    async def read_small(self, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
        """The answer of one GET as it came; None if there is no such object. Raises `BudgetUsedUp`
        for one of more than 1 MiB, without another try."""
        return await self._read(path, query, large=False)

    async def _object(self, model: type[M], namespace: str, plural: str, name: str) -> M | None:
        if not is_object_name(name):
            return None  # or it would lead to another object, or to a part of one
        found = await self._get(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}/{name}")
        return None if found is None else parsed(model, found)

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The decoded answer of one GET; None if there is no such object."""
        data = await self._read(path, query)
        return None if data is None else decoded("GET", path, data)

    async def _read(
        self, path: str, query: Mapping[str, str] | None = None, *, large: bool = True
    ) -> bytes | None:
        """The answer of one GET as it came; None if there is no such object."""
        shared = self._shared if large else self._shared_small
        return await shared.get(quote(path) + (f"?{urlencode(query)}" if query else ""))

    async def _send(
        self, method: str, target: str, body: Any = None, *, large: bool = True
    ) -> bytes | None:
        """The answer of a call as it came; None if there is no such object. A GET that the API
        server is too busy for (429), or whose cache is behind (504), is tried again when it says,
        if there is time for that."""
        path = target.partition("?")[0]
        last = self._monotonic() + RETRY_WITHIN_SECONDS
        call = partial(self._call, method, target, path, body, large=large)
        if namespace := namespace_of(path):
            call = partial(self._places.within, namespace, call)
        answer = await call()
        while method == "GET" and answer.status in ASK_AGAIN:
            wait = wait_before_retry(answer)
            if self._monotonic() + wait > last:
                break
            await self._sleep(wait)
            answer = await call()
        if answer.status == 404:
            return None
        if not 200 <= answer.status <= 299:
            why = explained(answer.body.decode(errors="replace"))
            failed = f"{method} {path}: HTTP {answer.status}"
            raise LookupFailed(f"{failed}: {why}", failed)
        return answer.body

    async def _call(
        self, method: str, target: str, path: str, body: Any, *, large: bool
    ) -> HttpAnswer:
        """The answer of one call. Raises `LookupFailed` if there is none."""
        if self._connections is None:
            raise RuntimeError("the API server is used outside its context")
        begun = time.perf_counter()
        try:
            headers, content = {"Accept": "application/json"}, b""
            if body is not None:
                headers["Content-Type"] = "application/json"
                content = json.dumps(body).encode()
            call = partial(self._connections.call, method, target, headers=headers, body=content)
            try:
                return await call(limit=READ_BYTES)
            except AnswerTooLarge:
                if method != "GET" or not large:
                    raise
            async with self._large:
                return await call(limit=LARGE_BYTES)
        except AnswerTooLarge as error:
            raise BudgetUsedUp.of(path) from error
        except (ConnectionFailed, OSError, ValueError) as error:
            raise LookupFailed(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            took = time.perf_counter() - begun
            self._metrics.reads.labels(resource_of(path)).observe(took)
