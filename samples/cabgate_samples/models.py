# SPDX-License-Identifier: Apache-2.0
"""Objects for the tests of the domain: valid ones, of which a test says what matters to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cabgate.api import CABException, CABRequest, DeploymentIntent, Evidence
from cabgate.api.base import rfc3339
from cabgate.api.types import Condition
from cabgate.lifecycle.requests.break_glass import ANNOTATION, STAMPS, breakable, requests_for_glass
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from unit.core.standings import request_for

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NAMESPACE = "shop"
IMAGE = "registry.example.com/shop/checkout:1.4.2"
OTHER_DIGEST = "v1:sha256:" + "0" * 64

BEST: dict[str, Any] = {
    "artifacts": [{"name": "checkout", "uri": "https://ci.example.com/1"}],
    "testResults": {"coveragePercent": 95, "passed": 100, "failed": 0},
    "scanResults": {"critical": 0, "high": 0},
    "manualTesting": {"status": "Completed"},
    "rollbackPlan": {"validated": True, "uri": "https://wiki.example.com/back"},
    "deploymentPlan": {"uri": "https://wiki.example.com/forward"},
    "scope": {"affectedComponents": 1},
}
"""Complete evidence that scores 0."""

MEDIUM: dict[str, Any] = {
    **BEST,
    "testResults": {"coveragePercent": 70, "passed": 100, "failed": 0},
    "scanResults": {"critical": 0, "high": 3},
    "scope": {"affectedComponents": 7},
}
"""Complete evidence that scores 60: 25 + 25 + 10."""

GATE_EVIDENCE: dict[str, dict[str, Any]] = {
    "AutoApprove": BEST,
    "ManualReview": MEDIUM,
    "ExceptionRequired": {},
}


def naming(evidence: dict[str, Any], targets: list[dict[str, Any]]) -> dict[str, Any]:
    """Evidence whose first artifact names every image of some targets, if no artifact names any."""
    artifacts = evidence.get("artifacts") or []
    if not artifacts or any("images" in artifact for artifact in artifacts):
        return evidence
    images = sorted({image for each in targets for image in each["images"]})
    return {**evidence, "artifacts": [{**artifacts[0], "images": images}, *artifacts[1:]]}


def evidence(**parts: Any) -> Evidence:
    """The best evidence with parts replaced; None leaves a part out."""
    merged = {**BEST, **parts}
    return Evidence.model_validate({k: v for k, v in merged.items() if v is not None})


def target(name: str = "checkout", *images: str, **fields: str) -> dict[str, Any]:
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
    evidence = BEST if evidence is None else evidence
    return DeploymentIntent.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": "u-1",
                "generation": generation,
            },
            "spec": {
                "targets": targets,
                "evidence": naming(evidence, targets) if named else evidence,
                **spec,
            },
            "status": status or {},
        }
    )


def request(
    gate: str = "ManualReview",
    *decisions: dict[str, Any],
    targets: list[dict[str, Any]] | None = None,
    name: str | None = None,
    namespace: str = NAMESPACE,
    age: timedelta = timedelta(hours=1),
    of: DeploymentIntent | None = None,
    others: Sequence[CABRequest] = (),
) -> CABRequest:
    """A request of a gate with the decisions given, numbered in the order given."""
    made = request_for(
        of or intent(GATE_EVIDENCE[gate], targets, namespace=namespace),
        ring=2,
        others=others,
    ).model_dump(mode="json", by_alias=True)
    made["metadata"]["creationTimestamp"] = rfc3339(NOW - age)
    if name is not None:
        made["metadata"]["name"] = name
    digest = made["spec"]["evidenceDigest"]
    made["status"] = {"decisions": numbered(decisions, digest)}
    found = CABRequest.model_validate(made)
    assert found.spec.assessment.gate == gate or of is not None
    return found


def noticed(found: CABRequest, holds: bool = True) -> CABRequest:
    """A request of which the operator says whether it noticed that it is decided."""
    condition = Condition(
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
    assert kind is not None
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
) -> CABException:
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
            },
            "status": {"decisions": numbered(decisions, of.spec.evidence_digest)},
        }
    )


def numbered(decisions: tuple[dict[str, Any], ...], digest: str) -> list[dict[str, Any]]:
    return [
        {"sequence": n, "evidenceDigest": digest, **decision}
        for n, decision in enumerate(decisions, 1)
    ]


def by_person(
    verdict: str, at: datetime = NOW - timedelta(minutes=30), **more: Any
) -> dict[str, Any]:
    return _entry("Person", "rita", verdict, at, more)


def by_system(
    verdict: str, at: datetime = NOW - timedelta(minutes=30), **more: Any
) -> dict[str, Any]:
    return _entry("System", "system:serviceaccount:cabgate:operator", verdict, at, more)


def _entry(
    kind: str, username: str, verdict: str, at: datetime, more: dict[str, Any]
) -> dict[str, Any]:
    return {
        "author": {"type": kind, "username": username},
        "at": rfc3339(at),
        "verdict": verdict,
        "rationale": "because",
        **more,
    }


def rollout(*images: str, name: str = "checkout", namespace: str = NAMESPACE, group: str = "apps",
            kind: str = "Deployment") -> Rollout:  # fmt: skip
    return Rollout(namespace, Workload(group, kind, name), images or (IMAGE,))
