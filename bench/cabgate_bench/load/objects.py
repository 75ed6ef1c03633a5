# SPDX-License-Identifier: Apache-2.0
"""What the load consists of: Deployments of about 6 KB, admission requests about them, intents,
requests."""

import json
from typing import Any

from cabgate import API_VERSION
from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.opening import request_for
from cabgate.rollout.targets import Workload
from cabgate_samples import objects
from cabgate_samples.decisions import entry, numbered
from cabgate_samples.objects import about

IMAGE = "registry.example.com/shop/web@sha256:" + "4" * 64
"""The image that is approved."""

GOOD = about(objects.GOOD, [objects.target([IMAGE])])
"""Evidence that is approved by its score."""

MIDDLING = about(objects.MIDDLING, [objects.target([IMAGE])])
"""Evidence that waits for a person."""


def target(name: str) -> dict[str, Any]:
    """The target that a Deployment of this benchmark is."""
    return objects.target([IMAGE], name)


def intent(namespace: str, name: str, evidence: dict[str, Any]) -> dict[str, Any]:
    """An intent for the Deployment of the same name."""
    return objects.declared(namespace, name, [target(name)], evidence)


def deployment(namespace: str, name: str, marker: str = "") -> dict[str, Any]:
    """A Deployment of about 6 KB without replicas, as many fields long as real ones are."""
    env = [{"name": f"SETTING_{n:02}", "value": f"value {marker} " + "v" * 40} for n in range(40)]
    container = {
        "name": "web",
        "image": IMAGE,
        "env": env,
        "ports": [{"containerPort": 8080}],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m"}},
        "volumeMounts": [{"name": f"v{n}", "mountPath": f"/var/lib/v{n}"} for n in range(8)],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": name},
            "annotations": {f"example.com/note-{n}": "n" * 60 for n in range(12)},
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": f"v{n}", "emptyDir": {}} for n in range(8)],
                },
            },
        },
    }


def admission_request(namespace: str, name: str) -> str:
    """The AdmissionReview about the creation of a Deployment, as the API server sends it."""
    group = {"group": "apps", "version": "v1"}
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {**group, "kind": "Deployment"},
        "resource": {**group, "resource": "deployments"},
        "requestKind": {**group, "kind": "Deployment"},
        "requestResource": {**group, "resource": "deployments"},
        "name": name,
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "alice", "groups": ["team", "system:authenticated"]},
        "object": deployment(namespace, name),
        "oldObject": None,
        "dryRun": True,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]},
    }
    body = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    return json.dumps(body)


def request(namespace: str, name: str, evidence: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request as the operator makes it, for the Deployment of a name; without other evidence one
    that is approved by its score."""
    made = request_for(
        DeploymentIntent.model_validate(
            {
                **intent(namespace, name, GOOD if evidence is None else evidence),
                "metadata": {"name": name, "namespace": namespace, "uid": "u", "generation": 1},
            }
        ),
        ring=2,
    ).to_dict()
    labels = {Workload("apps", "Deployment", name).label: ""}
    made["metadata"]["labels"] = {**made["metadata"].get("labels", {}), **labels}
    return {"apiVersion": API_VERSION, "kind": "CABRequest", **made}


def approved(stored: dict[str, Any], at: str) -> dict[str, Any]:
    """A request with the operator's approval in its status."""
    approval = entry("System", "system:serviceaccount:bench:operator", "AutoApproved", at)
    decisions = numbered([approval], stored["spec"]["evidenceDigest"])
    return {**stored, "status": {"state": "AutoApproved", "decisions": decisions}}
