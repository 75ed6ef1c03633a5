# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the operator."""

from prometheus_client import CollectorRegistry, Counter


class Metrics:
    """The metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.glass_broken = Counter(
            "cabgate_break_glass_total",
            "Rollouts that went past the gate by break-glass, as the operator found them.",
            ["namespace"],
            registry=self.registry,
        )
