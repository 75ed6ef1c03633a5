# SPDX-License-Identifier: Apache-2.0
"""A portal in memory, over an API server that is made up."""

import httpx

from cabgate_portal.app import create_app
from cabgate_portal.calls import Portal
from cabgate_portal.limits import CallLimits
from cabgate_portal.metrics import Metrics
from cabgate_samples.models import NOW, request
from cabgate_samples.objects import intent
from unit.portal.fake_api import FakeApi

TOKEN = "secret-of-rita.abc_DEF~1+2/3=="
BASE = "/api/cab/v1"


class Made:
    """A portal with its API server, and a client of it."""

    def __init__(self, per_second=10_000.0, raising=True):
        self.api = FakeApi()
        self.portal = Portal(
            self.api, Metrics(), CallLimits(per_second), lambda: NOW, poll_seconds=0.01
        )
        self.app = create_app(self.portal)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=raising)
        self.client = httpx.AsyncClient(transport=transport, base_url="https://portal")

    async def call(self, method, path, *, token=TOKEN, headers=None, **options):
        """The answer to a call of somebody with a token."""
        given = [("Authorization", f"Bearer {token}")] if token else []
        given += list((headers or {}).items())
        where = path if path.startswith("/api") else BASE + path
        return await self.client.request(method, where, headers=given, **options)


def stored(**spec):
    """A request that waits, as the API server has it; and its evidence digest."""
    made = request(**spec)
    obj = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABRequest", **made.to_dict()}
    return obj, made.spec.evidence_digest


def manifest(namespace="shop", name="checkout", **spec):
    """An intent as a pipeline sends it."""
    return intent(namespace, name=name, **spec)
