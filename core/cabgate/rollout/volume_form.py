# SPDX-License-Identifier: Apache-2.0
"""What counts of a volume in the normal form of a pod template: its source, in one spelling."""

import re
from collections.abc import Mapping
from typing import Any

from cabgate.rollout.container_form import cleaned
from cabgate.rollout.pods import PodTemplateError, mapping

_MODE = 0o644
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "secret": {"defaultMode": _MODE},
    "configMap": {"defaultMode": _MODE},
    "downwardAPI": {"defaultMode": _MODE},
    "projected": {"defaultMode": _MODE},
    "serviceAccountToken": {"expirationSeconds": 3600},
    "podCertificate": {"maxExpirationSeconds": 86400},
    "iscsi": {"iscsiInterface": "default", "lun": 0},
    "awsElasticBlockStore": {"partition": 0},
    "gcePersistentDisk": {"partition": 0},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
"""What the API server says of a source that does not say it, as `v1` defaults it."""

_TOKEN_NAME = re.compile(r"kube-api-access-[a-z0-9]{5}")
_TOKEN_SOURCES = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {
        "configMap": {
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
            "name": "kube-root-ca.crt",
        }
    },
    {"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "metadata.namespace"},
                                "path": "namespace"}]}},
]  # fmt: skip
"""What it adds to a Pod for its service account."""


def volume_form(volume: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The source of a volume, with its name; without one it is an empty directory, as the API
    server makes it. Raises `PodTemplateError`."""
    name = volume.get("name")
    if not isinstance(name, str) or not name:
        raise PodTemplateError(f"{path}.name: no name")
    sources = {
        kind: _source(kind, mapping(source, f"{path}.{kind}"))
        for kind, source in volume.items()
        if kind != "name" and source is not None
    }
    return {"name": name, **(sources or {"emptyDir": {}})}


def is_token_volume(volume: Mapping[str, Any]) -> bool:
    """Whether a volume is the one that the API server adds to a Pod for its service account."""
    source = volume.get("projected")
    if not _TOKEN_NAME.fullmatch(str(volume.get("name"))) or not isinstance(source, Mapping):
        return False
    return (
        set(volume) == {"name", "projected"}
        and _source("projected", source) == {"sources": _TOKEN_SOURCES}
    )  # fmt: skip


def _source(kind: str, source: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "image":
        return {}  # its reference is compared with the images, and when it is pulled left out
    if kind == "emptyDir":
        source = {key: each for key, each in source.items() if key != "sizeLimit"}
    if kind == "ephemeral":
        claim = mapping(source.get("volumeClaimTemplate") or {}, "volumeClaimTemplate")
        return {"volumeClaimTemplate": _claim(claim, "volumeClaimTemplate")}
    found: dict[str, Any] = cleaned(source, false_is_absent=True)
    for field, usual in _USUAL.get(kind, {}).items():
        if found.get(field) == usual:
            del found[field]
    if kind == "clusterTrustBundle" and source.get("labelSelector") is not None:
        found.setdefault("labelSelector", {})  # empty it selects all, and absent none
    if kind == "projected" and isinstance(source.get("sources"), list):
        found["sources"] = [_projected(each) for each in source["sources"]]
    return found


def _projected(entry: Any) -> dict[str, Any]:
    """One source among several of a volume."""
    return {
        kind: _source(kind, mapping(each, f"sources.{kind}"))
        for kind, each in mapping(entry, "sources").items()
        if each is not None
    }


def claim_form(claim: Mapping[str, Any], path: str) -> dict[str, Any]:
    """What a claim of a StatefulSet is made of, with its name: a volume of each of its Pods, in
    place of one by that name in the template. Raises `PodTemplateError`."""
    metadata = mapping(claim.get("metadata"), f"{path}.metadata")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise PodTemplateError(f"{path}.metadata.name: no name")
    return {"name": name, **_claim(claim, path)}


def _claim(claim: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A volume that is made for each Pod: what it is made of. Its size is left out. Annotations
    count: one of them is the class, and others tell a driver what to put into it."""
    raw = mapping(claim.get("spec") or {}, f"{path}.spec")
    metadata = mapping(claim.get("metadata") or {}, f"{path}.metadata")
    spec = cleaned({key: each for key, each in raw.items() if key != "resources"})
    if raw.get("storageClassName") == "":
        spec["storageClassName"] = ""  # no class, where absent is the default one
    if spec.get("volumeMode") == "Filesystem":
        del spec["volumeMode"]
    notes = metadata.get("annotations")
    return {"spec": spec, **({"annotations": notes} if notes else {})}
