# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the operator."""

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cabgate_operator.work.overview import Overview

HOUR, DAY = 3600, 86400


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge(
            "cabgate_leader", "Whether this replica leads: 1 or 0.", registry=self.registry
        )
        self.queue_depth = Gauge(
            "cabgate_queue_depth", "Keys that wait for a worker.", registry=self.registry
        )
        self.reconciles = Counter(
            "cabgate_reconciles_total",
            "Keys handled, by kind of work and result: ok, conflict (tried again) or error.",
            ["kind", "result"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "cabgate_reconcile_seconds",
            "Time to handle a key, in seconds.",
            ["kind"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self.registry,
        )
        self.decision_seconds = Histogram(
            "cabgate_request_decision_seconds",
            "Time from the opening of a request to its decision, in seconds, by state.",
            ["state"],
            buckets=(1, 10, 60, 600, HOUR, 4 * HOUR, 8 * HOUR, DAY, 3 * DAY, 7 * DAY),
            registry=self.registry,
        )
        self.api_calls = Counter(
            "cabgate_api_calls_total",
            "Calls to the API server, by verb and HTTP status; 0 where there was no answer.",
            ["verb", "code"],
            registry=self.registry,
        )
        self.uncovered_workloads = Gauge(
            "cabgate_uncovered_workloads",
            "Workloads of a gated namespace that run images which the gate would deny now.",
            ["namespace"],
            registry=self.registry,
        )
        self.calendar_ends = Gauge(
            "cabgate_change_freeze_ends_timestamp_seconds",
            "When the last interval of a ChangeFreeze ends that no other one continues.",
            ["changefreeze", "kind"],
            registry=self.registry,
        )
        self.installation_differs = Gauge(
            "cabgate_installation_differs",
            "1 where the ConfigMap cabgate-installation is not as the operator was told, else 0.",
            registry=self.registry,
        )
        self.glass_broken = Counter(
            "cabgate_break_glass_total",
            "Rollouts that went past the gate by break-glass, as the operator found them.",
            ["namespace"],
            registry=self.registry,
        )
        self.swept_at = Gauge(
            "cabgate_last_sweep_timestamp_seconds",
            "When the last look at every object ended, in Unix time; 0 if there was none.",
            registry=self.registry,
        )

    def called(self, verb: str, code: int) -> None:
        """Count a call to the API server."""
        self.api_calls.labels(verb, str(code)).inc()

    def decided(self, state: str, seconds: float | None) -> None:
        """Count a request that was decided, if it was."""
        if seconds is not None:
            self.decision_seconds.labels(state).observe(seconds)

    def handled(self, kind: str, result: str, seconds: float) -> None:
        """Count a key that was handled."""
        self.reconciles.labels(kind, result).inc()
        self.seconds.labels(kind).observe(seconds)

    def show(self, overview: Callable[[], Overview | None], clock: Callable[[], datetime]) -> None:
        """Show from now on what an overview says at each scrape; None where there is none."""
        self.registry.register(_Shown(overview, clock))

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        return generate_latest(self.registry)


class _Shown(Collector):
    """Gauges that are computed at each scrape. A replica that does not lead shows none."""

    def __init__(
        self, overview: Callable[[], Overview | None], clock: Callable[[], datetime]
    ) -> None:
        self._overview = overview
        self._clock = clock

    def describe(self) -> list[GaugeMetricFamily]:
        """Names only: nothing may be computed at registration."""
        return [_pending(), _active(), _by_time_left(), _soonest()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges as they are now."""
        overview = self._overview()
        if overview is None:
            return
        now = self._clock()
        pending = _pending()
        for age, count in overview.waiting(now).items():
            pending.add_metric([age], count)
        yield pending
        left = overview.seconds_left(now)
        active = _active()
        active.add_metric([], len(left))
        yield active
        by_time_left = _by_time_left()
        for span, count in overview.by_time_left(now).items():
            by_time_left.add_metric([span], count)
        yield by_time_left
        if left:
            soonest = _soonest()
            soonest.add_metric([], left[0])
            yield soonest


def _pending() -> GaugeMetricFamily:
    text = "Requests that wait for a decision, by age."
    return GaugeMetricFamily("cabgate_pending_requests", text, labels=["age"])


def _active() -> GaugeMetricFamily:
    return GaugeMetricFamily("cabgate_active_exceptions", "Exceptions in force.", labels=[])


def _by_time_left() -> GaugeMetricFamily:
    text = "Exceptions in force, by the time that they have left."
    return GaugeMetricFamily("cabgate_active_exceptions_by_time_left", text, labels=["left"])


def _soonest() -> GaugeMetricFamily:
    text = "Seconds until the first of the exceptions in force ends; absent without one."
    return GaugeMetricFamily("cabgate_exception_soonest_end_seconds", text, labels=[])
