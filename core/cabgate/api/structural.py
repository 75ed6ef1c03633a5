# SPDX-License-Identifier: Apache-2.0
"""Structural schemas, as the API server wants them, of the JSON Schemas of models: no references,
no unions, every bound stated (the cost of a CEL rule is estimated from the bounds).

What a model says and such a schema cannot is an error here, not a loss.
"""

from collections.abc import Mapping
from typing import Any

from cabgate.api.evidence import NO_RATIO
from cabgate.text.characters import NAME_PATTERN, TEXT_PATTERN

_KEPT = frozenset(
    {
        "type",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "maxProperties",
        "enum",
        "required",
        "x-kubernetes-validations",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
    }
)
_HANDLED = frozenset({"title", "description", "default", "properties", "items", "$ref", "anyOf"})


class SchemaError(ValueError):
    """A model cannot be expressed as a structural schema; the message names the field."""


def structural(schema: Mapping[str, Any], defs: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A structural schema that says all that a JSON Schema of pydantic says.

    Raises `SchemaError` for what would be lost, and for strings and lists without a bound.
    """
    schema = _resolve(schema, defs, path)
    unknown = set(schema) - _KEPT - _HANDLED
    if unknown:
        raise SchemaError(f"{path}: a structural schema cannot say {sorted(unknown)}")
    result = {key: value for key, value in schema.items() if key in _KEPT}
    if "description" in schema:
        result["description"] = " ".join(schema["description"].split())
    if schema.get("default") not in (None, "", [], {}, False, 0):
        result["default"] = schema["default"]
    if "properties" in schema:
        result["properties"] = {
            name: structural(value, defs, f"{path}.{name}")
            for name, value in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = structural(schema["items"], defs, f"{path}[]")
    _check_bounds(result, path)
    return result


def _resolve(schema: Mapping[str, Any], defs: Mapping[str, Any], path: str) -> dict[str, Any]:
    """One schema without `$ref` and without "or null", what stands beside them kept."""
    outer = dict(schema)
    if "anyOf" in outer:
        choices = [choice for choice in outer.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise SchemaError(f"{path}: a structural schema cannot say a union of {len(choices)}")
        return _resolve({**choices[0], **outer}, defs, path)
    if "$ref" in outer:
        target = defs[outer.pop("$ref").rpartition("/")[2]]
        merged = {**target, **outer}
        rules = [
            *target.get("x-kubernetes-validations", ()),
            *outer.get("x-kubernetes-validations", ()),
        ]
        if rules:
            merged["x-kubernetes-validations"] = rules
        return _resolve(merged, defs, path)
    return outer


def _check_bounds(schema: Mapping[str, Any], path: str) -> None:
    kind = schema.get("type")
    if kind == "string" and not ({"maxLength", "enum"} & set(schema)):
        if schema.get("format") != "date-time":
            raise SchemaError(f"{path}: a string needs a maximum length")
    elif kind == "array" and "maxItems" not in schema:
        raise SchemaError(f"{path}: a list needs a maximum length")
    elif kind == "integer" and not {"minimum", "maximum"} <= set(schema):
        raise SchemaError(f"{path}: an integer needs a minimum and a maximum")
    elif kind == "object" and "properties" not in schema:
        raise SchemaError(f"{path}: an object needs named fields")
    elif kind is None:
        raise SchemaError(f"{path}: a schema needs a type")


def check_characters(schema: dict[str, Any]) -> None:
    """See to it that no text of a schema holds what nobody sees."""
    if schema.get("type") == "string" and not ({"pattern", "enum", "format"} & set(schema)):
        schema["pattern"] = TEXT_PATTERN
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner is not None:
            check_characters(inner)


def take_what_was_taken(schema: dict[str, Any]) -> None:
    """Take from a schema what holds of what comes in alone: it is of copies, that the operator
    alone writes. What an older release took in has to be decided and recorded still."""
    if schema.get("pattern") in (TEXT_PATTERN, NAME_PATTERN):
        del schema["pattern"]
    if schema.get("x-kubernetes-validations") == [NO_RATIO]:
        del schema["x-kubernetes-validations"]
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner is not None:
            take_what_was_taken(inner)
