# SPDX-License-Identifier: Apache-2.0
"""Objects as a team would write them."""

import hashlib

API_VERSION = "cabgate.dev/v1alpha1"

GOOD = {
    "artifacts": [{"name": "web"}],
    "testResults": {"coveragePercent": 95, "passed": 10, "failed": 0},
    "scanResults": {"critical": 0, "high": 0},
    "manualTesting": {"status": "Completed"},
    "rollbackPlan": {"validated": True, "uri": "https://example.com/back"},
    "deploymentPlan": {"uri": "https://example.com/forward"},
    "scope": {"affectedComponents": 1},
}
"""Score 0.00: AutoApprove."""

MIDDLING = {
    **GOOD,
    "testResults": {"coveragePercent": 85, "passed": 10, "failed": 0},
    "scanResults": {"critical": 0, "high": 3},
    "manualTesting": {"status": "NotStarted"},
}
"""Score 52.50: ManualReview."""

BAD = {}
"""Score 100.00: ExceptionRequired."""


def target(images, name="web", kind="Deployment", api_version="apps/v1"):
    return {"apiVersion": api_version, "kind": kind, "name": name, "images": list(images)}


def about(evidence, targets):
    """Evidence as a pipeline writes it for some targets: its artifacts name their images, and its
    reports are their own. What a test says of either stays, and so does what is missing."""
    images = sorted({image for each in targets for image in each["images"]})
    release = hashlib.sha256("\n".join(images).encode()).hexdigest()[:12]
    own = dict(evidence)
    artifacts = evidence.get("artifacts")
    if artifacts and not any("images" in artifact for artifact in artifacts):
        own["artifacts"] = [{**artifacts[0], "images": images}, *artifacts[1:]]
    for part in ("testResults", "scanResults"):
        report = evidence.get(part)
        if report and not {"uri", "sha256"} & report.keys():
            own[part] = {**report, "uri": f"https://ci.example.com/{release}/{part}"}
    return own


def intent(namespace, *, name="web", images=("web:1",), evidence=GOOD, targets=None, **spec):
    """An intent whose evidence is about its images, see `about`."""
    targets = targets or [target(images)]
    return {
        "apiVersion": API_VERSION,
        "kind": "DeploymentIntent",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targets": targets, "evidence": about(evidence, targets), **spec},
    }


def exception(namespace, request, *, name="leave", controls=("a feature flag",), **spec):
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


def workload(namespace, *, name="web", kind="Deployment", images=("web:1",), labels=None):
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    spec = {
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
