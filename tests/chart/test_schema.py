# SPDX-License-Identifier: Apache-2.0
"""values.schema.json has no hole: each object in it lists its keys, each value has a type, and what
has a default has to be there."""

import json

import pytest
import yaml

from cabgate_devcluster.installed.chart import CHART

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

OPEN = {
    "/properties/global": "Helm gives it to every chart, and this one does not read it",
    "/definitions/quantities": "whoever adds a resource to nodes names it; patterns say how",
    "/definitions/labels": "names and values are the user's; patterns say what Kubernetes takes",
    "/definitions/annotations": "the user's; a pattern says which names Kubernetes takes",
}
"""Objects that may hold keys that nobody listed, and why."""

MAY_BE_NULL = {
    "requireDigestsFrom": "null is what it says by default",
    "certManager.issuerRef": "as empty: a CA of its own",
    "labels": "as empty",
    "resources": "as empty: no requests and no limits",
    "nodeSelector": "as empty",
    "tolerations": "as empty",
    "affinity": "as empty",
    "podLabels": "as empty",
    "podAnnotations": "as empty",
}
"""Values, by the end of their path, whose default may be taken away with null, and what is then."""


def walk(schema, path=""):
    """Each schema within a schema that says what a value is."""
    yield path, schema
    for word in ("properties", "definitions", "patternProperties"):
        for name, inner in schema.get(word, {}).items():
            yield from walk(inner, f"{path}/{word}/{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}/items")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from walk(schema["additionalProperties"], f"{path}/additionalProperties")


def resolved(schema):
    reference = schema.get("$ref")
    return SCHEMA["definitions"][reference.rpartition("/")[2]] if reference else schema


@pytest.mark.parametrize(("path", "schema"), list(walk(SCHEMA)), ids=lambda each: str(each)[-60:])
def test_everything_has_a_type_and_every_object_lists_its_keys(path, schema):
    assert {"type", "enum", "$ref"} & set(schema), "anything goes"
    if "$ref" in schema:
        assert set(schema) == {"$ref"}, "what stands beside a reference is not read"
        assert resolved(schema)
    if "object" not in schema.get("type", ()) or path in OPEN:
        return
    assert schema["additionalProperties"] is False
    assert "patternProperties" not in schema, "an open map has to be named here, with a reason"
    assert set(schema.get("required", ())) <= set(schema["properties"])
    assert schema["properties"]


def test_open_maps_are_there_and_take_but_what_they_say():
    known = dict(walk(SCHEMA))
    assert set(OPEN) <= set(known)
    for path in set(OPEN) - {"/properties/global"}:
        assert known[path]["additionalProperties"] is False
        assert known[path]["patternProperties"]


def test_a_list_says_what_is_in_it():
    for path, schema in walk(SCHEMA):
        if "array" in schema.get("type", ()):
            assert "items" in schema, path


def sections(schema, values, before=""):
    """Each section of values.yaml with its schema."""
    yield before, schema, values
    for key, value in values.items():
        inner = resolved(schema["properties"][key])
        if isinstance(value, dict) and value and "properties" in inner:
            yield from sections(inner, value, f"{before}{key}.")


def test_schema_and_values_know_the_same_keys():
    found = {where: (schema, values) for where, schema, values in sections(SCHEMA, VALUES)}
    assert len(found) > 8
    for where, (schema, values) in found.items():
        assert set(values) == set(schema["properties"]) - {"global"}, where


def may_be_null(path):
    return any(path.endswith(f".{each}") for each in MAY_BE_NULL)


def test_a_default_that_is_taken_away_is_missed():
    for where, schema, values in sections(SCHEMA, VALUES):
        if where.endswith("resources."):
            continue  # without requests, or without limits: as somebody wants it
        wanted = {key for key in values if not may_be_null(f".{where}{key}")}
        assert set(schema.get("required", ())) == wanted, where
