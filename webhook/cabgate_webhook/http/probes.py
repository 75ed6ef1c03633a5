# SPDX-License-Identifier: Apache-2.0
"""/healthz, /readyz and /metrics: an application of their own, on a port of their own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from cabgate_webhook.client.apiserver import ApiServer
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.metrics import Metrics

READ_SECONDS = 4.0
"""Longest that readiness waits for the API server."""


@dataclass
class Readiness:
    """What stands against sending reviews here."""

    doubt: Callable[[], str | None] = lambda: None
    """Says what is wrong with the serving certificate, if anything."""
    draining: bool = False
    """Whether the process is about to end."""

    def against(self) -> str | None:
        """Why no review should come here; None if nothing of ours stands against it."""
        return "this replica is stopping" if self.draining else self.doubt()


def create_probes(
    api: ApiServer, metrics: Metrics, readiness: Readiness, *, read_seconds: float = READ_SECONDS
) -> FastAPI:
    """The application. Liveness asks nobody; readiness reads as the gate does, and waits for that
    no longer than `read_seconds`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/healthz")
    async def _healthz(_: Request) -> Response:
        return _text("ok")

    @app.get("/readyz")
    async def _readyz(_: Request) -> Response:
        against = readiness.against()
        if against is None:
            try:
                async with asyncio.timeout(read_seconds):
                    await api.can_read()
            except (LookupFailed, TimeoutError) as error:
                against = str(error) or f"no answer of the API server within {read_seconds:g} s"
        metrics.ready.set(against is None)
        return _text("ok") if against is None else _text(f"not ready: {against}", 503)

    @app.get("/metrics")
    async def _metrics(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _text(line: str, status: int = 200) -> Response:
    return Response(f"{line}\n", status_code=status, media_type="text/plain")
