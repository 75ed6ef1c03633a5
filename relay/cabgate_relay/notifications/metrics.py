# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the channels."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class NotificationMetrics:
    """The metrics of one process about its channels, in the registry of its others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter(
            "cabgate_relay_notifications_sent_total",
            "Messages that a channel took, by channel and event.",
            ["channel", "event"],
            registry=registry,
        )
        self.failed = Counter(
            "cabgate_relay_notifications_failed_total",
            "Messages that a channel did not take; what they are about is tried again as long as "
            "it is true.",
            ["channel"],
            registry=registry,
        )
        self.suppressed = Counter(
            "cabgate_relay_notifications_suppressed_total",
            "Times that a request or exception had no room in a message, and was left to the next, "
            "since a channel gets one of each event in 30 seconds.",
            ["channel"],
            registry=registry,
        )
        self.pending = Gauge(
            "cabgate_relay_notifications_pending",
            "Requests and exceptions that a channel is still to be told of; 0 where this replica "
            "does not lead.",
            ["channel"],
            registry=registry,
        )
        self.failing = Gauge(
            "cabgate_relay_notifications_failing",
            "Whether the last attempt to send to a channel failed, or nothing can be sent since "
            "the API server does not answer: 1 or 0; 0 where this replica does not lead.",
            ["channel"],
            registry=registry,
        )
        self.refused = Gauge(
            "cabgate_relay_notifications_refused",
            "Requests and exceptions that a channel refuses even without what others wrote; they "
            "are tried again behind all others. 0 where this replica does not lead.",
            ["channel"],
            registry=registry,
        )
