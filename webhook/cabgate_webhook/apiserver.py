# SPDX-License-Identifier: Apache-2.0
"""Live reads of the API server, over pooled connections; nothing is cached."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import ValidationError

from cabgate import GROUP, VERSION
from cabgate.api import (
    CABException,
    CABRequest,
    DeploymentIntent,
    exception,
    intent,
    request,
    riskmodel,
)
from cabgate.api.base import Model
from cabgate.identity import User
from cabgate.targets import Workload
from cabgate.workloads import kind_of
from cabgate_webhook.credentials import Credentials
from cabgate_webhook.metrics import Metrics

MAX_CONNECTIONS = 64
"""Connections to the API server that one process keeps."""

M = TypeVar("M", bound=Model)


class LookupFailed(Exception):  # noqa: N818 - said to users as it is
    """The API server did not answer a read; the message says which and why."""


class ApiServer:
    """What the webhook asks the API server. An asynchronous context manager."""

    def __init__(self, credentials: Credentials, metrics: Metrics | None = None) -> None:
        self._credentials = credentials
        self._metrics = metrics or Metrics()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def namespace_labels(self, name: str) -> dict[str, str]:
        """Labels of a namespace. Raises `LookupFailed`, also where there is no such namespace."""
        found = await self._get(f"/api/v1/namespaces/{name}")
        if found is None:
            raise LookupFailed(f"namespace {name} does not exist")
        return dict(found["metadata"].get("labels") or {})

    async def requests_for(self, namespace: str, workload: Workload) -> list[CABRequest]:
        """The requests of a namespace that carry a workload's label.

        Raises `LookupFailed` also if one cannot be read: it may be a revocation.
        """
        items = await self._list(namespace, request.PLURAL, {"labelSelector": workload.label})
        return [_parsed(CABRequest, item) for item in items]

    async def requests_naming(
        self, namespace: str, workloads: Iterable[Workload]
    ) -> list[CABRequest]:
        """The requests of a namespace that name one of some workloads, each once."""
        lists = await asyncio.gather(
            *(self.requests_for(namespace, workload) for workload in sorted(set(workloads)))
        )
        return list({item.metadata.uid: item for items in lists for item in items}.values())

    async def exceptions_for(self, namespace: str, request_names: list[str]) -> list[CABException]:
        """The exceptions of a namespace that name one of some requests.

        One that cannot be read opens no gate, and is passed over.
        """
        query = {}
        if len(request_names) == 1:
            query["fieldSelector"] = f"spec.requestRef.name={request_names[0]}"
        items = await self._list(namespace, exception.PLURAL, query)
        found = []
        for item in items:
            with contextlib.suppress(LookupFailed):
                found.append(_parsed(CABException, item))
        return [item for item in found if item.spec.request_ref.name in request_names]

    async def workload(self, namespace: str, workload: Workload) -> dict[str, Any] | None:
        """An object of a kind that is gated everywhere, or None if there is none of that name."""
        kind = kind_of(f"{workload.group}/", workload.kind)
        if kind is None:
            raise LookupFailed(f"{workload}: not a kind that this version of cabgate gates")
        prefix = "/api/v1" if not kind.group else f"/apis/{kind.api_version}"
        path = f"{prefix}/namespaces/{namespace}/{kind.resource}/{workload.name}"
        found: dict[str, Any] | None = await self._get(path)
        return found

    async def risk_models(self) -> list[dict[str, Any]]:
        """Every risk model, as the API server has it."""
        path = f"/apis/{GROUP}/{VERSION}/{riskmodel.PLURAL}"
        found = await self._get(path)
        if found is None:
            raise LookupFailed(f"{path}: not found; are the CRDs installed?")
        items: list[dict[str, Any]] = found.get("items") or []
        return items

    async def request(self, namespace: str, name: str) -> CABRequest | None:
        """A request, or None if there is none of that name."""
        return await self._object(CABRequest, namespace, request.PLURAL, name)

    async def intent(self, namespace: str, name: str) -> DeploymentIntent | None:
        """An intent, or None if there is none of that name."""
        return await self._object(DeploymentIntent, namespace, intent.PLURAL, name)

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
        review = {
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
        answer = await self._call("POST", path, json=review)
        status = (answer or {}).get("status") or {}
        return status.get("allowed") is True

    async def can_read(self) -> None:
        """Read as the gate does. Raises `LookupFailed` if the gate could not."""
        path = f"/apis/{GROUP}/{VERSION}/{request.PLURAL}"
        if await self._call("GET", path, params={"limit": "1"}) is None:
            raise LookupFailed(f"{path}: not found; are the CRDs installed?")

    async def _object(self, model: type[M], namespace: str, plural: str, name: str) -> M | None:
        found = await self._get(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}/{name}")
        return None if found is None else _parsed(model, found)

    async def _list(self, namespace: str, plural: str, query: Mapping[str, str]) -> list[Any]:
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}"
        found = await self._call("GET", path, params=query)
        if found is None:
            raise LookupFailed(f"{path}: not found; are the CRDs installed?")
        items: list[Any] = found.get("items") or []
        return items

    async def _get(self, path: str) -> Any:
        return await self._call("GET", path)

    async def _call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, json: Any = None
    ) -> Any:
        """The decoded answer of one call; None if there is no such object."""
        if self._session is None:
            raise RuntimeError("the API server is used outside its context")
        url = self._credentials.server + path
        begun = time.perf_counter()
        try:
            headers = {"Authorization": f"Bearer {self._credentials.token()}"}
            trust = self._credentials.trust()
            async with self._session.request(
                method, url, params=params, json=json, headers=headers, ssl=trust
            ) as answer:
                if answer.status == 404:
                    return None
                if answer.status >= 400:
                    why = _explained(await answer.text())
                    raise LookupFailed(f"{method} {path}: HTTP {answer.status}: {why}")
                decoded = await answer.json()
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise LookupFailed(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            took = time.perf_counter() - begun
            self._metrics.reads.labels(_resource_of(path)).observe(took)
        if not isinstance(decoded, dict):
            raise LookupFailed(f"{method} {path}: the answer is not an object")
        return decoded


def _resource_of(path: str) -> str:
    """The resource that a path leads to, such as `cabrequests`."""
    parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
    return parts[2] if parts[0] == "namespaces" and len(parts) > 2 else parts[0]


def _explained(text: str) -> str:
    """What the body of an error says: the message of a Status, or else its beginning."""
    try:
        message = json.loads(text)["message"]
    except (ValueError, TypeError, LookupError):
        message = text
    return str(message)[:400]


def _parsed(model: type[M], item: Any) -> M:
    """An object as this version understands it. Raises `LookupFailed` if it does not."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        name = (item.get("metadata") or {}).get("name")
        raise LookupFailed(
            f"{model.__name__} {name} cannot be read by this version of cabgate: "
            f"{path}: {first['msg']}"
        ) from None
