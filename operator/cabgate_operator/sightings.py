# SPDX-License-Identifier: Apache-2.0
"""What to look at again, given what a watch or a sweep brought by."""

from typing import Any

from cabgate_operator.apiserver import EXCEPTIONS, INTENTS, REQUESTS, RISK_MODELS, Object, Resource
from cabgate_operator.glass import WORKLOADS, glass_key
from cabgate_operator.keys import Key, Subject


def keys_of(resource: Resource, body: Object, *, sweep: bool = False) -> list[Key]:
    """What to look at when an object was seen."""
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
    keys = []
    if resource is REQUESTS:
        intent = (spec.get("intentRef") or {}).get("name", "")
        own = Key(Subject.INTENT, namespace, intent)
        if not intent:
            own = Key(Subject.RETROSPECT, namespace, name)
        keys = [own, Key(Subject.REQUEST, namespace, name)]
    elif resource is EXCEPTIONS:
        request = (spec.get("requestRef") or {}).get("name", "")
        keys = [Key(Subject.EXCEPTION, namespace, name), Key(Subject.REQUEST, namespace, request)]
    # A sweep comes by the intents and exceptions themselves.
    return keys[:1] if sweep else keys
