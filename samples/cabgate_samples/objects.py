# SPDX-License-Identifier: Apache-2.0
"""Objects as a team would write them."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from cabgate import API_VERSION

Object = dict[str, Any]

GOOD: Object = {
    "artifacts": [{"name": "web"}],
    "testResults": {"coveragePercent": 95, "passed": 10, "failed": 0},
    "scanResults": {"critical": 0, "high": 0},
    "manualTesting": {"status": "Completed"},
    "rollbackPlan": {"validated": True, "uri": "https://example.com/back"},
    "deploymentPlan": {"uri": "https://example.com/forward"},
    "scope": {"affectedComponents": 1},
}
"""Evidence of score 0.00: AutoApprove."""

MIDDLING: Object = {
    **GOOD,
    "testResults": {"coveragePercent": 85, "passed": 10, "failed": 0},
    "scanResults": {"critical": 0, "high": 3},
    "manualTesting": {"status": "NotStarted"},
}
"""Evidence of score 52.50: ManualReview."""

BAD: Object = {}
"""Evidence of score 100.00: ExceptionRequired."""

OF_TIER: Mapping[str, Object] = {
    "AutoApprove": GOOD,
    "ManualReview": MIDDLING,
    "ExceptionRequired": BAD,
}


def target(
    images: Iterable[str],
    name: str = "web",
    kind: str = "Deployment",
    api_version: str = "apps/v1",
) -> Object:
    """A target of an intent, with the images that it is to run."""
    return {"apiVersion": api_version, "kind": kind, "name": name, "images": list(images)}


def naming(evidence: Object, images: Iterable[str]) -> Object:
    """Evidence whose first artifact names images, unless an artifact names any or there is none."""
    artifacts = evidence.get("artifacts") or []
    if not artifacts or any("images" in artifact for artifact in artifacts):
        return evidence
    named = {**artifacts[0], "images": sorted(set(images))}
    return {**evidence, "artifacts": [named, *artifacts[1:]]}


def images_of(targets: Iterable[Object]) -> list[str]:
    """Every image of some targets, once."""
    return sorted({image for each in targets for image in each["images"]})


def about(evidence: Object, targets: Iterable[Object]) -> Object:
    """Evidence as a pipeline writes it for some targets: its artifacts name their images, and its
    reports are their own. What a test says of either stays, and so does what is missing."""
    images = images_of(targets)
    release = hashlib.sha256("\n".join(images).encode()).hexdigest()[:12]
    own = dict(naming(evidence, images))
    for part in ("testResults", "scanResults"):
        report = evidence.get(part)
        if report and not {"uri", "sha256"} & report.keys():
            own[part] = {**report, "uri": f"https://ci.example.com/{release}/{part}"}
    return own


def declared(
    namespace: str, name: str, targets: list[Object], evidence: Object, **spec: Any
) -> Object:
    """An intent of targets and evidence as they are given."""
    return {
        "apiVersion": API_VERSION,
        "kind": "DeploymentIntent",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targets": targets, "evidence": evidence, **spec},
    }


def intent(
    namespace: str,
    *,
    name: str = "web",
    images: Iterable[str] = ("web:1",),
    evidence: Object = GOOD,
    targets: list[Object] | None = None,
    **spec: Any,
) -> Object:
    """An intent whose evidence is about its images, see `about`."""
    targets = targets or [target(images)]
    return declared(namespace, name, targets, about(evidence, targets), **spec)


def exception(
    namespace: str,
    request: str,
    *,
    name: str = "leave",
    controls: Iterable[str] = ("a feature flag",),
    **spec: Any,
) -> Object:
    """An exception for a request, with what compensates for it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "CABException",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "requestRef": {"name": request},
            "reason": "the fix cannot wait",
            "compensatingControls": list(controls),
            **spec,
        },
    }


def workload(
    namespace: str,
    *,
    name: str = "web",
    kind: str = "Deployment",
    images: Iterable[str] = ("web:1",),
    labels: dict[str, str] | None = None,
) -> Object:
    """A workload of the group apps, with a container for each image."""
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    spec: Object = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": containers},
        },
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": spec,
    }
