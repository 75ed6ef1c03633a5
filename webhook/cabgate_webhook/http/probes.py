# SPDX-License-Identifier: Apache-2.0
"""What /healthz, /readyz and /metrics of the webhook say."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import generate_latest

from cabgate_kube.process.health import Pages
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.metrics import Metrics

READ_SECONDS = 4.0
"""Longest that readiness waits for the API server."""


@dataclass
class Readiness:
    """What stands against sending admission requests here."""

    doubt: Callable[[], str | None] = lambda: None
    """Says what is wrong with the serving certificate, if anything."""
    draining: bool = False
    """Whether the process is about to end."""

    def against(self) -> str | None:
        """Why no admission request should come here; None if nothing of ours stands against it."""
        return "this replica is stopping" if self.draining else self.doubt()


def pages_of(
    api: LiveReads, metrics: Metrics, readiness: Readiness, *, read_seconds: float = READ_SECONDS
) -> Pages:
    """The pages. Liveness asks nobody; readiness reads as the gate does, and waits for that no
    longer than `read_seconds`."""

    async def unready() -> list[str]:
        against = readiness.against()
        if against is None:
            try:
                async with asyncio.timeout(read_seconds):
                    await api.can_read()
            except (LookupFailed, TimeoutError) as error:
                against = str(error) or f"no answer of the API server within {read_seconds:g} s"
        metrics.ready.set(against is None)
        return [] if against is None else [against]

    return Pages(lambda: (), unready, lambda: generate_latest(metrics.registry))
