# SPDX-License-Identifier: Apache-2.0
"""Admission requests about rollouts, decoded no further than they are read: a tenth of the work of
all of it.

What is decoded here has the shape and the values that `json` gives, only with fewer fields, so that
everything behind it is the same code for both. Whatever is not quite as expected is left to `json`,
and so is what it is to be told.
"""

from typing import Any, TypedDict

import msgspec

from cabgate.rollout.templates import MAX_SOURCE_BYTES
from cabgate.rollout.workloads import kind_of


class _Metadata(TypedDict, total=False):
    name: Any
    generateName: Any
    labels: Any
    ownerReferences: Any
    finalizers: Any


class _Container(TypedDict, total=False):
    image: Any


class _PodSpec(TypedDict, total=False):
    containers: list[_Container]
    initContainers: list[_Container]
    ephemeralContainers: list[_Container]
    volumes: list[_Container]


class _Template(TypedDict, total=False):
    spec: _PodSpec


class _JobSpec(TypedDict, total=False):
    template: _Template


class _JobTemplate(TypedDict, total=False):
    spec: _JobSpec


class _Spec(_PodSpec, total=False):
    template: _Template
    jobTemplate: _JobTemplate
    workloadRef: Any
    replicas: Any


class _Object(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    metadata: _Metadata
    spec: _Spec
    template: _Template


class _Request(TypedDict, total=False):
    uid: Any
    resource: Any
    subResource: Any
    operation: Any
    namespace: Any
    name: Any
    userInfo: Any
    dryRun: Any
    object: _Object | None
    oldObject: _Object | None


class _AdmissionReview(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    request: _Request


_DECODER = msgspec.json.Decoder(_AdmissionReview)


class _Resource(TypedDict, total=False):
    group: str


class _HeadRequest(TypedDict, total=False):
    uid: str
    resource: _Resource


class _Head(TypedDict, total=False):
    request: _HeadRequest


_HEAD = msgspec.json.Decoder(_Head)


def head_of(body: bytes) -> tuple[str, str]:
    """The uid of an admission request, and the group that it is about, without reading its objects;
    empty where it has none."""
    try:
        request = _HEAD.decode(body).get("request", {})
    except (ValueError, RecursionError):
        return "", ""
    return request.get("uid", ""), request.get("resource", {}).get("group", "")


class _WholeObject(TypedDict, total=False):
    spec: msgspec.Raw
    template: msgspec.Raw


class _WholeRequest(TypedDict, total=False):
    object: _WholeObject


class _WholeReview(TypedDict, total=False):
    request: _WholeRequest


_WHOLE = msgspec.json.Decoder(_WholeReview)


def pod_templates_of(body: bytes) -> bytes | None:
    """The parts of the object of an admission request that hold its pod templates, as JSON of their
    own: what is compared with an approval that says what the containers do. None where they are too
    large for that, or are none."""
    try:
        obj = _WHOLE.decode(body)["request"]["object"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    size = sum(len(memoryview(raw)) for raw in (obj.get("spec"), obj.get("template")) if raw)
    # Bytes of their own, so that the body need not be kept.
    return msgspec.json.encode(obj) if size <= MAX_SOURCE_BYTES else None


def decode_rollout(body: bytes) -> Any:
    """The AdmissionReview of a body, if it is about an object of a kind that is gated everywhere,
    with the fields that the gate reads; None for anything else, well-formed or not."""
    try:
        # As text, because what is skipped is not looked at for encoding.
        admission: Any = _DECODER.decode(body.decode())
        obj = admission["request"]["object"]
        gated = kind_of(obj["apiVersion"], obj["kind"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return None if gated is None else admission
