# SPDX-License-Identifier: Apache-2.0
"""The generated definitions: structural, bounded, and the ones that are checked in."""

import importlib.util
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from cabgate.api import CABException, DeploymentIntent
from cabgate.api.base import Model, cel, validations
from cabgate.api.crds import definitions
from cabgate.api.structural import SchemaError, structural
from cabgate_samples.models import intent

ROOT = Path(__file__).resolve().parents[4]
Bounded = Annotated[str, StringConstraints(max_length=8)]


def generated(model: type[Model]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return structural(schema, schema.pop("$defs", {}), "spec")


def test_the_manifests_are_current() -> None:
    spec = importlib.util.spec_from_file_location("manifests", ROOT / "tools" / "manifests.py")
    assert spec is not None
    assert spec.loader is not None
    manifests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(manifests)

    wanted = manifests.rendered()
    found = {path.name: path.read_text() for path in (ROOT / "crds").glob("*.yaml")}
    assert found == wanted, "run `make manifests`"
    assert [yaml.safe_load(text) for text in wanted.values()] == definitions()


def _schemas(schema: Any) -> list[dict[str, Any]]:
    """A schema and all the schemas in it."""
    inner = [*schema.get("properties", {}).values()]
    inner += [schema["items"]] if "items" in schema else []
    return [schema, *(found for value in inner for found in _schemas(value))]


@pytest.mark.parametrize("definition", definitions(), ids=lambda d: d["metadata"]["name"])
def test_every_schema_says_type_and_bounds(definition: dict[str, Any]) -> None:
    [version] = definition["spec"]["versions"]
    root = version["schema"]["openAPIV3Schema"]
    text = json.dumps(definition)

    # A field may be called title, with a schema; pydantic's own are texts.
    words = ('"$ref"', '"anyOf"', '"allOf"', '"title": "', '"const"')
    assert not any(word in text for word in words)
    assert root["required"] == ["spec"]
    parts = ["spec", "status"] if "subresources" in version else ["spec"]
    assert version.get("subresources", {"status": {}}) == {"status": {}}
    assert [part for part in ("spec", "status") if part in root["properties"]] == parts
    for part in parts:
        for schema in _schemas(root["properties"][part]):
            assert "type" in schema
            assert "maxItems" in schema or schema["type"] != "array"
            for name, field in schema.get("properties", {}).items():
                assert field.get("description"), f"{name} says nothing of itself"


def test_evidence_has_no_defaults() -> None:
    """A default that an upgrade adds would change the digests of objects that stand."""
    found = next(d for d in definitions() if d["metadata"]["name"].startswith("deploymentintents"))
    spec = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert not [s for s in _schemas(spec) if "default" in s]


def test_what_was_decided_is_held_by_rules_at_the_root() -> None:
    for definition in definitions():
        root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        kind = definition["spec"]["names"]["kind"]
        if kind == "EvidenceSigner":  # its keys rotate
            continue
        rules = " ".join(rule["rule"] for rule in root["x-kubernetes-validations"])
        if kind != "DeploymentIntent":
            assert "self.spec == oldSelf.spec" in rules
        if kind in ("CABRequest", "CABException"):
            assert "size(self.status.decisions) >= size(oldSelf.status.decisions)" in rules


class Inner(Model):
    """Inside."""

    model_config = ConfigDict(json_schema_extra=validations(cel("self.a != ''", "inner")))
    a: Bounded = ""


class Outer(Model):
    """Outside."""

    here: Annotated[Inner, Field(json_schema_extra=validations(cel("has(self.a)", "outer")))]
    """Which one it is."""
    maybe: Inner | None = None
    days: Annotated[int, Field(ge=1, le=9)] = 3
    zero: Annotated[int, Field(ge=0, le=9)] = 0


def test_references_are_resolved_with_what_stands_beside_them() -> None:
    found = generated(Outer)

    assert found["required"] == ["here"]
    here = found["properties"]["here"]
    assert here["description"] == "Which one it is."
    assert [rule["message"] for rule in here["x-kubernetes-validations"]] == ["inner", "outer"]
    assert found["properties"]["maybe"]["type"] == "object"
    assert found["properties"]["days"]["default"] == 3
    assert "default" not in found["properties"]["zero"]


class LongString(Model):
    field: str


class LongItems(Model):
    field: Annotated[list[str], Field(max_length=3)]


class LongList(Model):
    field: list[Bounded]


class AnyInteger(Model):
    field: Annotated[int, Field(ge=0)]


class Union(Model):
    field: Bounded | Annotated[int, Field(ge=0, le=9)]


class Free(Model):
    field: Any


class FreeObject(Model):
    field: dict[str, Bounded]


class Above(Model):
    field: Annotated[int, Field(gt=0, le=9)]


class Constant(Model):
    field: Literal["only"]


class Steps(Model):
    field: Annotated[int, Field(ge=0, le=9, multiple_of=3)]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (LongString, "spec.field: a string needs a maximum length"),
        (LongItems, "spec.field[]: a string needs a maximum length"),
        (LongList, "spec.field: a list needs a maximum length"),
        (AnyInteger, "spec.field: an integer needs a minimum and a maximum"),
        (Union, "spec.field: a structural schema cannot say a union of 2"),
        (Free, "spec.field: a schema needs a type"),
        (FreeObject, "spec.field: a structural schema cannot say ['additionalProperties']"),
        (Above, "spec.field: a structural schema cannot say ['exclusiveMinimum']"),
        (Constant, "spec.field: a structural schema cannot say ['const']"),
        (Steps, "spec.field: a structural schema cannot say ['multipleOf']"),
    ],
)
def test_what_a_structural_schema_cannot_say_is_an_error(model: type[Model], says: str) -> None:
    with pytest.raises(SchemaError) as error:
        generated(model)
    assert str(error.value) == says


def test_an_object_without_named_fields_is_an_error() -> None:
    with pytest.raises(SchemaError, match="an object needs named fields"):
        structural({"type": "object"}, {}, "spec")


# The models behind the definitions


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u2003\u3000", "\x85"])
def test_a_blank_text_is_refused(blank: str) -> None:
    with pytest.raises(ValidationError):
        intent(summary=blank)


@pytest.mark.parametrize("text", ["x", " x ", "\x1c", "\x1f", "\u200b"])
def test_a_text_that_the_api_server_stores_can_be_read(text: str) -> None:
    """CEL's trim() takes fewer characters for space than Python's strip()."""
    assert intent(summary=text).spec.summary == text


def test_unknown_fields_are_passed_over() -> None:
    """During an upgrade an older process reads what a newer one wrote."""
    written = intent().model_dump(mode="json", by_alias=True)
    written["spec"]["addedLater"] = 1
    assert DeploymentIntent.model_validate(written) == intent()


def test_an_exception_lasts_30_days_unless_it_says_otherwise() -> None:
    spec = {"requestRef": {"name": "r"}, "reason": "x", "compensatingControls": ["y"]}
    assert CABException.model_validate({"spec": spec}).spec.duration_days == 30
    for days in (0, 91, 1.5):
        with pytest.raises(ValidationError):
            CABException.model_validate({"spec": {**spec, "durationDays": days}})
    for controls in ([], [" "]):
        with pytest.raises(ValidationError):
            CABException.model_validate({"spec": {**spec, "compensatingControls": controls}})
