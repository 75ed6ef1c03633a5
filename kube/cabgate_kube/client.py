# SPDX-License-Identifier: Apache-2.0
"""All calls to the API server that the operator makes itself (kopf makes those of its watches)."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from cabgate import API_VERSION
from cabgate.api import decision, exception, intent, request, riskmodel
from cabgate.text.refusal import RefusalReason
from cabgate_kube.connections import Connections
from cabgate_kube.credentials import access_of
from cabgate_kube.process.logs import PlainError

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

_METHODS = {"get": "GET", "list": "GET", "create": "POST", "update": "PUT", "delete": "DELETE"}

_AGENT = "cabgate-operator"
"""What the API server's logs call us."""

MAX_MESSAGE = 600
"""Characters kept of an error message of the API server."""

MAX_CAUSES = 5
"""Fields that the text of an error names."""

CHUNK = 250
"""Most objects in one page of a list."""

FIRST_CHUNK = 50
"""Objects in the first page."""

PAGE_BYTES = 4 * 1024 * 1024
"""What a page is to take, by the size of the objects of the one before: whoever stores large ones
makes more calls of it, and not more memory."""

MAX_PAGE_BYTES = 4 * PAGE_BYTES
"""What is read of a page of more than one object: one that would be longer is asked for again in
smaller ones, since what comes after small objects may be the largest there are."""

_JSON = "application/json"

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA_WATCH = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""How a list and a watch are asked for of which only the metadata is to come."""


@dataclass(frozen=True)
class Resource:
    """A resource of the API server."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of the collection, of an object or of its subresource."""
        root = "apis" if "/" in self.api_version else "api"
        parts = [root, self.api_version]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


INTENTS = Resource(API_VERSION, intent.KIND, intent.PLURAL)
REQUESTS = Resource(API_VERSION, request.KIND, request.PLURAL)
EXCEPTIONS = Resource(API_VERSION, exception.KIND, exception.PLURAL)
DECISIONS = Resource(API_VERSION, decision.KIND, decision.PLURAL)
RISK_MODELS = Resource(API_VERSION, riskmodel.KIND, riskmodel.PLURAL)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
NAMESPACES = Resource("v1", "Namespace", "namespaces")
EVENTS = Resource("v1", "Event", "events")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
SECRETS = Resource("v1", "Secret", "secrets")
_ADMISSION = "admissionregistration.k8s.io/v1"
VALIDATING = Resource(
    _ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"
)
MUTATING = Resource(_ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
_REVIEWS = Resource("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews")


class ApiError(PlainError):
    """The API server refused, or could not be reached (code 0).

    As text it says which call failed and what was wrong with which field. What the API server said
    is in `message`, for those who may read the object: it quotes content, which is not for logs.
    """

    def __init__(self, code: int, reason: str, message: str, about: str = "") -> None:
        self.code = code
        self.reason = reason
        self.message = message[:MAX_MESSAGE]
        super().__init__(f"{code} {reason}" + (f": {about}" if about else ""))

    @property
    def refused(self) -> bool:
        """Whether the content was refused, so that the same call would be refused again."""
        return self.code in (400, 403, 422)

    @property
    def used_up(self) -> bool:
        """Whether the budget of a namespace was used up: to try again soon is of no use, and costs
        others what the refused call reads."""
        return self.code == 403 and RefusalReason.BUDGET_USED_UP in self.message


class ConflictError(ApiError):
    """The object changed since it was read."""


class AlreadyExistsError(ApiError):
    """There is an object of that name."""


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    items: list[Object]
    resource_version: str


class ApiServer:
    """Client of one API server.

    `called` is told of each call: its verb and the HTTP status, 0 where there was no answer.
    `check_writes` is asked before each write, and raises if there must be none.
    """

    def __init__(
        self,
        connections: Connections,
        called: Callable[[str, int], None] = lambda verb, code: None,
        check_writes: Callable[[], None] = lambda: None,
    ) -> None:
        self._connections = connections
        self._called = called
        self._check_writes = check_writes

    @classmethod
    def connect(cls, called: Callable[[str, int], None] = lambda verb, code: None) -> "ApiServer":
        """Client by the service account in a cluster, else by KUBECONFIG.

        Raises `AccessError` where there is neither.
        """
        return cls(Connections(access_of()), called)

    def checked(self, check_writes: Callable[[], None]) -> "ApiServer":
        """The same client for one who may write only while `check_writes` raises nothing."""
        return ApiServer(self._connections, self._called, check_writes)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()

    async def who_am_i(self) -> str:
        """The operator's own user name, as the API server authenticates it."""
        body = {"apiVersion": _REVIEWS.api_version, "kind": _REVIEWS.kind}
        review = await self._call("create", _REVIEWS.path(), body=body)
        username: str = review["status"]["userInfo"]["username"]
        return username

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """An object as it is now, or None."""
        try:
            return await self._call("get", resource.path(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    async def serves(self, resource: Resource) -> bool:
        """Whether the API server knows a resource: it may be one of somebody else's."""
        try:
            await self._call("list", resource.path(), query={"limit": 1})
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    async def pages(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        fields: str = "",
        labels: str = "",
        metadata: bool = False,
    ) -> AsyncIterator[Page]:
        """A list as it is now, in chunks; of each object the metadata alone, if asked for."""
        query: dict[str, Any] = {"limit": FIRST_CHUNK}
        if fields:
            query["fieldSelector"] = fields
        if labels:
            query["labelSelector"] = labels
        while True:
            accept = METADATA_LIST if metadata else _JSON
            path = resource.path(namespace)
            most = MAX_PAGE_BYTES if query["limit"] > 1 else None
            try:
                answer, size = await self._sized(
                    "list", path, query=query, accept=accept, most=most
                )
            except _PageTooLargeError:
                query["limit"] = max(1, query["limit"] // 8)
                continue
            query["limit"] = next_limit(query["limit"], size)
            meta = answer.get("metadata") or {}
            yield Page(answer.get("items") or [], str(meta.get("resourceVersion") or ""))
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    async def newest_version(self, resource: Resource) -> int:
        """The version that a list would have now."""
        answer = await self._call("list", resource.path(), query={"limit": 1})
        return int(answer["metadata"]["resourceVersion"])

    async def list(
        self, resource: Resource, namespace: str, *, fields: str = "", labels: str = ""
    ) -> list[Object]:
        """A list as it is now, whole."""
        pages = self.pages(resource, namespace, fields=fields, labels=labels)
        return [item async for page in pages for item in page.items]

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create an object; `AlreadyExistsError` if there is one of that name."""
        return await self._write("create", resource.path(namespace), body)

    async def is_free(self, resource: Resource, namespace: str, body: Object) -> bool:
        """Whether an object could be created: asked by a dry run, which needs no right to read."""
        try:
            path = resource.path(namespace)
            await self._call("create", path, query={"dryRun": "All"}, body=body)
        except AlreadyExistsError:
            return False
        return True

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Replace an object; `ConflictError` if it changed since it was read."""
        meta = body["metadata"]
        if not meta.get("resourceVersion"):
            raise ValueError("an object is only written over the version that was read")
        path = resource.path(meta.get("namespace", ""), meta["name"])
        return await self._write("update", path, body)

    async def replace_status(self, resource: Resource, body: Object) -> Object:
        """Replace the status of an object; `ConflictError` if it changed since it was read."""
        meta = body["metadata"]
        if not meta.get("resourceVersion"):
            raise ValueError("a status is only written to the version that was read")
        path = resource.path(meta["namespace"], meta["name"], "status")
        return await self._write("update", path, body)

    async def delete(self, resource: Resource, body: Object) -> None:
        """Delete an object as it was read; `ConflictError` if it changed since, nothing if it is
        gone."""
        meta = body["metadata"]
        conditions = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
        path = resource.path(meta.get("namespace", ""), meta["name"])
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        try:
            await self._write("delete", path, options)
        except ApiError as error:
            if error.code != 404:
                raise

    async def _write(self, verb: str, path: str, body: Object) -> Object:
        self._check_writes()
        return await self._call(verb, path, body=body, check=self._check_writes)

    async def _call(self, verb: str, path: str, **how: Any) -> Object:
        return (await self._sized(verb, path, **how))[0]

    async def _sized(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Object | None = None,
        accept: str = _JSON,
        check: Callable[[], None] | None = None,
        most: int | None = None,
    ) -> tuple[Object, int]:
        """The answer of a call, and its bytes. Raises `_PageTooLargeError` for more than `most`."""
        method, code = _METHODS[verb], 0
        target = path if not query else f"{path}?{urlencode(query)}"
        headers = {"Accept": accept, "Content-Type": _JSON, "User-Agent": _AGENT}
        try:
            async with self._connections.call(
                method, target, headers, None if body is None else json.dumps(body), check
            ) as response:
                code = response.status
                data = await _body(response, most)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # Not its repr: that of some holds the headers that were sent, the token among them.
            known = isinstance(error, aiohttp.ClientConnectorError | TimeoutError)
            why = f"{type(error).__name__} {error if known else ''}".strip()
            raise ApiError(0, "Unreachable", why, f"{method} {path}: {why}") from error
        finally:
            self._called(verb, code)
        if 200 <= code <= 299:
            answer: Object = json.loads(data)
            return answer, len(data)
        raise _error(f"{method} {path}", code, data)


class _PageTooLargeError(Exception):
    """A page is longer than what is read of one."""


async def _body(response: aiohttp.ClientResponse, most: int | None) -> bytes:
    if most is None:
        return await response.read()
    found = bytearray()
    async for chunk in response.content.iter_any():
        found += chunk
        if len(found) > most:
            response.close()  # the rest is not to come
            raise _PageTooLargeError
    return bytes(found)


def next_limit(limit: int, size: int) -> int:
    """How many objects the next page may hold, after one of at most `limit` that took `size`
    bytes: at most twice as many, since those may be larger."""
    fitting = limit * PAGE_BYTES // max(size, 1)
    return max(1, min(fitting, 2 * limit, CHUNK))


def _error(call: str, code: int, data: bytes) -> ApiError:
    try:
        status = json.loads(data)
        reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    except (ValueError, AttributeError):
        status, reason, message = {}, "", data[:200].decode(errors="replace")
    about = ", ".join([call, *_policy(message), *_causes(status)])
    kind = ApiError
    if code == 409:
        kind = AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    return kind(code, reason, message, about)


_POLICY = re.compile(r"is forbidden: (ValidatingAdmissionPolicy '[\w.-]{1,253}')")


def _policy(message: str) -> list[str]:
    """The policy that refused a write: the API server names it in its message alone."""
    policy = _POLICY.search(message)
    return [] if policy is None else [policy[1]]


def _causes(status: Mapping[str, Any]) -> list[str]:
    """Which fields were refused, and why, by code: by the API server or by a webhook."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [
        f"{str(cause.get('field', ''))[:100]} {str(cause.get('reason', ''))[:64]}".strip()
        for cause in (causes or [])[:MAX_CAUSES]
        if isinstance(cause, dict)
    ]
