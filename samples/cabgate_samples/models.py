# SPDX-License-Identifier: Apache-2.0
"""Objects as models of the domain: valid ones, of which a test says what matters to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cabgate.api import CABException, CABRequest, ChangePolicy, DeploymentIntent, Evidence
from cabgate.api.base import rfc3339
from cabgate.api.conditions import StatusCondition
from cabgate.lifecycle.requests.break_glass import ANNOTATION, STAMPS, breakable, requests_for_glass
from cabgate.lifecycle.requests.opening import request_for
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate_samples.decisions import entry, numbered
from cabgate_samples.objects import GOOD, OF_TIER, declared, images_of, naming

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NAMESPACE = "shop"
IMAGE = "registry.example.com/shop/checkout:1.4.2"
OTHER_DIGEST = "v1:sha256:" + "0" * 64


def evidence(**parts: Any) -> Evidence:
    """Good evidence with parts replaced; None leaves a part out."""
    merged = {**GOOD, **parts}
    return Evidence.model_validate({k: v for k, v in merged.items() if v is not None})


def target(name: str = "checkout", *images: str, **fields: str) -> dict[str, Any]:
    """A target of the group apps; fields replace what it has."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": name,
        "images": list(images) or [IMAGE],
        **fields,
    }


def intent(
    evidence: dict[str, Any] | None = None,
    targets: list[dict[str, Any]] | None = None,
    *,
    name: str = "checkout",
    namespace: str = NAMESPACE,
    status: dict[str, Any] | None = None,
    generation: int = 1,
    named: bool = True,
    **spec: Any,
) -> DeploymentIntent:
    """An intent whose evidence names its images, unless a test is about evidence that does not."""
    targets = targets or [target()]
    evidence = GOOD if evidence is None else evidence
    said = naming(evidence, images_of(targets)) if named else evidence
    made = declared(namespace, name, targets, said, **spec)
    made["metadata"] |= {"uid": "u-1", "generation": generation}
    return DeploymentIntent.model_validate({**made, "status": status or {}})


def request(
    gate: str = "ManualReview",
    *decisions: dict[str, Any],
    targets: list[dict[str, Any]] | None = None,
    name: str | None = None,
    namespace: str = NAMESPACE,
    age: timedelta = timedelta(hours=1),
    of: DeploymentIntent | None = None,
    others: Sequence[CABRequest] = (),
    policy: ChangePolicy | None = None,
) -> CABRequest:
    """A request of a gate with the decisions given, numbered in the order given; under a change
    policy, if one is given."""
    made = request_for(
        of or intent(OF_TIER[gate], targets, namespace=namespace),
        ring=2,
        others=[WholeRequest.of(each).standing for each in others],
        policy=policy,
    ).model_dump(mode="json", by_alias=True)
    made["metadata"]["creationTimestamp"] = rfc3339(NOW - age)
    if name is not None:
        made["metadata"]["name"] = name
    digest = made["spec"]["evidenceDigest"]
    made["status"] = {"decisions": numbered(decisions, digest)}
    found = CABRequest.model_validate(made)
    if of is None and found.spec.assessment.gate != gate:
        raise ValueError(f"the evidence is not of the tier {gate}")
    return found


def noticed(found: CABRequest, holds: bool = True) -> CABRequest:
    """A request of which the operator says whether it noticed that it is decided."""
    condition = StatusCondition(
        type="Decided",
        status="True" if holds else "False",
        last_transition_time=NOW,
        reason="X",
        message="",
    )
    status = found.status.model_copy(update={"conditions": [condition]})
    return found.model_copy(update={"status": status})


def newer(made: CABRequest, *words: str) -> CABRequest:
    """A request as a newer release opened it, which rests on rules of its own."""
    return made.model_copy(update={"spec": made.spec.model_copy(update={"requires": list(words)})})


def retrospective(
    *decisions: dict[str, Any],
    why: str = "INC-1: the shop is down",
    by: str = "ann",
    images: Sequence[str] = (IMAGE,),
    identity: str = "deployments/7",
) -> CABRequest:
    """The request of a broken glass, with the decisions given."""
    return opened_for(broken_workload(why, by, identity, images), *decisions)


def opened_for(obj: dict[str, Any], *decisions: dict[str, Any]) -> CABRequest:
    """The request of a Deployment whose glass was broken, with the decisions given."""
    kind = breakable("apps/v1", "Deployment")
    if kind is None:
        raise ValueError("a Deployment cannot be broken through")
    made = requests_for_glass(kind, obj)[0]
    stored = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    stored["metadata"]["creationTimestamp"] = rfc3339(NOW - timedelta(hours=1))
    stored["status"] = {"decisions": numbered(decisions, made.spec.evidence_digest)}
    return CABRequest.model_validate(stored)


def broken_workload(
    why: str | None = "INC-1: the shop is down",
    by: str = "ann",
    identity: str = "deployments/7",
    images: Sequence[str] = ("web:9",),
    uid: str = "u-1",
    ring: str = "2",
    name: str = "checkout",
    namespace: str = NAMESPACE,
) -> dict[str, Any]:
    """A Deployment whose glass was broken; an empty stamp is left out."""
    stamps = dict(zip((ANNOTATION, *STAMPS), (why, by, identity, ring), strict=True))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "annotations": {key: value for key, value in stamps.items() if value},
        },
        "spec": {"template": {"spec": {"containers": [{"image": image} for image in images]}}},
    }


def exception(
    of: CABRequest,
    *decisions: dict[str, Any],
    name: str = "leave",
    days: int = 30,
    age: timedelta = timedelta(hours=1),
    constraints: dict[str, Any] | None = None,
    needed: int | None = None,
) -> CABException:
    """An exception for a request that needs so many approvals, with the decisions given, numbered
    in the order given."""
    return CABException.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": of.metadata.namespace,
                "creationTimestamp": rfc3339(NOW - age),
            },
            "spec": {
                "requestRef": {"name": of.metadata.name},
                "reason": "outage",
                "compensatingControls": ["watched"],
                "durationDays": days,
                **({"constraints": constraints} if constraints else {}),
                **({"approvalsNeeded": needed} if needed else {}),
            },
            "status": {"decisions": numbered(decisions, of.spec.evidence_digest)},
        }
    )


def by_person(
    verdict: str, at: datetime = NOW - timedelta(minutes=30), **more: Any
) -> dict[str, Any]:
    """What a reviewer decided; it has no number yet."""
    return entry("Person", "rita", verdict, at, **{"rationale": "because", **more})


def by_system(
    verdict: str, at: datetime = NOW - timedelta(minutes=30), **more: Any
) -> dict[str, Any]:
    """What the operator decided; it has no number yet."""
    name = "system:serviceaccount:cabgate:operator"
    return entry("System", name, verdict, at, **{"rationale": "because", **more})


def rollout(*images: str, name: str = "checkout", namespace: str = NAMESPACE, group: str = "apps",
            kind: str = "Deployment") -> Rollout:  # fmt: skip
    """A rollout of images by a workload."""
    return Rollout(namespace, Workload(group, kind, name), images or (IMAGE,))
