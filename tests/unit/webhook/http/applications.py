# SPDX-License-Identifier: Apache-2.0
"""The application, asked without a server."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.ledger.signatures import SigningKeys
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.http.app import Limits, Settings, create_app
from cabgate_webhook.metrics import Metrics

KEYS = SigningKeys(
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


CALLER = Caller(Path(__file__))  # any file is long enough


NOW = datetime(2026, 11, 23, tzinfo=UTC)


class FaultyApi:
    """Stands in for an API server that cannot be reached, in one way or another."""

    def __init__(self, fault):
        self._fault = fault

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    def __getattr__(self, _name):
        async def call(*_args, **_kwargs):
            return await self._fault()

        return call


async def unreachable():
    raise LookupFailed("GET /somewhere: connection refused")


async def hangs():
    await asyncio.Event().wait()


def webhook(fault=unreachable, metrics=None, **limits):
    return create_app(
        FaultyApi(fault),
        Settings(KEYS, CALLER),
        metrics or Metrics(),
        lambda: NOW,
        Limits(**limits),
    )


async def send(body, path="/validate", fault=unreachable, method="POST", **limits):
    app = webhook(fault, **limits)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.request(method, path, content=content)


def review(**changes):
    request = {
        "uid": "u-1",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "operation": "CREATE",
        "namespace": "shop",
        "name": "web",
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:1"}]}}},
        },
    } | changes
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
