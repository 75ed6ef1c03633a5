# SPDX-License-Identifier: Apache-2.0
"""A portal in memory, over an API server that is made up."""

import copy
import re
from functools import cache

import httpx
import jsonschema
from starlette.datastructures import State

from cabgate_portal.app import Bounded, create_api
from cabgate_portal.calls import Portal
from cabgate_portal.limits import CallLimits
from cabgate_portal.metrics import Metrics
from cabgate_samples.models import NOW, request
from cabgate_samples.objects import intent
from unit.portal.fake_api import FakeApi

TOKEN = "secret-of-rita.abc_DEF~1+2/3=="
BASE = "/api/cab/v1"


@cache
def _operations():
    """All operations, which take a third of a second to make: each portal has a copy."""
    return create_api()


class Made:
    """A portal with its API server, and a client of it."""

    def __init__(self, limits=None, raising=True):
        self.api = FakeApi()
        limits = limits or CallLimits(10_000.0)
        self.portal = Portal(self.api, Metrics(), limits, lambda: NOW, poll_seconds=0.01)
        operations = copy.copy(_operations())
        operations.state = State({"portal": self.portal})
        self.app = Bounded(operations, self.portal)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=raising)
        self.client = httpx.AsyncClient(transport=transport, base_url="https://portal")

    async def call(self, method, path, *, token=TOKEN, headers=None, **options):
        """The answer to a call of somebody with a token."""
        given = [("Authorization", f"Bearer {token}")] if token else []
        given += list((headers or {}).items())
        where = path if path.startswith("/api") else BASE + path
        answer = await self.client.request(method, where, headers=given, **options)
        check_documented(method, answer)
        return answer


@cache
def _described():
    """The description, with paths as patterns and nothing allowed that it does not name."""
    found = create_api().openapi()

    def strict(value):
        if isinstance(value, list):
            return [strict(each) for each in value]
        if not isinstance(value, dict):
            return value
        made = {key: strict(each) for key, each in value.items()}
        if value.get("type") == "object" and "properties" in value:
            made["additionalProperties"] = False
        return made

    schemas = {"components": {"schemas": strict(found["components"]["schemas"])}}
    paths = [
        (re.compile(re.escape(path).replace(r"\{id\}", "[^/]+")), operations)
        for path, operations in sorted(found["paths"].items(), key=lambda each: "{" in each[0])
    ]
    return schemas, paths


def check_documented(method, answer):
    """That an answer is one that the description has for its operation, in each field."""
    schemas, paths = _described()
    path = answer.request.url.path.replace("/api/cab/v1/", "/api/cab/").replace(
        "/api/cab/", "/api/cab/v1/"
    )
    operation = next(
        (each[method.lower()] for pattern, each in paths
         if pattern.fullmatch(path) and method.lower() in each),
        None,
    )  # fmt: skip
    if operation is None:
        assert answer.status_code in (404, 405, 401, 413, 415, 400), answer.status_code
        return
    documented = operation["responses"].get(str(answer.status_code))
    assert documented is not None, (method, path, answer.status_code)
    content = documented.get("content", {})
    if not content:
        assert answer.content == b""
        return
    schema = content[answer.headers["content-type"]]["schema"]
    jsonschema.Draft202012Validator({**schemas, **schema}).validate(answer.json())


def stored(**spec):
    """A request that waits, as the API server has it; and its evidence digest."""
    made = request(**spec)
    obj = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABRequest", **made.to_dict()}
    return obj, made.spec.evidence_digest


def manifest(namespace="shop", name="checkout", **spec):
    """An intent as a pipeline sends it."""
    return intent(namespace, name=name, **spec)
