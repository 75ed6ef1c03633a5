# SPDX-License-Identifier: Apache-2.0
"""The files that the demo's people apply: one workload, and an intent for each of its releases."""

from datetime import datetime
from typing import Any

import yaml

from cabgate import API_VERSION
from cabgate.text.moments import rfc3339
from cabgate_samples.objects import declared, naming, target

NAMESPACE = "shop"
IMAGE = "registry.example.com/shop/checkout"

STORE = "events.db"
"""The event store, in SQLite."""

GOOD: dict[str, Any] = {
    "artifacts": [{"name": "checkout", "uri": "https://builds.example.com/checkout/1041"}],
    "testResults": {"coveragePercent": 93.5, "passed": 812, "failed": 0, "skipped": 3},
    "scanResults": {"critical": 0, "high": 0, "medium": 2, "low": 9, "scanner": "trivy 0.66"},
    "manualTesting": {"status": "Completed", "by": "QA"},
    "rollbackPlan": {"validated": True, "uri": "https://wiki.example.com/checkout/rollback"},
    "deploymentPlan": {"uri": "https://wiki.example.com/checkout/rollout"},
    "scope": {"affectedComponents": 2},
}

MIDDLING: dict[str, Any] = {
    **GOOD,
    "testResults": {"coveragePercent": 84, "passed": 790, "failed": 0, "skipped": 25},
    "scanResults": {"critical": 0, "high": 3, "medium": 4, "low": 9, "scanner": "trivy 0.66"},
    "manualTesting": {"status": "NotStarted"},
}

BAD: dict[str, Any] = {
    "artifacts": [{"name": "checkout", "uri": "https://builds.example.com/checkout/1077"}],
    "testResults": {"coveragePercent": 71, "passed": 640, "failed": 2, "skipped": 80},
    "scanResults": {"critical": 1, "high": 4, "medium": 4, "low": 9, "scanner": "trivy 0.66"},
    "deploymentPlan": {"uri": "https://wiki.example.com/checkout/rollout"},
    "scope": {"affectedComponents": 6},
}


def about(version: str, evidence: dict[str, Any]) -> dict[str, Any]:
    """Evidence as the pipeline of a release writes it: about its image, with reports of its own."""
    reports = {
        part: {**evidence[part], "uri": f"https://builds.example.com/checkout/{version}/{part}"}
        for part in ("testResults", "scanResults")
    }
    return {**naming(evidence, [f"{IMAGE}:{version}"]), **reports}


def intent(version: str, summary: str, evidence: dict[str, Any], **spec: Any) -> str:
    """The intent of a release, as YAML."""
    targets = [target([f"{IMAGE}:{version}"], "checkout")]
    made = declared(NAMESPACE, "checkout", targets, about(version, evidence), **spec)
    return as_yaml({**made, "spec": {"summary": summary, **made["spec"]}})


def deployment(version: str) -> str:
    """The workload, as YAML."""
    labels = {"app": "checkout"}
    return as_yaml(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "checkout"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "checkout", "image": f"{IMAGE}:{version}"}]},
                },
            },
        }
    )


def policy(name: str, *, score_from: str, count: int) -> str:
    """A change policy that asks for so many people from a score on, as YAML."""
    rule = {"when": {"scoreFrom": score_from}, "count": count, "verb": "approve"}
    return as_yaml(of_the_cluster("ChangePolicy", name, {"version": "1", "approvals": [rule]}))


def freeze(name: str, begins: datetime, ends: datetime) -> str:
    """A freeze of the namespaces that carry a change policy, as YAML. Both times are in UTC."""
    interval = {"from": rfc3339(begins), "until": rfc3339(ends)}
    spec = {
        "kind": "Freeze",
        "title": "Stocktaking",
        "reason": "The shop counts what it has.",
        "intervals": [interval],
    }
    return as_yaml(of_the_cluster("ChangeFreeze", name, spec))


def of_the_cluster(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object of a kind without a namespace."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def forged_pod(owner: str, uid: str) -> str:
    """A Pod that claims to be made by a ReplicaSet, as YAML."""
    reference = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": owner,
        "uid": uid,
        "controller": True,
    }
    return as_yaml(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"{owner}-forged", "ownerReferences": [reference]},
            "spec": {"containers": [{"name": "checkout", "image": f"{IMAGE}:1.1-debug"}]},
        }
    )


def as_yaml(value: object) -> str:
    """An object as YAML."""
    return yaml.safe_dump(value, sort_keys=False, width=100)
