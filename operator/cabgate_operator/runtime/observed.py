# SPDX-License-Identifier: Apache-2.0
"""What to look at again, given what a watch or a sweep brought by."""

from typing import Any

from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, RISK_MODELS, Object, Resource
from cabgate_operator.controllers.break_glass import WORKLOADS, glass_key
from cabgate_operator.work.keys import Key, Subject


def keys_of(resource: Resource, body: Object) -> list[Key]:
    """What to look at when an object was seen, beside what depends on it."""
    meta: dict[str, Any] = body.get("metadata") or {}
    spec: dict[str, Any] = body.get("spec") or {}
    namespace, name = meta.get("namespace", ""), meta.get("name", "")
    if resource is INTENTS:
        return [Key(Subject.INTENT, namespace, name)]
    if resource is RISK_MODELS:
        return [Key(Subject.MODELS, "", "")]
    if resource in WORKLOADS:
        broken = glass_key(resource, body)
        return [] if broken is None else [broken]
    if resource is REQUESTS:
        intent = (spec.get("intentRef") or {}).get("name", "")
        if not intent:
            return [Key(Subject.RETROSPECT, namespace, name)]
        return [Key(Subject.INTENT, namespace, intent)]
    if resource is EXCEPTIONS:
        return [Key(Subject.EXCEPTION, namespace, name)]
    return []


def request_named(resource: Resource, body: Object) -> str:
    """Name of the request that a request is or an exception names."""
    if resource is EXCEPTIONS:
        spec: dict[str, Any] = body.get("spec") or {}
        return str((spec.get("requestRef") or {}).get("name", ""))
    return str((body.get("metadata") or {}).get("name", ""))
