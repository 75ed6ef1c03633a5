# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the operator."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """The metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.uncovered_workloads = Gauge(
            "cabgate_uncovered_workloads",
            "Workloads of a gated namespace that run images which the gate would deny now.",
            ["namespace"],
            registry=self.registry,
        )
        self.glass_broken = Counter(
            "cabgate_break_glass_total",
            "Rollouts that went past the gate by break-glass, as the operator found them.",
            ["namespace"],
            registry=self.registry,
        )
