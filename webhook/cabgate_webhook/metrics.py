# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the webhook."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from cabgate_webhook.undecided import DOUBTS

_ENDPOINTS = ("validate", "mutate")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


MAX_NOT_ENFORCED = 1000
"""Series of denials that no mode enforces: names come from whoever rolls out, and each series lives
as long as the process."""

OTHER = "other"
"""Where those are counted that have no series of their own."""


class Wait(StrEnum):
    """How a wait for a fresh intent ended."""

    JUDGED = "judged"
    """The operator judged it, and the rollout was decided anew."""
    NOT_JUDGED = "not-judged"
    """It did not in time, or the intent went."""
    NO_PLACE = "no-place"
    """There was no wait: as many wait as may."""


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "cabgate_admission_requests_total",
            "Admission requests, by endpoint, resource, verdict and reason.",
            ["endpoint", "resource", "verdict", "reason"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "cabgate_admission_request_seconds",
            "Time to answer an admission request, in seconds.",
            ["endpoint"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        # Series that are there from the start: an increase is only seen from one sample to the
        # next, so the first of a series that begins with it is lost.
        for endpoint in _ENDPOINTS:
            self.seconds.labels(endpoint)
        self.in_doubt = Counter(
            "cabgate_admission_in_doubt_total",
            "Admission requests in which nothing could be decided, by reason.",
            ["reason"],
            registry=self.registry,
        )
        for reason in sorted(DOUBTS):
            self.in_doubt.labels(reason)
        self._not_enforced = Counter(
            "cabgate_not_enforced_denials_total",
            "Rollouts that mode Warn or Audit admitted and Enforce would deny, by workload.",
            ["namespace", "workload", "reason"],
            registry=self.registry,
        )
        self._seen: set[tuple[str, str, str]] = set()
        self.ready = Gauge(
            "cabgate_webhook_ready",
            "What /readyz answered last: 1 for yes; 0 for no, or if nobody has asked.",
            registry=self.registry,
        )
        self.reads = Histogram(
            "cabgate_live_read_seconds",
            "Time of a read of the API server that an admission request waits for, in seconds.",
            ["resource"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._waits = Counter(
            "cabgate_fresh_intent_waits_total",
            "Denials that were held for an intent just written, by how that ended.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in Wait:
            self._waits.labels(outcome.value)
        self.certificate_left = Gauge(
            "cabgate_certificate_seconds_left",
            "Time until the serving certificate in use ends, in seconds; negative once it has.",
            registry=self.registry,
        )
        self.reload_failures = Counter(
            "cabgate_certificate_reload_failures_total",
            "Changed certificate files that could not be used, so that the old ones stayed.",
            registry=self.registry,
        )
        self.connections_dropped = Counter(
            "cabgate_connections_dropped_total",
            "Connections that were closed for being slow or too many, those to the health port as "
            "probe-slow and probe-limit.",
            ["why"],
            registry=self.registry,
        )

    def waited(self, outcome: Wait) -> None:
        """Count a denial that was held for an intent just written, or would have been."""
        self._waits.labels(outcome.value).inc()

    def not_enforced(self, namespace: str, workload: str, reason: str) -> None:
        """Count a denial that the mode of its namespace let through."""
        labels = (namespace, workload or OTHER, reason)
        if labels not in self._seen and len(self._seen) >= MAX_NOT_ENFORCED:
            labels = (OTHER, OTHER, reason)
        else:
            self._seen.add(labels)
        self._not_enforced.labels(*labels).inc()
