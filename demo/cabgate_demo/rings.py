# SPDX-License-Identifier: Apache-2.0
"""The scene in which a release goes from ring to ring."""

import json
from datetime import UTC, datetime
from typing import Any

from cabgate.text.moments import rfc3339
from cabgate_demo import files
from cabgate_demo.commands import as_json
from cabgate_demo.stage import Stage
from cabgate_devcluster import wait_until
from cabgate_samples.objects import declared, naming, target

PILOT, LIVE = "shop-pilot", "shop-live"
"""The namespaces, of ring 2 and of ring 3."""

POLICY = "ring-after-ring"
SOAK = "10s"
IMAGE = f"registry.example.com/shop/basket:2.0@sha256:{'7c' * 32}"
NAME = "basket"


def promotion(stage: Stage) -> None:
    """Roll a release out in ring 2, and in ring 3 once it has soaked there."""
    for namespace in (PILOT, LIVE):
        stage.file(f"{namespace}.yaml", _intent(namespace))
    stage.file("basket.yaml", _deployment())
    stage.file("rings.yaml", _policy())
    stage.scene(
        "Ring 3 waits for ring 2",
        story=f"Namespace {PILOT} is of ring 2, {LIVE} of ring 3, where a change policy wants a "
        f"release to have run in the first for {SOAK}, in one Pod at least and without an incident."
        " Days are what a board asks for; the demo has seconds.",
    )
    stage.passes("admin", "kubectl apply -f rings.yaml", "created")
    label = f"kubectl label namespace {LIVE} cabgate.dev/change-policy={POLICY}"
    stage.passes("admin", label, "labeled")
    for namespace in (PILOT, LIVE):
        stage.passes("requester", f"kubectl apply -f {namespace}.yaml", "created")
        waits = f"kubectl get deploymentintent -n {namespace}"
        stage.until("requester", waits, "AutoApproved")
    rolls_out = f"kubectl apply -n {LIVE} -f basket.yaml"
    stage.refused("requester", rolls_out, "PreviousRingPending", "has not run in ring 2")
    stage.passes("requester", f"kubectl apply -n {PILOT} -f basket.yaml", "created")
    _start_pods(stage)
    outcomes = f"kubectl get rolloutoutcomes -n {PILOT}"
    stage.until("requester", outcomes, NAME)
    fields = "jsonpath={.items[0].metadata.name}"
    request = stage.quietly("admin", f"kubectl get cabrequest -n {LIVE} -o {fields}")
    stage.eventually("requester", rolls_out, "created")
    stage.passes("admin", f"kubectl cab show {request} -n {LIVE}", "after ring 2: Promoted")


def _start_pods(stage: Stage) -> None:
    """Say of the Pods that they run and are ready: this cluster has no node."""
    listed = f"kubectl get pods -n {PILOT} -l app={NAME} -o json"

    def pods() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(stage.quietly("admin", listed))["items"]
        return found

    for pod in wait_until(pods, timeout=60.0, what="the Pods are there"):
        now = rfc3339(datetime.now(UTC))
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        status = {"status": {"phase": "Running", "conditions": [ready]}}
        name = pod["metadata"]["name"]
        stage.quietly(
            "admin",
            f"kubectl patch pod {name} -n {PILOT} --subresource=status --type=merge "
            f"-p '{as_json(status)}'",
        )


def _intent(namespace: str) -> str:
    targets = [target([IMAGE], NAME)]
    evidence = naming(files.GOOD, [IMAGE])
    return files.as_yaml(declared(namespace, NAME, targets, evidence, release="shop"))


def _deployment() -> str:
    container = {
        "name": NAME,
        "image": IMAGE,
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }
    labels = {"app": NAME}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return files.as_yaml(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
    )


def _policy() -> str:
    name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [PILOT]}
    row = {
        "ring": 3,
        "from": 2,
        "soak": SOAK,
        "successPercent": "99.00",
        "minPods": 1,
        "incidents": 0,
        "namespaceSelector": {"matchExpressions": [name]},
    }
    rule = {"when": {"scoreFrom": "50.01"}, "count": 1, "verb": "approve"}
    spec = {"version": "1", "approvals": [rule], "promotion": [row]}
    return files.as_yaml(files.of_the_cluster("ChangePolicy", POLICY, spec))
