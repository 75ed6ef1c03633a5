# SPDX-License-Identifier: Apache-2.0
"""Whom Enforce would hit is counted by workload, within bounds."""

from prometheus_client import generate_latest

from cabgate_webhook.metrics import MAX_NOT_ENFORCED, Metrics

NAME = "cabgate_not_enforced_denials_total"


def value(metrics, namespace, workload, reason="NoRequest"):
    labels = {"namespace": namespace, "workload": workload, "reason": reason}
    return metrics.registry.get_sample_value(NAME, labels)


def test_a_denial_is_counted_by_namespace_and_workload():
    metrics = Metrics()
    metrics.not_enforced("shop", "deployment/web", "NoRequest")
    metrics.not_enforced("shop", "deployment/web", "NoRequest")
    metrics.not_enforced("shop", "", "LookupFailed")
    assert value(metrics, "shop", "deployment/web") == 2
    assert value(metrics, "shop", "other", "LookupFailed") == 1


def test_names_that_never_end_make_no_series_that_never_end():
    metrics = Metrics()
    for number in range(MAX_NOT_ENFORCED + 50):
        metrics.not_enforced("shop", f"pod/{number}", "NoRequest")
    metrics.not_enforced("shop", "pod/0", "NoRequest")
    text = generate_latest(metrics.registry).decode()
    series = [line for line in text.splitlines() if line.startswith(f"{NAME}{{")]
    assert len(series) == MAX_NOT_ENFORCED + 1
    assert value(metrics, "other", "other") == 50
    assert value(metrics, "shop", "pod/0") == 2
