# SPDX-License-Identifier: Apache-2.0
"""Pods as a node would have them: ready, or crashed, by writes of `pods/status`."""

import datetime

from cabgate_devcluster import wait_until

MERGE = "application/merge-patch+json"


def pods_of(gate, namespace, image, count):
    """The Pods of an image that nobody deletes, once there are so many."""

    def found():
        pods = [
            pod
            for pod in gate.items("pods", namespace)
            if pod["spec"]["containers"][0]["image"] == image
            and not pod["metadata"].get("deletionTimestamp")
        ]
        return pods if len(pods) == count else None

    return wait_until(found, f"{count} Pods of {image}")


def set_ready(gate, pod, ready=True, **container):
    """Say of a Pod that it is ready or is not; `container` is of the status of its container."""
    at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("Initialized", "ContainersReady", "Ready")
    status = {
        "phase": "Running",
        "conditions": [
            {"type": each, "status": str(ready), "lastTransitionTime": at} for each in kinds
        ],
        "containerStatuses": [
            {
                "name": pod["spec"]["containers"][0]["name"],
                "ready": ready,
                "restartCount": 1 if container else 0,
                "image": pod["spec"]["containers"][0]["image"],
                "imageID": "",
                **container,
            }
        ],
    }
    api = gate.cluster.api
    path = api.path("pods", pod["metadata"]["namespace"])
    where = f"{path}/{pod['metadata']['name']}/status"
    api.call("PATCH", where, {"status": status}, content_type=MERGE)


CRASHED = {"lastState": {"terminated": {"exitCode": 137, "reason": "Error"}}}
"""Of the status of a container that ended with an error."""
