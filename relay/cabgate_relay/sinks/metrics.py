# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the sinks."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class SinkMetrics:
    """The metrics of all sinks of one process, by the name of the sink."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Gauge(
            "cabgate_relay_sink_lag_seconds",
            "Seconds since the sink was last known to have acknowledged every record of the "
            "cluster; 0 where this replica does not lead.",
            ["sink"],
            registry=registry,
        )
        self.stuck = Gauge(
            "cabgate_relay_sink_stuck_chains",
            "Chains that cannot go on: the sink refused a record, or the next one is missing.",
            ["sink"],
            registry=registry,
        )
        self.events = Counter(
            "cabgate_relay_sink_events_total",
            "Events that the sink acknowledged, repeated ones too.",
            ["sink"],
            registry=registry,
        )
        self.failures = Counter(
            "cabgate_relay_sink_failures_total",
            "Batches that the sink did not acknowledge, by HTTP status; 0 where there was none.",
            ["sink", "code"],
            registry=registry,
        )
