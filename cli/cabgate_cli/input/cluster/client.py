# SPDX-License-Identifier: Apache-2.0
"""Reading a cluster, as the user of a kubeconfig. Imported only for that, since the client takes
longer to import than the rest takes to run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from cabgate.api.kinds import GatedKind
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import ANY_NAME, kind_of
from cabgate_cli.errors import BadInput, Unavailable
from cabgate_cli.input.names import namespace_name
from cabgate_cli.input.workloads import Found, Wanted, read_workload, referred_by
from cabgate_kube.kubeconfig import UNUSABLE, client_of, namespace_of

TIMEOUT_SECONDS = 15
"""Longest wait for one answer."""

_ONCE: Any = Retry(total=None, connect=False, read=False, other=False, status=0, redirect=3)
"""Each question is asked once: left alone, the client asks four times, each of which may last its
whole timeout before somebody is told that the API server hangs."""

CHUNK = 500
"""Objects in one page of a list."""

DRY_RUN_MANAGER = "cabgate-intent"
"""The field manager of the dry run that tells what a workload would be stored as: the gate lets it
through, since nobody can have approved it yet."""

Object = dict[str, Any]
"""A Kubernetes object as JSON."""


def context_namespace(kubeconfig: str | None, context: str | None) -> str | None:
    """Namespace of the kubeconfig's context; None without one. Raises `BadInput` if it cannot be
    one: it becomes part of paths."""
    namespace = namespace_of(kubeconfig, context)
    if namespace is None:
        return None
    return namespace_name(namespace, "namespace of the kubeconfig's context")


class NotFound(Unavailable):
    """There is no such object."""

    lasting = True


class NotAllowed(Unavailable):
    """The user may not read it."""

    lasting = True


class NotServed(Unavailable):
    """The cluster knows no such kind."""


class Cluster:
    """What the commands read of a cluster. Every read raises `Unavailable`, with what to do."""

    def __init__(
        self, kubeconfig: str | None, context: str | None, *, or_files: bool = True
    ) -> None:
        """`or_files` says whether messages name manifests and images: options that the command has
        for who cannot read the cluster."""
        self._client = connected(kubeconfig, context, or_files)
        self._or_files = or_files
        self._served: dict[GatedKind, str] = {}

    def get(self, path: str, what: str, verb: str = "get", **query: str) -> Object:
        """The answer to one GET; `what` says in messages what was read."""
        status, data = self._asked("GET", path, query)
        if status != 200:
            raise _refused(what, verb, status, or_files=self._or_files)
        return self._object(what, data)

    def asked(self, path: str, what: str, body: Object) -> Object:
        """The answer to one POST that stores nothing, such as a SubjectAccessReview."""
        status, data = self._asked("POST", path, {}, body)
        if status not in (200, 201):
            raise _refused(what, "create", status, or_files=self._or_files)
        return self._object(what, data)

    def tried(self, kind: GatedKind, content: Mapping[str, Any], namespace: str) -> Object:
        """An object as the API server would store it if it were created, with what other webhooks
        make of it. Nothing is stored. Raises `Unavailable` with what the API server says against
        it."""
        metadata = {k: v for k, v in content["metadata"].items() if k in ("labels", "annotations")}
        name = str(content["metadata"].get("name") or content["metadata"].get("generateName"))
        # Under a name of its own: one of that name may be there.
        metadata |= {"namespace": namespace, "generateName": f"{name.rstrip('-.')[:200]}-"}
        body = {key: value for key, value in content.items() if key != "status"}
        what = f"{kind.kind} {name} in namespace {namespace}"
        status, data = self._asked(
            "POST",
            self.path(kind, namespace),
            {"dryRun": "All", "fieldManager": DRY_RUN_MANAGER},
            {**body, "metadata": metadata},
        )
        if status in (200, 201):
            return self._object(what, data)
        said = _message_of(data)
        if said:
            raise Unavailable(f"the API server does not take {what} (HTTP {status}): {said}")
        raise _refused(what, "create", status, or_files=self._or_files)

    def _object(self, what: str, data: bytes) -> Object:
        try:
            content: Any = json.loads(data)
        except (ValueError, RecursionError):
            raise not_kubernetes(what, self._client) from None
        if not isinstance(content, dict):
            raise not_kubernetes(what, self._client)
        return content

    def _asked(
        self, method: str, path: str, query: Mapping[str, str], body: object = None
    ) -> tuple[int | None, bytes]:
        """Status and body of an answer. Raises `Unavailable` where there is none."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            prepared = self._client.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            # The raw answer: the client's own classes do not know the newest kinds of volumes.
            response = self._client.call_api(*prepared, _request_timeout=TIMEOUT_SECONDS)
            status = response.status
            data: bytes = response.read()  # type: ignore[no-untyped-call]
        except ApiException as error:
            return error.status, str(error.body or "").encode()
        except (HTTPError, OSError) as error:
            host = self._client.configuration.host
            raise Unavailable(
                f"cannot reach the API server at {host}: {_reason(error)}. Check kubectl's "
                "connection (kubectl version)"
                + (", or use manifest files (-f FILE)." if self._or_files else ".")
            ) from None
        return status, data

    def list(self, path: str, what: str, **query: str) -> Iterator[Object]:
        """The objects of a list, read in chunks."""
        query["limit"] = str(CHUNK)
        while True:
            page = self.get(path, what, "list", **query)
            yield from page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    def path(self, kind: GatedKind, namespace: str, name: str = "") -> str:
        """Path of a workload, or of all of a kind in a namespace, or everywhere if that is
        empty. Raises `NotServed` if the cluster does not know the kind."""
        if kind not in self._served:
            self._served[kind] = self._root(kind)
        root, _, plural = self._served[kind].rpartition("/")
        parts = [root, *(["namespaces", quote(namespace)] if namespace else []), plural]
        return "/".join([*parts, quote(name)] if name else parts)

    def _root(self, kind: GatedKind) -> str:
        """Version and plural of a kind: those that are built into Kubernetes are known."""
        if not kind.group:
            return f"/api/{kind.api_version}/{kind.resource}"
        if "." not in kind.group:
            return f"/apis/{kind.api_version}/{kind.resource}"
        what = f"{kind.kind} of {kind.group}"
        try:
            group = self.get(f"/apis/{kind.group}", what)
            version = group["preferredVersion"]["groupVersion"]
            resources = self.get(f"/apis/{version}", what)["resources"]
            plural = next(
                entry["name"]
                for entry in resources
                if entry["kind"] == kind.kind and "/" not in entry["name"]
            )
        except (NotFound, LookupError, TypeError, StopIteration):
            raise NotServed(f"this cluster has no {what}") from None
        return f"/apis/{version}/{plural}"

    def workload(self, wanted: Wanted, namespace: str) -> Object:
        """A workload as it is stored."""
        what = f"{wanted} in namespace {namespace}"
        found = self.get(self.path(wanted.kind, namespace, wanted.name), what)
        # Some API servers leave out what goes without saying.
        found.setdefault("kind", wanted.kind.kind)
        found.setdefault("apiVersion", wanted.kind.api_version)
        return found

    def referred(
        self, kind: GatedKind, content: Mapping[str, Any], namespace: str
    ) -> Mapping[str, Any] | None:
        """The object whose pod template an Argo Rollout takes; None if it has one of its own, or
        there is no such object."""
        reference = referred_by(kind, content)
        if reference is None:
            return None
        return self.workload_or_none(reference, namespace)

    def workload_or_none(self, workload: Workload, namespace: str) -> Object | None:
        """A workload of a kind that is gated everywhere, None if there is none of that name."""
        kind = kind_of(f"{workload.group}/", workload.kind)
        if kind is None:
            return None
        try:
            return self.workload(Wanted(kind, workload.name), namespace)
        except NotFound:
            return None


def read_running(
    wanted: Wanted, namespace: str, kubeconfig: str | None, context: str | None
) -> Found:
    """A running workload.

    Raises `Unavailable` if it cannot be had, with what to do.
    """
    if wanted.name.endswith(ANY_NAME):
        raise BadInput(
            f"{wanted}: means those that come; name their images (--image), or a manifest (-f FILE)"
        )
    if not wanted.kind.templates:
        raise BadInput(
            f"{wanted}: where its pod template stands is not known; name its images (--image), or "
            "its path (--gated-kind GROUP/KIND=PATH)"
        )
    cluster = Cluster(kubeconfig, context)
    content = cluster.workload(wanted, namespace)
    try:
        return read_workload(
            wanted.kind, content, cluster.referred(wanted.kind, content, namespace)
        )
    except BadInput as error:
        raise Unavailable(f"{wanted} in namespace {namespace}: {error.message}") from None


def connected(
    kubeconfig: str | None, context: str | None, or_files: bool = True
) -> client.ApiClient:
    """A client of the cluster that a kubeconfig names; raises `Unavailable`, with what to do."""
    try:
        return client_of(kubeconfig, context, _asking_once())
    except UNUSABLE as error:
        where = f"{kubeconfig}: " if kubeconfig else ""
        raise Unavailable(
            f"no cluster to read from: {where}{_reason(error)}. Name a kubeconfig (--kubeconfig, "
            "KUBECONFIG) and a context (--context)"
            + (", or use manifest files (-f FILE)." if or_files else ".")
        ) from None


def _asking_once() -> Any:
    settings: Any = client.Configuration()
    settings.retries = _ONCE
    return settings


def not_kubernetes(what: str, connected_to: client.ApiClient) -> Unavailable:
    """What is raised for an answer that no API server gives, such as the page of a proxy."""
    return Unavailable(
        f"{what}: the answer of {connected_to.configuration.host} is not an object of Kubernetes. "
        "Is that an API server, with no proxy before it that wants a login (kubectl version)?"
    )


def _refused(what: str, verb: str, status: int | None, *, or_files: bool) -> Unavailable:
    if status == 404:
        unborn = (
            "; for a workload that does not run yet, name its images (--image) or its manifest "
            "(-f FILE)"
        )
        return NotFound(
            f"{what} not found. Check name and namespace (-n){unborn if or_files else ''}."
        )
    if status in (401, 403):
        return NotAllowed(
            f"you may not read {what} (HTTP {status}). Ask for the verb '{verb}' on it"
            + (", or use its manifest (-f FILE)." if or_files else ".")
        )
    return Unavailable(f"the API server did not return {what}: HTTP {status}")


def _message_of(data: bytes) -> str:
    """What the API server says in a Status; empty for anything else."""
    try:
        said = json.loads(data).get("message")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return _reason(Exception(said)) if isinstance(said, str) else ""


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 300 else text[:297] + "..."
