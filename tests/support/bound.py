# SPDX-License-Identifier: Apache-2.0
"""Workloads whose containers say all that counts, and approvals of what they do."""

import copy
import itertools
import json

from cabgate_samples.objects import about, declared, intent
from support.cli import cabgate
from support.gated import gated, pod_spec

REQUIRE = "cabgate.dev/require-template"
IMAGE = "web:1"
NEW = ("create", "-f", "-")
SERVER = "--dry-run=server"
_numbers = itertools.count(1)

SPEC = {
    "serviceAccountName": "default",
    "securityContext": {"fsGroup": 2000, "supplementalGroups": [4, 3]},
    "volumes": [
        {"name": "data"},
        {"name": "conf", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "optional": True}},
        {"name": "logs", "hostPath": {"path": "/var/log"}},
        {"name": "down", "downwardAPI": {"items": [
            {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "all", "projected": {"sources": [
            {"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "settings"}}]}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}}},
        {"name": "iscsi", "iscsi": {"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.a:b"}},
    ],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
    "initContainers": [
        {"name": "setup", "image": IMAGE, "command": ["setup"]},
        {"name": "side", "image": IMAGE, "restartPolicy": "Always", "args": ["run"]},
    ],
}  # fmt: skip
CLAIMS = [{"metadata": {"name": "claim"}, "spec": {
    "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]  # fmt: skip
FIELDS = {
    "command": ["serve"],
    "args": ["--port", "80"],
    "workingDir": "/srv",
    "env": [
        {"name": "LEVEL", "value": "info"},
        {"name": "EMPTY", "value": ""},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "ports": [{"containerPort": 8080, "hostPort": 8080}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "conf", "mountPath": "/c"}],
    "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}},
    "lifecycle": {"postStart": {"httpGet": {"port": 80}}},
    "livenessProbe": {"exec": {"command": ["alive"]}},
    "resources": {"limits": {"cpu": "1000m", "example.com/gpu": "1"}},
}


def full(kind, namespace, name="web", **fields):
    """An object of a kind whose containers say all that counts."""
    obj = gated(kind, namespace, name, (IMAGE,), **copy.deepcopy(SPEC))
    pod_spec(kind, obj)["containers"][0] |= copy.deepcopy(FIELDS) | fields
    if kind == "StatefulSet":
        obj["spec"]["volumeClaimTemplates"] = copy.deepcopy(CLAIMS)
    return obj


def manifest(tmp_path, *objects):
    path = tmp_path / f"manifest-{next(_numbers)}.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return path


def approve(gate, tmp_path, namespace, *objects, name="web", way="client", evidence=None):
    """Have an approval by what `cabgate intent --template` writes of some objects."""
    path = manifest(tmp_path, *objects)
    arguments = f"intent -f {path} -n {namespace} --name {name} --template {way} -o json"
    made = json.loads(cabgate(gate, "requester", arguments).stdout)
    assert all("template" in each for each in made["spec"]["targets"])
    targets = made["spec"]["targets"]
    said = about(evidence or intent(namespace)["spec"]["evidence"], targets)
    forms = {key: value for key, value in made["spec"].items() if key == "templateForms"}
    gate.apply("admin", declared(namespace, name, targets, said, **forms))
    return made


def approved(gate, tmp_path, namespace, *objects, name="web", **options):
    approve(gate, tmp_path, namespace, *objects, name=name, **options)
    return gate.request_of(namespace, name, "AutoApproved")["metadata"]["name"]


def stopped(gate, *args, stdin=None, reason="TemplateNotCovered"):
    said = gate.refused("mallory", *args, stdin=json.dumps(stdin) if stdin else None)
    assert f"{reason}: " in said, said
    return said
