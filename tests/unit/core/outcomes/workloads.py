# SPDX-License-Identifier: Apache-2.0
"""Workloads and Pods as the API server stores them, for tests of outcomes."""

from cabgate.outcomes.running import outcome_kind, running_workload
from unit.core.outcomes.outcomes import IMAGE, stamp

UID = "web-uid"


def template_of(image=IMAGE, command=None):
    container = {"name": "web", "image": image, "readinessProbe": {"httpGet": {"port": 80}}}
    return {"spec": {"containers": [container | ({"command": command} if command else {})]}}


def deployment(image=IMAGE, replicas=2, available=None, updated=None, old=0, **more):
    """A Deployment of which so many Pods are available, all unless it is said."""
    available = replicas if available is None else available
    updated = replicas if updated is None else updated
    return {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": UID,
            "generation": more.pop("generation", 3),
            "creationTimestamp": stamp(more.pop("created", -100)),
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template_of(image, more.pop("command", None)),
        },
        "status": {
            "observedGeneration": 3,
            "replicas": updated + old,
            "updatedReplicas": updated,
            "availableReplicas": available,
        },
    }


def running(*args, **more):
    return running_workload(outcome_kind("apps", "Deployment"), deployment(*args, **more))


def pod(name, *, ready=True, since=0, image=IMAGE, probe=True, **status):
    """A Pod of the Deployment, or with `owner` of another."""
    container = {"name": "web", "image": image}
    if probe:
        container["readinessProbe"] = {"httpGet": {"port": 80}}
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": stamp(since)}
    owner = status.pop("owner", {"kind": "ReplicaSet", "name": "web-7d4b9c6f5d"})
    metadata["ownerReferences"] = [{"controller": True, "uid": "rs-uid", **owner}]
    if status.pop("deleting", False):
        metadata["deletionTimestamp"] = stamp(since)
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    condition["lastTransitionTime"] = stamp(since)
    return {
        "metadata": metadata,
        "spec": {"containers": [container, *status.pop("beside", [])]},
        "status": {"conditions": [condition], **status},
    }


def crashed(code=1):
    """The statuses of a container that ended with an error and runs again."""
    return [{"name": "web", "restartCount": 1, "lastState": {"terminated": {"exitCode": code}}}]
