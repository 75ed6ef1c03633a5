# SPDX-License-Identifier: Apache-2.0
"""Reads and writes of the cluster's admin, in this process: a kubectl for each look costs a hundred
times the CPU time of the look."""

import json
import ssl
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from cabgate_devcluster.clients.pki import KeyPair
from cabgate_devcluster.errors import DevClusterError

Document = dict[str, Any]

_TRIES = 30
"""Times that a call is made which is answered 429: an API server whose etcd was restored answers so
until its caches are filled anew."""

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class AdminClient:
    """The API server at a URL, as the user of a client certificate. Threads may share it.

    Every method raises `DevClusterError` for an answer of 400 or more, and where there is none.
    """

    def __init__(self, server: str, ca_pem: bytes, pair: KeyPair) -> None:
        context = ssl.create_default_context(cadata=ca_pem.decode())
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(pair.cert_pem + pair.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
        self._server, self._context = server, context
        self._client = self._connect()
        self._lock = threading.Lock()
        self._paths: dict[str, tuple[str, bool]] = {}

    def _connect(self) -> httpx.Client:
        # On loopback nothing is gained by what it costs the server to compress /metrics and lists.
        return httpx.Client(
            base_url=self._server,
            verify=self._context,
            headers={"Accept-Encoding": "identity"},
            timeout=60,
            trust_env=False,
        )

    def reconnect(self) -> None:
        """Make new connections: those that a restarted server left break at their next use."""
        self._client.close()
        self._client = self._connect()

    def close(self) -> None:
        """End its connections."""
        self._client.close()

    def call(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> Document:
        """One call to a path of the API, `/api/v1/namespaces` say; what is answered."""
        headers = {"Content-Type": content_type}
        content = None if body is None else json.dumps(body)
        found: Document = self._answered(method, path, content, headers).json()
        return found

    def text(self, path: str) -> str:
        """What a path answers that is no object, such as `/metrics`."""
        return self._answered("GET", path, None, {}).text

    def get(self, resource: str, name: str, namespace: str | None = None) -> Document:
        """An object, without managedFields, as kubectl shows it. `resource` is what kubectl takes:
        plural, singular, short or kind, in any case, with its group or without."""
        return _shown(self.call("GET", f"{self.path(resource, namespace)}/{name}"))

    def items(self, resources: str, namespace: str | None = None) -> list[Document]:
        """The objects of a namespace, or of all; of several resources if there are commas."""
        listed: list[Document] = []
        for resource in resources.split(","):
            found = self.call("GET", self.path(resource, namespace))
            kind = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
            listed += [_shown({**kind, **item}) for item in found["items"]]
        return listed

    def apply(self, document: Document) -> Document:
        """Server-side apply of an object, over whatever another manager has set; what is stored."""
        metadata, api_version = document["metadata"], document["apiVersion"]
        group = api_version.partition("/")[0] if "/" in api_version else ""
        base = self.path(f"{document['kind']}.{group}", metadata.get("namespace"))
        path = f"{base}/{metadata['name']}?fieldManager=devcluster&force=true"
        return self.call("PATCH", path, document, content_type="application/apply-patch+yaml")

    def path(self, resource: str, namespace: str | None = None) -> str:
        """Where the API has a resource, of a namespace if it is of one."""
        base, namespaced = self._known(resource.lower())
        root, _, plural = base.rpartition("/")
        return f"{root}/namespaces/{namespace}/{plural}" if namespaced and namespace else base

    def _answered(
        self, method: str, path: str, content: str | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The answer. Raises `DevClusterError` where there is none, or it says that it failed."""
        try:
            answer = self._send(method, path, content, headers)
        except httpx.TransportError as exc:
            raise DevClusterError(f"{method} {path}: {type(exc).__name__}: {exc}") from exc
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            raise DevClusterError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def _send(
        self, method: str, path: str, content: str | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The answer; of one that asks to come again (429), as kubectl does, the last."""
        answer = self._sent(method, path, content, headers)
        for _ in range(_TRIES - 1):
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            time.sleep(float(answer.headers.get("Retry-After", 1)))
            answer = self._sent(method, path, content, headers)
        return answer

    def _sent(
        self, method: str, path: str, content: str | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        try:
            return self._client.request(method, path, content=content, headers=headers)
        except httpx.TransportError:
            if method != "GET":
                raise
            # A connection that was kept while the server was restarted tells of it only now.
            return self._client.request(method, path, content=content, headers=headers)

    def _known(self, resource: str) -> tuple[str, bool]:
        with self._lock:
            if resource not in self._paths:
                self._paths = self._discover()
            if resource not in self._paths:
                raise DevClusterError(f"the API server has no resource {resource!r}")
            return self._paths[resource]

    def _discover(self) -> dict[str, tuple[str, bool]]:
        paths: dict[str, tuple[str, bool]] = {}
        for root in ("/api", "/apis"):
            answer = self._send("GET", root, None, {"Accept": _DISCOVERY})
            for group in answer.json()["items"]:
                # The versions stand in the order of preference, as kubectl takes them.
                for version in group["versions"]:
                    _note(paths, root, group["metadata"].get("name", ""), version)
        return paths


def _shown(found: Document) -> Document:
    found["metadata"].pop("managedFields", None)
    return found


def _note(
    paths: dict[str, tuple[str, bool]], root: str, group: str, version: Mapping[str, Any]
) -> None:
    middle = f"{group}/{version['version']}" if group else version["version"]
    for found in version.get("resources", []):
        plural = found["resource"]
        place = (f"{root}/{middle}/{plural}", found["scope"] == "Namespaced")
        kind = found["responseKind"]["kind"].lower()
        for name in (plural, found.get("singularResource", ""), kind, *found.get("shortNames", [])):
            paths.setdefault(name, place)
            paths.setdefault(f"{name}.{group}", place)
