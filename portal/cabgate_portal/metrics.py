# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the portal. No label holds what a client sends."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Message, Send


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "cabgate_portal_calls_total",
            "Calls of the REST API, by operation and HTTP status; `page` for all of the page.",
            ["operation", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "cabgate_portal_call_seconds",
            "Time that a call took, waiting with ?wait included.",
            ["operation"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )
        self.api_calls = Counter(
            "cabgate_portal_api_calls_total",
            "Calls to the API server, by method and HTTP status; 0 where there was no answer.",
            ["method", "code"],
            registry=self.registry,
        )
        self.connections_dropped = Counter(
            "cabgate_portal_connections_dropped_total",
            "Connections that were closed: slow, limit, probe-slow or probe-limit.",
            ["reason"],
            registry=self.registry,
        )
        self.reload_failures = Counter(
            "cabgate_portal_certificate_reload_failures_total",
            "New certificates that could not be used.",
            registry=self.registry,
        )
        self.certificate_left = Gauge(
            "cabgate_portal_certificate_seconds_left",
            "Seconds until the serving certificate ends; absent where plain HTTP is served.",
            registry=self.registry,
        )

    def count(self, operation: str, status: int, seconds: float) -> None:
        """Count a call that was answered, and how long that took."""
        self.calls.labels(operation, str(status)).inc()
        self.seconds.labels(operation).observe(seconds)

    def text(self) -> bytes:
        """The text of /metrics."""
        return generate_latest(self.registry)


class Answered:
    """Passes on what is sent, and knows with which status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        """HTTP status of the answer; 0 before there is one."""

    async def send(self, event: Message) -> None:
        """Send a part of the answer."""
        if event["type"] == "http.response.start":
            self.status = event["status"]
        await self._send(event)
