# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the webhook."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reviews = Counter(
            "cabgate_admission_reviews_total",
            "Admission reviews, by endpoint, resource, verdict and reason.",
            ["endpoint", "resource", "verdict", "reason"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "cabgate_admission_review_seconds",
            "Time to answer an admission review, in seconds.",
            ["endpoint"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
