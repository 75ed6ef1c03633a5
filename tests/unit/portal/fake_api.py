# SPDX-License-Identifier: Apache-2.0
"""The calls of the API server that the portal makes, in memory and strict: a path, a query or a
header that the real one would not get from a portal is remembered as wrong. tests/cluster has the
real one; this is for what clients send, and for faults that that cannot be made to have."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cabgate_kube.transport import HttpAnswer

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
OURS = "/apis/cabgate.dev/v1alpha1"
CORE_WORKLOADS = "pods|podtemplates|replicationcontrollers"
WORKLOADS = "deployments|statefulsets|daemonsets|replicasets|jobs|cronjobs|rollouts"
LISTED = (
    *("deploymentintents", "cabrequests", "cabexceptions", "cabdecisions", "changefreezes"),
    "namespaces",
    "rolloutoutcomes",
)
"""What is listed, and is there where nothing is."""

CALLS = (
    ("POST", re.compile(r"/apis/authentication\.k8s\.io/v1/selfsubjectreviews")),
    (
        "GET",
        re.compile(
            rf"{OURS}/(namespaces/{LABEL}/)?"
            r"(deploymentintents|cabrequests|cabexceptions|cabdecisions)"
        ),
    ),
    ("GET", re.compile(rf"{OURS}/changefreezes")),
    ("GET", re.compile(rf"{OURS}/(namespaces/{LABEL}/)?rolloutoutcomes")),
    (
        "GET",
        re.compile(
            rf"{OURS}/namespaces/{LABEL}/"
            rf"(deploymentintents|cabrequests|cabexceptions|cabevidences)/{NAME}"
        ),
    ),
    ("GET", re.compile(r"/api/v1/namespaces/cabgate-system/configmaps/cabgate-installation")),
    ("GET", re.compile(rf"/api/v1/namespaces(/{LABEL})?")),
    ("GET", re.compile(rf"/api/v1/namespaces/{LABEL}/({CORE_WORKLOADS})/{NAME}")),
    (
        "GET",
        re.compile(
            rf"/apis/(apps/v1|batch/v1|argoproj\.io/v1alpha1)/namespaces/{LABEL}/({WORKLOADS})/{NAME}"
        ),
    ),
    ("PATCH", re.compile(rf"{OURS}/namespaces/{LABEL}/(deploymentintents|cabexceptions)/{NAME}")),
    ("PATCH", re.compile(rf"{OURS}/namespaces/{LABEL}/(cabrequests|cabexceptions)/{NAME}/status")),
)
"""All that a portal may ask for, whatever its clients send."""

READS = {"fieldSelector", "labelSelector", "limit", "continue"}
WRITES = {"fieldManager", "fieldValidation", "dryRun"}
HEADERS = {"Accept", "User-Agent", "Authorization", "Content-Type"}


def status(code: int, reason: str, message: str = "", **details: Any) -> bytes:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return json.dumps(body | ({"details": details} if details else {})).encode()


class FakeApi:
    """Stands where the connections to an API server stand. `objects` are by path; `answers` are
    given first, each as an answer or an exception."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.answers: list[HttpAnswer | Exception] = []
        self.calls: list[tuple[str, str]] = []
        self.tokens: list[str] = []
        self.bodies: list[bytes] = []
        self.wrong: list[str] = []
        self.username = "rita"
        self.forbidden: set[str] = set()

    def put(self, plural: str, obj: dict[str, Any]) -> None:
        """Store an object."""
        meta = obj["metadata"]
        self.objects[f"{OURS}/namespaces/{meta['namespace']}/{plural}/{meta['name']}"] = obj

    def close(self) -> None:
        """Nothing is open."""

    async def call(self, method, target, *, headers, body=b"", limit=0, check=None):
        """Answer a call."""
        url = urlsplit(target)
        self.calls.append((method, target))
        self.tokens.append(headers.get("Authorization", ""))
        self.bodies.append(body)
        self._check(method, url, headers)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        answer = self._answer(method, url.path, body)
        (fields,) = parse_qs(url.query).get("fieldSelector", [""])
        return _selected(answer, fields) if fields else answer

    def _check(self, method, url, headers) -> None:
        if not any(verb == method and path.fullmatch(url.path) for verb, path in CALLS):
            self.wrong.append(f"{method} {url.path}")
        query = parse_qs(url.query, keep_blank_values=True)
        allowed = READS if method == "GET" else WRITES if method == "PATCH" else set()
        if not set(query) <= allowed or any(len(values) > 1 for values in query.values()):
            self.wrong.append(f"{method} {url.query}")
        if method == "PATCH" and query.get("fieldManager") != ["cabgate-api"]:
            self.wrong.append("no field manager")
        if not set(headers) <= HEADERS:
            self.wrong.append(f"headers {sorted(headers)}")

    def _answer(self, method: str, path: str, body: bytes) -> HttpAnswer:
        if method == "POST":
            info = {"username": self.username, "groups": ["system:authenticated"]}
            return _ok({"status": {"userInfo": info}}, 201)
        if method == "PATCH":
            return self._patched(path, body)
        if path in self.forbidden:
            return HttpAnswer(403, status(403, "Forbidden", "may not read it"))
        if path in self.objects:
            return _ok(self.objects[path])
        wanted, plural = path.rsplit("/", 1)
        if plural in LISTED:
            items = [
                obj
                for key, obj in self.objects.items()
                if key.startswith(wanted) and key.rsplit("/", 2)[-2] == plural
            ]
            return _ok({"items": items, "metadata": {"continue": ""}})
        return HttpAnswer(404, status(404, "NotFound", "not found"))

    def _patched(self, path: str, body: bytes) -> HttpAnswer:
        patch = json.loads(body)
        if path.endswith("/status"):
            path = path.removesuffix("/status")
            if path not in self.objects:
                return HttpAnswer(404, status(404, "NotFound", "not found"))
            return _ok(self.objects[path])
        before = self.objects.get(path)
        meta = {"uid": "u-1", "generation": 1, **patch["metadata"]}
        self.objects[path] = {**patch, "metadata": meta}
        if before is None:
            return _ok(self.objects[path], 201)
        same = before["spec"] == patch["spec"]
        meta["generation"] = before["metadata"]["generation"] + (0 if same else 1)
        return _ok(self.objects[path])


def _selected(answer: HttpAnswer, fields: str) -> HttpAnswer:
    """What a field selector leaves of a list, as far as it is about specs: the states of what
    tests store are not written down."""
    wanted = [each.split("=", 1) for each in fields.split(",") if each.startswith("spec.")]
    found = json.loads(answer.body)
    if answer.status != 200 or "items" not in found:
        return answer

    def fits(obj: Any, path: str, value: str) -> bool:
        for key in path.split("."):
            obj = obj.get(key) or {}
        return (obj or "") == value

    found["items"] = [
        obj for obj in found["items"] if all(fits(obj, path, value) for path, value in wanted)
    ]
    return _ok(found)


def _ok(obj: Any, code: int = 200) -> HttpAnswer:
    return HttpAnswer(code, json.dumps(obj).encode(), audit_id=b"a-1")
