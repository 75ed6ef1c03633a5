# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the relay."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge(
            "cabgate_relay_leader", "Whether this replica leads: 1 or 0.", registry=self.registry
        )
        self.lag = Gauge(
            "cabgate_relay_lag_seconds",
            "Seconds since the store was last known to have every record of the cluster, and what "
            "those rest on; 0 where this replica does not lead.",
            registry=self.registry,
        )
        self.records = Counter(
            "cabgate_relay_records_total", "Records appended.", registry=self.registry
        )
        self.objects = Counter(
            "cabgate_relay_objects_total",
            "Contents of requests, outcomes, risk models, change policies, freezes and signers "
            "that were kept.",
            registry=self.registry,
        )
        self.anomalies = Counter(
            "cabgate_relay_anomalies_total",
            "Records that were not as they should be, by what is wrong with them.",
            ["code"],
            registry=self.registry,
        )
        self.last_anomaly = Gauge(
            "cabgate_relay_last_anomaly_timestamp_seconds",
            "When the newest of them in the store was found, in Unix time; 0 if none is known.",
            registry=self.registry,
        )
        self.stuck = Gauge(
            "cabgate_relay_stuck_chains",
            "Chains that cannot go on, because the record that comes next is not there or does "
            "not follow.",
            registry=self.registry,
        )
        self.store_failures = Counter(
            "cabgate_relay_store_failures_total",
            "Attempts to append that failed; each is tried again.",
            registry=self.registry,
        )
        self.api_calls = Counter(
            "cabgate_relay_api_calls_total",
            "Calls to the API server, by verb and HTTP status; 0 where there was no answer.",
            ["verb", "code"],
            registry=self.registry,
        )

    def called(self, verb: str, code: int) -> None:
        """Count a call to the API server."""
        self.api_calls.labels(verb, str(code)).inc()

    def text(self) -> bytes:
        """The text of /metrics."""
        return generate_latest(self.registry)
