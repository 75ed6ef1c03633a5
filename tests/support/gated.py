# SPDX-License-Identifier: Apache-2.0
"""Objects of every kind that is gated, as somebody would write them."""

from cabgate.api.kinds import BUILT_IN

KINDS = {kind.kind: kind for kind in BUILT_IN}

ROLLOUT_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rollouts.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "names": {"kind": "Rollout", "plural": "rollouts", "singular": "rollout"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
"""As much of the definition of Argo Rollouts as the API server needs to store one."""


def template(images, app="web", restart=None, **spec):
    """A pod template that runs images."""
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    body = {"containers": containers, **spec}
    if restart:
        body["restartPolicy"] = restart
    return {"metadata": {"labels": {"app": app}}, "spec": body}


def gated(kind, namespace, name="web", images=("web:1",), **pod_spec):
    """An object of a kind, made so that its controller has nothing to do with it."""
    app = f"{name}-{kind.lower()}"  # or the controller of another kind adopts its Pods
    selector = {"matchLabels": {"app": app}}
    pods = template(images, app, **pod_spec)
    once = template(images, app, restart="Never", **pod_spec)
    content = {
        "Deployment": {"spec": {"replicas": 0, "selector": selector, "template": pods}},
        "StatefulSet": {
            "spec": {"replicas": 0, "selector": selector, "template": pods, "serviceName": name}
        },
        "DaemonSet": {"spec": {"selector": selector, "template": pods}},
        "ReplicaSet": {"spec": {"replicas": 0, "selector": selector, "template": pods}},
        "ReplicationController": {"spec": {"replicas": 0, "template": pods}},
        "Job": {"spec": {"suspend": True, "template": once}},
        "CronJob": {
            "spec": {
                "schedule": "0 0 1 1 *",
                "suspend": True,
                "jobTemplate": {"spec": {"template": once}},
            }
        },
        "Pod": {"spec": pods["spec"]},
        "PodTemplate": {"template": pods},
        "Rollout": {"spec": {"replicas": 0, "selector": selector, "template": pods}},
    }[kind]
    return {
        "apiVersion": KINDS[kind].api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        **content,
    }


def spec_path(kind):
    """The fields that lead to the spec of the pod template."""
    path = KINDS[kind].templates[0]
    return [*(path.split(".") if path else []), "spec"]


def pod_spec(kind, obj):
    """The spec of an object's pod template."""
    for field in spec_path(kind):
        obj = obj[field]
    return obj


def changed(kind, **fields):
    """A merge patch that sets fields of the spec of the pod template."""
    body = fields
    for field in reversed(spec_path(kind)):
        body = {field: body}
    return body


def url(kind, namespace, name=""):
    """Path of an object, or of all objects of its kind, in the API."""
    found = KINDS[kind]
    prefix = "/api/v1" if not found.group else f"/apis/{found.api_version}"
    path = f"{prefix}/namespaces/{namespace}/{found.resource}"
    return f"{path}/{name}" if name else path
