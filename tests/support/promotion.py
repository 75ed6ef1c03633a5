# SPDX-License-Identifier: Apache-2.0
"""Rings that come one after the other: policies, outcomes and requests, as tests need them."""

from datetime import timedelta

from cabgate.api import ChangePolicy, RolloutOutcome
from cabgate.api.base import rfc3339
from cabgate.lifecycle.limits.promotion import EarlierRings
from cabgate_samples.models import NAMESPACE, NOW, by_person, intent, request, rollout, target
from cabgate_samples.objects import API_VERSION, MIDDLING
from support.policies import change_policy

IMAGE = "registry.example.com/shop/checkout:1.4.2@sha256:" + "a" * 64
OTHER_IMAGE = "registry.example.com/shop/checkout:1.4.2@sha256:" + "b" * 64
TEMPLATE = "r1:sha256:" + "c" * 64
OTHER_TEMPLATE = "r1:sha256:" + "d" * 64
RELEASE = "shop"
DAY = timedelta(days=1)


def row(ring=3, begins=2, soak="72h", namespaces=(), **more):
    """A row of promotion: by default 72 h in ring 2, two Pods, 99 % of them, no incident."""
    found = {"ring": ring, "from": begins, "soak": soak, "successPercent": "99.00"}
    found |= {"minPods": 2, "incidents": 0}
    if namespaces:
        found["namespaceSelector"] = in_namespaces(*namespaces)
    return {**found, **more}


def in_namespaces(*names):
    """A selector of namespaces by their names."""
    term = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(names)}
    return {"matchExpressions": [term]}


def policy(*rows, name="board"):
    """A change policy with rows of promotion; of who approves it asks nothing else than none."""
    rule = {"when": {"scoreFrom": "75.01"}, "count": 1, "verb": "approve"}
    return ChangePolicy.model_validate(change_policy(name, rule, promotion=list(rows) or [row()]))


def promoted(
    *decisions,
    rows=(),
    gate="ManualReview",
    release=RELEASE,
    images=(IMAGE,),
    middling=MIDDLING,
    **more,
):
    """A request of a release under a policy with rows; approved, unless decisions say otherwise."""
    evidence = middling if gate == "ManualReview" else None if gate == "AutoApprove" else {}
    said = {} if release is None else {"release": release}
    of = intent(evidence, [target("checkout", *images)], **said)
    made = [by_person("Approved")] if gate == "ManualReview" and not decisions else decisions
    return request(gate, *made, of=of, policy=policy(*rows), **more)


def outcome(
    ran=4 * DAY,
    *,
    ring=2,
    namespace="shop-2",
    name="checkout",
    pods=(2, 0),
    incidents=0,
    interrupted=(),
    result=None,
    images=(IMAGE,),
    template=TEMPLATE,
    release=RELEASE,
    kind="Deployment",
    ended=NOW,
):
    """What became of a release in a ring: by default it has run for four days, and does still."""
    status = {
        "interruptions": list(interrupted),
        "pods": {"seen": pods[0], "failed": pods[1]},
        "incidents": [_incident(number) for number in range(incidents)],
    }
    if result is not None:
        status |= {"result": result, "endedAt": rfc3339(ended)}
    metadata = {"name": f"{name}-{rfc3339(NOW - ran).lower().replace(':', '')}"}
    metadata |= {"namespace": namespace, "creationTimestamp": rfc3339(NOW - ran)}
    metadata["labels"] = {"cabgate.dev/release": release}
    spec = {
        "target": {"apiVersion": "apps/v1", "kind": kind, "name": name},
        "images": list(images),
        "template": template,
        "release": release,
        "ring": ring,
        "intentName": "checkout",
    }
    return RolloutOutcome.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "RolloutOutcome",
            "metadata": metadata,
            "spec": spec,
            "status": status,
        }
    )


def _incident(number):
    found = {"id": f"INC-{number}", "severity": 2, "source": "alertmanager"}
    return {**found, "at": rfc3339(NOW - timedelta(hours=1)), "by": "alertmanager"}


def interruption(begins, ends=None, reason="Unavailable"):
    """One that began so long ago, and ended, if it did."""
    until = {} if ends is None else {"until": rfc3339(NOW - ends)}
    return {"from": rfc3339(NOW - begins), "reason": reason, **until}


def running(made, available=2, created=NOW - 30 * DAY, generation=1):
    """A Deployment as it is stored where so many of its Pods are available."""
    metadata = {**made["metadata"], "uid": "u-2", "generation": 1}
    metadata["creationTimestamp"] = rfc3339(created)
    status = {"observedGeneration": generation, "replicas": 2, "updatedReplicas": 2}
    return {**made, "metadata": metadata, "status": {**status, "availableReplicas": available}}


def rings(*outcomes, template=TEMPLATE):
    """What is known of the rings before."""
    return EarlierRings({RELEASE: list(outcomes)}, template)


def of_release(*images, kind="Deployment", name="checkout", namespace=NAMESPACE):
    """A rollout of the release."""
    return rollout(*(images or (IMAGE,)), kind=kind, name=name, namespace=namespace)
