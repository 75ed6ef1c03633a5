# SPDX-License-Identifier: Apache-2.0
"""Every door by which a label is written."""

import contextlib
import json

from support.gated import KINDS, gated, url

GUARDED, ELSEWHERE, STANDING, FREE = "guarded", "elsewhere", "standing", "free"
COPIES = "copies"


ROBOT = f"system:serviceaccount:{GUARDED}:robot"


WORKLOADS = list(KINDS)


PATHS = ["Namespace", *WORKLOADS]


SUBRESOURCES = {
    "Namespace": ["status", "finalize"],
    "Pod": ["status", "ephemeralcontainers", "resize"],
    "PodTemplate": [],
}


"""Besides the object itself; a workload has `status` where nothing else stands here."""


BLIND = {
    ("Deployment", "status"),
    ("Rollout", "status"),
    ("Pod", "ephemeralcontainers"),
    ("Pod", "resize"),
}


"""Doors that take no labels: the API server passes the write and keeps the label."""


PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
    "replace": "application/json",
}


def made(namespace, kind, name="", labels=None):
    """A workload of any kind, with labels of its own."""
    obj = gated(kind, namespace, name or kind.lower())
    obj["metadata"]["labels"] |= labels or {}
    return obj


def path_of(obj, sub=""):
    metadata = obj["metadata"]
    if obj["kind"] == "Namespace":
        path = f"/api/v1/namespaces/{metadata['name']}"
    else:
        path = url(obj["kind"], metadata["namespace"], metadata["name"])
    return f"{path}/{sub}" if sub else path


def doors(kinds=tuple(PATHS)):
    """Every way to write an object's labels: kind, subresource, patch type."""
    for kind in kinds:
        for sub in ["", *SUBRESOURCES.get(kind, ["status"])]:
            for patch in ["replace"] if sub == "finalize" else PATCHES:
                if (kind, patch) != ("Rollout", "strategic"):
                    yield kind, sub, patch


def write(client, obj, sub, patch, labels):
    """The answer to a dry run that sets some labels of an object, or takes them away (None)."""
    path = path_of(obj, sub)
    headers = {"Content-Type": PATCHES[patch]}
    params = {"dryRun": "All"}
    if patch == "apply":
        # Forced: the labels are another manager's. Apply takes away only what is its own.
        params |= {"fieldManager": "gitops", "force": "true"}
        body = {key: obj[key] for key in ("apiVersion", "kind")}
        body["metadata"] = {"name": obj["metadata"]["name"], "labels": labels}
    elif patch == "json":
        body = [_operation(label, value) for label, value in labels.items()]
    elif patch == "replace":
        body = client.get(path_of(obj)).json()
        kept = {**body["metadata"].get("labels", {}), **labels}
        body["metadata"]["labels"] = {k: v for k, v in kept.items() if v is not None}
        del body["metadata"]["resourceVersion"]
        if obj["kind"] == "Rollout":
            body["metadata"]["resourceVersion"] = client.get(path_of(obj)).json()["metadata"][
                "resourceVersion"
            ]
    else:
        body = {"metadata": {"labels": labels}}
    method = "PUT" if patch == "replace" else "PATCH"
    content = json.dumps(body)
    return client.request(method, path, params=params, headers=headers, content=content)


def _operation(label, value):
    path = "/metadata/labels/" + label.replace("/", "~1")
    return {"op": "remove", "path": path} if value is None else {
        "op": "add", "path": path, "value": value}  # fmt: skip


def subject(kind, namespace=GUARDED):
    if kind == "Namespace":
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": namespace}}
    return made(namespace, kind)


def refused(answer):
    """What the policy said; empty where the write passed."""
    if answer.is_success:
        return ""
    assert answer.status_code == 403, answer.text
    said = answer.json()["message"]
    assert "policy 'rings.cabgate.dev'" in said.replace("Policy", "policy"), said
    return said.partition("denied request: ")[2]


@contextlib.contextmanager
def installed_with(gate, variable, expression):
    """The policy with another value of one of its variables."""
    name = "validatingadmissionpolicy/rings.cabgate.dev"
    found = json.loads(gate.cluster.kubectl("get", name, "-o", "json").stdout)
    variables = [v["name"] for v in found["spec"]["variables"]]
    path = f"/spec/variables/{variables.index(variable)}/expression"

    def replace(value):
        body = json.dumps([{"op": "replace", "path": path, "value": value}])
        gate.cluster.kubectl("patch", name, "--type=json", "-p", body)

    before = found["spec"]["variables"][variables.index(variable)]["expression"]
    replace(expression)
    yield
    replace(before)


RING, MODE, MODEL = "cabgate.dev/ring", "cabgate.dev/mode", "cabgate.dev/risk-model"
REQUIRE, POLICY = "cabgate.dev/require-template", "cabgate.dev/change-policy"


LABELLER, KEEPER = "labeller", "keeper"


MALFORMED = ["5", "10", "02", "two", "", "3.0"]
