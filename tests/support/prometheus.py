# SPDX-License-Identifier: Apache-2.0
"""What Prometheus makes of our metrics: real scrapes, and its own promtool to judge rules by."""

import json
import subprocess
import time
from dataclasses import dataclass

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cabgate_devcluster import locate_program
from cabgate_devcluster.installed.chart import NAMESPACE

STEP = 30
"""Seconds between two scrapes, as the chart's PodMonitor has it."""

LEAD = 20 * 60
"""Seconds that the state before a fault has lasted."""

_GOES_ON = ("_total", "_bucket", "_count", "_sum")
_PASSES = {"_timestamp_seconds": 1, "_seconds_left": -1}
"""Gauges that tell a time, and what a second makes of those that count it."""

_LAG = "_lag_seconds"
"""A gauge that grows with the clock for as long as what it waits for does not happen."""


@dataclass(frozen=True)
class Scrape:
    """What Prometheus has after it asked each Pod once: the value of each series."""

    at: float
    values: dict

    def of(self, name, **labels):
        """The values of a metric, of series with these labels."""
        wanted = labels.items()
        return [
            value
            for (found, pairs), value in self.values.items()
            if found == name and wanted <= dict(pairs).items()
        ]


def scrape(pods):
    """Ask Pods, given as names and URLs, for their metrics. Who does not answer has none."""
    values = {}
    for pod, url in pods.items():
        target = {"namespace": NAMESPACE, "job": f"{NAMESPACE}/cabgate", "pod": pod}
        for family in text_string_to_metric_families(_text(f"{url}/metrics")):
            for sample in family.samples:
                labels = tuple(sorted({**sample.labels, **target}.items()))
                values[sample.name, labels] = sample.value
    return Scrape(time.time(), values)


def probe(url):
    """Ask for readiness, as a kubelet does; the status."""
    return httpx.get(f"{url}/readyz", timeout=60).status_code


def _text(url):
    try:
        return httpx.get(url, timeout=60).text
    except httpx.HTTPError:
        return ""


@dataclass(frozen=True)
class Course:
    """Series over time, of three real scrapes: `before` for some time, and then `last`, going on as
    it came from `first` to `last`.

    Counters go on at the rate seen. Gauges stay, but for those that tell a time: they follow the
    clock, if they moved at all, and a lag does if it grew about as fast: to ask a Pod takes a
    while, and by that much it may be older or younger than the scrape. What is not in `last` has
    ended.
    """

    before: Scrape
    first: Scrape
    last: Scrape

    @property
    def start(self):
        """Unix time of the first sample."""
        return int(self.last.at) - LEAD

    def series(self, seconds):
        """The series as promtool reads them, up to so many seconds after the change."""
        return [
            {"series": _selector(*key), "values": f"{self._lead(key)} {self._rest(key, seconds)}"}
            for key in sorted({*self.before.values, *self.last.values})
        ]

    def _lead(self, key):
        count = LEAD // STEP
        if key not in self.before.values:
            return f"_x{count}"
        value, passes = self.before.values[key], _passing(key[0])
        if passes and value:
            value += passes * (self.start - self.before.at)
        return _steps(value, passes * STEP if value else 0, count)

    def _rest(self, key, seconds):
        if key not in self.last.values:
            return "stale"
        value = self.last.values[key]
        moved = value - self.first.values.get(key, 0.0)
        step = 0.0
        if _passing(key[0]):
            step = _passing(key[0]) * STEP if moved else 0.0
        elif key[0].endswith(_LAG):
            step = STEP if 0 < (self.last.at - self.first.at) / 2 < moved else 0.0
        elif key[0].endswith(_GOES_ON) and moved:
            step = moved / (self.last.at - self.first.at) * STEP
        return _steps(value, step, seconds // STEP + 1)


def _passing(name):
    return next((sign for end, sign in _PASSES.items() if name.endswith(end)), 0)


def _steps(value, step, count):
    return f"{value:.6f}{'-' if step < 0 else '+'}{abs(step):.6f}x{count - 1}"


def _selector(name, labels):
    return f"{name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in labels)}}}"


class Proofs:
    """Notes which alerts a file of tests proves: it decorates each test with an alert that fires
    there."""

    def __init__(self):
        self.alerts = set()

    def __call__(self, alert):
        self.alerts.add(alert)
        return lambda test: test


class Rules:
    """Alert rules, as a PrometheusRule has them, in front of promtool."""

    def __init__(self, spec, folder):
        self.alerts = {rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]}
        self._folder = folder
        (folder / "rules.yaml").write_text(yaml.safe_dump(spec))

    def check(self):
        """What promtool says of the rules as such; it has to approve of them."""
        return self._promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")

    def check_course(self, course, firing, **labels):
        """Have promtool find that at these minutes after the change these alerts fire, with their
        labels and annotations, and no others do. None fires just before. `labels` are those that
        the expression gives them."""
        expected = {-STEP: (), **{round(minute * 60): names for minute, names in firing.items()}}
        unknown = {name for names in expected.values() for name in names} - set(self.alerts)
        assert not unknown
        group = {
            "interval": f"{STEP}s",
            "start_timestamp": course.start,
            "input_series": course.series(max(expected)),
            "alert_rule_test": [
                {
                    "eval_time": f"{LEAD + seconds}s",
                    "alertname": name,
                    "exp_alerts": [self._alert(name, labels)] if name in names else [],
                }
                for seconds, names in expected.items()
                for name in self.alerts
            ],
        }
        test = {
            "rule_files": ["rules.yaml"],
            "evaluation_interval": f"{STEP}s",
            "tests": [group],
        }
        (self._folder / "test.yaml").write_text(yaml.safe_dump(test))
        self._promtool("test", "rules", "test.yaml")

    def _alert(self, name, labels):
        rule = self.alerts[name]
        return {"exp_labels": rule["labels"] | labels, "exp_annotations": rule["annotations"]}

    def _promtool(self, *args):
        result = subprocess.run(
            [str(locate_program("promtool")), *args],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout
