# SPDX-License-Identifier: Apache-2.0
"""A pod template that has all that counts, and changes of it."""

import copy

from cabgate.api.kinds import BUILT_IN
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.templates import template_of_forms

KINDS = {kind.kind: kind for kind in BUILT_IN}

CONTAINER = {
    "name": "app",
    "image": "app:1",
    "command": ["serve"],
    "args": ["--port", "80"],
    "workingDir": "/srv",
    "env": [
        {"name": "LEVEL", "value": "info"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ],
    "envFrom": [
        {"configMapRef": {"name": "settings"}}, {"prefix": "S_", "secretRef": {"name": "s"}}],
    "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}],
    "volumeMounts": [
        {"name": "data", "mountPath": "/data"},
        {"name": "conf", "mountPath": "/conf", "subPath": "a", "readOnly": True},
    ],
    "volumeDevices": [{"name": "disk", "devicePath": "/dev/xvda"}],
    "securityContext": {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["NET_ADMIN", "CHOWN"], "drop": ["ALL"]},
    },
    "lifecycle": {
        "preStop": {"exec": {"command": ["stop"]}},
        "postStart": {"httpGet": {"port": 80}},
    },
    "livenessProbe": {"exec": {"command": ["alive"]}, "periodSeconds": 3},
    "resources": {"limits": {"cpu": "1"}, "claims": [{"name": "gpu"}]},
}  # fmt: skip
SIDECAR = {"name": "side", "image": "side:1", "restartPolicy": "Always", "args": ["run"]}
SETUP = {"name": "setup", "image": "setup:1", "command": ["setup"]}
TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [CONTAINER, {"name": "proxy", "image": "proxy:1"}],
        "initContainers": [SETUP, SIDECAR],
        "volumes": [
            {"name": "data"},
            {"name": "conf", "configMap": {"name": "settings"}},
            {"name": "secret", "secret": {"secretName": "s", "optional": True}},
            {"name": "host", "hostPath": {"path": "/var/log"}},
            {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}},
            {"name": "files", "image": {"reference": "files:1"}},
            {
                "name": "all",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "t"}},
                        {"downwardAPI": {"items": [
                            {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    ]
                },
            },
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}}}}}},
        ],
        "securityContext": {
            "fsGroup": 2000,
            "supplementalGroups": [2, 1],
            "sysctls": [{"name": "b", "value": "1"}, {"name": "a", "value": "2"}],
        },
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
    },
}  # fmt: skip


def digest(template):
    return template_of_forms([normal_form(template)]).digest


def at(value, path):
    for step in path:
        value = value[step]
    return value


def with_change(change, template=TEMPLATE):
    changed = copy.deepcopy(template)
    change(changed["spec"])
    return changed


def app(spec):
    return spec["containers"][0]


DEFAULTS = {
    "pull policy": lambda s: app(s).update(imagePullPolicy="IfNotPresent"),
    "termination": lambda s: app(s).update(
        terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File"
    ),
    "protocol": lambda s: [port.update(protocol="TCP") for port in app(s)["ports"]],
    "field version": lambda s: app(s)["env"][1]["valueFrom"]["fieldRef"].update(apiVersion="v1"),
    "divisor": lambda s: app(s)["env"][3]["valueFrom"]["resourceFieldRef"].update(divisor="0"),
    "optional": lambda s: app(s)["env"][2]["valueFrom"]["secretKeyRef"].update(optional=False),
    "probe": lambda s: app(s)["livenessProbe"].update(
        timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3
    ),
    "no terminal": lambda s: app(s).update(stdin=False, stdinOnce=False, tty=False),
    "hook": lambda s: app(s)["lifecycle"]["postStart"]["httpGet"].update(path="/", scheme="HTTP"),
    "empty source": lambda s: s["volumes"][0].update(emptyDir={}),
    "mode": lambda s: s["volumes"][1]["configMap"].update(defaultMode=420),
    "secret mode": lambda s: s["volumes"][2]["secret"].update(defaultMode=420),
    "type": lambda s: s["volumes"][3]["hostPath"].update(type=""),
    "pull of a volume": lambda s: s["volumes"][5]["image"].update(pullPolicy="IfNotPresent"),
    "projected mode": lambda s: s["volumes"][6]["projected"].update(defaultMode=420),
    "token": lambda s: s["volumes"][6]["projected"]["sources"][0]["serviceAccountToken"].update(
        expirationSeconds=3600
    ),
    "claim": lambda s: s["volumes"][7]["ephemeral"]["volumeClaimTemplate"].update(
        metadata={"creationTimestamp": None},
        spec={**s["volumes"][7]["ephemeral"]["volumeClaimTemplate"]["spec"],
              "volumeMode": "Filesystem"},
    ),
    "account": lambda s: s.update(serviceAccountName="default", serviceAccount="default"),
    "of the pod": lambda s: s.update(
        restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler",
        terminationGracePeriodSeconds=30, enableServiceLinks=True, setHostnameAsFQDN=False,
        securityContext={**s["securityContext"]},
    ),
    "empty context": lambda s: s["containers"][1].update(securityContext={}, resources={}),
    "switches": lambda s: s.update(hostNetwork=False, hostPID=False, hostIPC=False,
                                   hostUsers=True, shareProcessNamespace=False),
    "rights": lambda s: app(s)["securityContext"].update(
        privileged=False, readOnlyRootFilesystem=False, procMount="Default"),
    "propagation": lambda s: app(s)["volumeMounts"][0].update(
        mountPropagation="None", recursiveReadOnly="Disabled", readOnly=False),
}  # fmt: skip
"""What the API server adds, or what is the same as nothing."""

LEFT_OUT = {
    "resources": lambda s: app(s)["resources"].update(limits={"cpu": "9"}),
    "native resources": lambda s: app(s)["resources"].update(
        requests={"hugepages-2Mi": "4Mi", "kubernetes.io/batch-cpu": "1"}
    ),
    "probe": lambda s: app(s).update(readinessProbe={"httpGet": {"port": 1}, "periodSeconds": 9}),
    "image": lambda s: app(s).update(image="app:2"),
    "image of a volume": lambda s: s["volumes"][5]["image"].update(reference="files:2"),
    "node": lambda s: s.update(nodeSelector={"a": "b"}, priorityClassName="high", tolerations=[{}]),
    "size": lambda s: s["volumes"][0].update(emptyDir={"sizeLimit": "1Gi"}),
    "port": lambda s: app(s)["ports"].append({"containerPort": 9, "name": "more"}),
    "unknown": lambda s: s.update(newInLaterReleases=True),
    "order of containers": lambda s: s["containers"].reverse(),
    "order of volumes": lambda s: s["volumes"].reverse(),
    "order of mounts": lambda s: app(s)["volumeMounts"].reverse(),
    "order of variables": lambda s: app(s)["env"].reverse(),
    "order of groups": lambda s: s["securityContext"]["supplementalGroups"].reverse(),
    "order of sysctls": lambda s: s["securityContext"]["sysctls"].reverse(),
    "order of capabilities": lambda s: app(s)["securityContext"]["capabilities"]["add"].reverse(),
}

COUNTS = {
    "containers[app].command": lambda s: app(s)["command"].append("-v"),
    "containers[app].args": lambda s: app(s)["args"].reverse(),
    "containers[app].workingDir": lambda s: app(s).update(workingDir="/tmp"),
    "containers[app].env": lambda s: app(s)["env"].append({"name": "LD_PRELOAD", "value": "x"}),
    "containers[proxy].env": lambda s: s["containers"][1].update(env=[{"name": "A"}]),
    "containers[app].envFrom": lambda s: app(s)["envFrom"].reverse(),
    "containers[app].ports": lambda s: app(s)["ports"][1].update(hostPort=81),
    "containers[app].volumeMounts": lambda s: app(s)["volumeMounts"][1].update(readOnly=False),
    "containers[app].volumeDevices": lambda s: app(s)["volumeDevices"][0].update(devicePath="/d"),
    "containers[app].securityContext": lambda s: app(s)["securityContext"].update(privileged=True),
    "containers[app].lifecycle": lambda s: app(s)["lifecycle"].pop("preStop"),
    "containers[app].livenessProbe": lambda s: app(s)["livenessProbe"].update(
        exec={"command": ["sh", "-c", "evil"]}),
    "containers[proxy].startupProbe": lambda s: s["containers"][1].update(
        startupProbe={"exec": {"command": ["evil"]}}),
    "containers[app].claims": lambda s: app(s)["resources"].pop("claims"),
    # A device of the node comes with it, be it a GPU or /dev/fuse.
    "containers[app].devices": lambda s: app(s)["resources"].update(
        limits={"cpu": "1", "example.com/fuse": "1"}),
    # The kubelet mounts an empty file there, over what the image has.
    "containers[app].terminationMessagePath": lambda s: app(s).update(
        terminationMessagePath="/etc/app/denied"),
    # A shell that waits for whoever attaches, where it ended at once.
    "containers[app].stdin": lambda s: app(s).update(stdin=True),
    "containers[app].stdinOnce": lambda s: app(s).update(stdinOnce=True),
    "containers[app].tty": lambda s: app(s).update(tty=True),
    # Empty, it takes the place of the Pod's.
    "containers[proxy].securityContext": lambda s: s["containers"][1].update(
        securityContext={"seLinuxOptions": {}}),
    "initContainers[setup].command": lambda s: s["initContainers"][0].update(command=["evil"]),
    "initContainers[side].restartPolicy": lambda s: s["initContainers"][1].pop("restartPolicy"),
    "initContainers.order": lambda s: s["initContainers"].reverse(),
    "volumes[data]": lambda s: s["volumes"][0].update(hostPath={"path": "/"}),
    "volumes[conf]": lambda s: s["volumes"][1]["configMap"].update(name="other"),
    "volumes[secret]": lambda s: s["volumes"][2]["secret"].update(secretName="other"),
    "volumes[all]": lambda s: s["volumes"][6]["projected"]["sources"].pop(),
    "volumes[more]": lambda s: s["volumes"].append({"name": "more"}),
    "volumes[scratch]": lambda s: s["volumes"][7]["ephemeral"]["volumeClaimTemplate"][
        "spec"].update(storageClassName=""),
    "securityContext": lambda s: s["securityContext"].update(fsGroup=0),
    "hostNetwork": lambda s: s.update(hostNetwork=True),
    "hostPID": lambda s: s.update(hostPID=True),
    "hostIPC": lambda s: s.update(hostIPC=True),
    "hostUsers": lambda s: s.update(hostUsers=False),
    "hostAliases": lambda s: s["hostAliases"][0].update(ip="10.0.0.2"),
    "shareProcessNamespace": lambda s: s.update(shareProcessNamespace=True),
    "serviceAccountName": lambda s: s.update(serviceAccountName="admin"),
    "automountServiceAccountToken": lambda s: s.update(automountServiceAccountToken=False),
    "runtimeClassName": lambda s: s.update(runtimeClassName="runc"),
    # Its own address under any name, and $HOSTNAME.
    "hostname": lambda s: s.update(hostname="db-0"),
    "subdomain": lambda s: s.update(subdomain="db"),
    "setHostnameAsFQDN": lambda s: s.update(setHostnameAsFQDN=True),
    "hostnameOverride": lambda s: s.update(hostnameOverride="bank.example.com"),
    # Variables with the addresses of all services of the namespace.
    "enableServiceLinks": lambda s: s.update(enableServiceLinks=False),
    "dnsPolicy": lambda s: s.update(dnsPolicy="None"),
    "dnsConfig": lambda s: s.update(dnsConfig={"nameservers": ["10.6.6.6"]}),
    "resourceClaims": lambda s: s["resourceClaims"].clear(),
}  # fmt: skip
