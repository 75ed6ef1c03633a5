# SPDX-License-Identifier: Apache-2.0
"""The worst objects that a schema takes: as long and as many of everything as it allows, of the
character that takes most bytes as it is stored."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from cabgate.api.crds import definitions
from cabgate.text.characters import NAME_PATTERN, TEXT_PATTERN

WORST = "<"
"""Takes six bytes where the API server stores it."""

_WITH_PATTERN = "a"
"""Fits every pattern of the specs of intents and exceptions, at any length."""


_MOMENT = "^[0-9]{4}-"
"""How the pattern of a moment begins that somebody writes for a time to come."""


def worst_spec(kind: str, part: float = 1.0, **fields: Any) -> dict[str, Any]:
    """The worst spec of a kind, its lists and texts cut to a part of what the schema allows.
    `fields` replace what is not to be as bad as it can."""
    spec = worst(_schema_of(kind)["properties"]["spec"], part)
    for envelope in (spec.get("evidence") or {}).get("attestations", ()):
        del envelope["sha256"]  # of requests, which keep this alone
    kept = {key: value for key, value in spec.items() if key not in (*_STAMPED, *_NOT_COPIED)}
    return {**kept, **fields}


@cache
def _schema_of(kind: str) -> Mapping[str, Any]:
    found = next(each for each in definitions() if each["spec"]["names"]["kind"] == kind)
    schema: Mapping[str, Any] = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


_STAMPED = ("submittedBy", "requestedBy", "requester")
"""What the webhook writes, whatever is sent."""

_NOT_COPIED = ("templateForms",)
"""What takes room in an intent that its request then lacks: no rollout reads it."""


def worst(schema: Mapping[str, Any], part: float = 1.0, place: int = 0) -> Any:
    """The worst value of a schema; `place` tells values of one list apart."""
    kind = schema.get("type")
    if "enum" in schema:
        return max(schema["enum"], key=len)
    if kind == "object":
        found = schema.get("properties", {})
        made = {name: worst(each, part, place) for name, each in found.items()}
        return made | ({"from": "2999-02-01T12:00:00Z"} if {"from", "until"} <= made.keys() else {})
    if kind == "array":
        count = max(schema.get("minItems", 0), int(schema["maxItems"] * part), 1)
        return [worst(schema["items"], part, number) for number in range(count)]
    if kind in ("integer", "number"):
        return schema["maximum"]
    if kind == "boolean":
        return True
    return _text(schema, part, place)


def _text(schema: Mapping[str, Any], part: float, place: int) -> str:
    if schema.get("format") == "date-time":
        return "2026-03-01T12:00:00Z"
    if schema.get("pattern", "").startswith(_MOMENT):
        return "2999-03-01T12:00:00Z"
    least = schema.get("minLength", 1)
    if "{64}" in schema.get("pattern", ""):
        form = "t1:" if schema["pattern"].startswith("^t1:") else ""
        return f"{form}sha256:" + _WITH_PATTERN * 64
    free = schema.get("pattern", TEXT_PATTERN) in (TEXT_PATTERN, NAME_PATTERN)
    char = WORST if free else _WITH_PATTERN
    number = f"{place}"
    length: int = max(least, int(schema["maxLength"] * part), len(number) + 1)
    return number + char * (length - len(number))
