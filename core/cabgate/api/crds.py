# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions, generated from the models in `cabgate.api`.

The API server wants structural schemas: no references, no unions, every bound stated (the cost
of a CEL rule is estimated from the bounds). What a model says and such a schema cannot is an
error here, not a loss.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from cabgate import GROUP, VERSION
from cabgate.api import (
    CABDecision,
    CABEvidence,
    CABException,
    CABRequest,
    ChangeFreeze,
    ChangePolicy,
    DeploymentIntent,
    EvidenceSigner,
    RiskModel,
    RolloutOutcome,
    cabevidence,
    changefreeze,
    changepolicy,
    decision,
    exception,
    intent,
    outcome,
    request,
    riskmodel,
    signer,
)
from cabgate.api.base import Model, cel, validations
from cabgate.api.evidence import NO_RATIO
from cabgate.api.types import APPEND_ONLY, SPEC_IMMUTABLE
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


_UNOBSERVED = {"observedGeneration": 0}
"""Status of an intent that the operator has not seen yet. Without it, tools that go by kstatus take
a new intent for ready: they know nothing else of an object without a status."""


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


def _check_characters(schema: dict[str, Any]) -> None:
    """See to it that no text of a schema holds what nobody sees."""
    if schema.get("type") == "string" and not ({"pattern", "enum", "format"} & set(schema)):
        schema["pattern"] = TEXT_PATTERN
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner is not None:
            _check_characters(inner)


def _take_what_was_taken(schema: dict[str, Any]) -> None:
    """Take from a schema what holds of what comes in alone: it is of copies, that the operator
    alone writes. What an older release took in has to be decided and recorded still."""
    if schema.get("pattern") in (TEXT_PATTERN, NAME_PATTERN):
        del schema["pattern"]
    if schema.get("x-kubernetes-validations") == [NO_RATIO]:
        del schema["x-kubernetes-validations"]
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner is not None:
            _take_what_was_taken(inner)


_COPIES = {
    (CABRequest, "spec"),
    (CABDecision, "spec"),
    (CABEvidence, "spec"),
    (RolloutOutcome, "spec"),
}


@lru_cache
def spec_schema(model: type[Model]) -> Mapping[str, Any]:
    """The schema of the spec of a kind, as its definition has it."""
    return cast("Mapping[str, Any]", _open_api_schema(model)["properties"]["spec"])


def _parts(model: type[Model]) -> list[str]:
    return [part for part in ("spec", "status") if part in model.model_fields]


def _open_api_schema(model: type[Model], *root_rules: dict[str, str]) -> dict[str, Any]:
    whole = model.model_json_schema(by_alias=True)
    defs = whole["$defs"]
    properties: dict[str, Any] = {
        "apiVersion": {
            "type": "string",
            "description": f"{GROUP}/{VERSION}.",
        },
        "kind": {"type": "string", "description": f"{model.__name__}."},
        "metadata": {"type": "object"},
    }
    for part in _parts(model):
        properties[part] = structural(whole["properties"][part], defs, part)
        seen_to = _take_what_was_taken if (model, part) in _COPIES else _check_characters
        seen_to(properties[part])
    schema: dict[str, Any] = {
        "type": "object",
        "description": " ".join((model.__doc__ or "").split()),
        "required": ["spec"],
        "properties": properties,
    }
    if root_rules:
        schema |= validations(*root_rules)
    return schema


def _column(name: str, path: str, kind: str = "string", **extra: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **extra}


def _label_path(label: str) -> str:
    return ".metadata.labels." + label.replace(".", "\\.")


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
# The API server prints the first item of a list alone, so the operator writes all into a text.
_TARGETS = _column("Targets", ".status.targets")


def _definition(
    model: type[Model],
    plural: str,
    short_name: str,
    columns: list[dict[str, Any]],
    selectable: list[str],
    *root_rules: dict[str, str],
    scope: str = "Namespaced",
    new_status: dict[str, Any] | None = None,
) -> dict[str, Any]:
    kind = model.__name__
    subresources: dict[str, Any] = {}
    if "status" in _parts(model):
        subresources = {"subresources": {"status": {}}}
    schema = _open_api_schema(model, *root_rules)
    if new_status is not None:
        schema["properties"]["status"]["default"] = new_status
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["cab"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    **subresources,
                    "additionalPrinterColumns": columns,
                    **_selectable(selectable),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _selectable(paths: list[str]) -> dict[str, Any]:
    return {"selectableFields": [{"jsonPath": path} for path in paths]} if paths else {}


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinition of every kind."""
    return [
        _definition(
            DeploymentIntent,
            intent.PLURAL,
            "di",
            [
                _column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
                _column("State", ".status.state"),
                _column("Score", ".status.score"),
                _column("Gate", ".status.gate"),
                _column("Request", ".status.requestName"),
                _TARGETS,
                _AGE,
                _column("Message", ".status.conditions[?(@.type=='Ready')].message"),
            ],
            [".status.state", ".status.requestName", ".status.correlationID"],
            cel(
                f"size(self.metadata.name) <= {intent.MAX_NAME}",
                f"metadata.name may have at most {intent.MAX_NAME} characters: requests are named "
                "after the intent, with a suffix",
            ),
            new_status=_UNOBSERVED,
        ),
        _definition(
            CABRequest,
            request.PLURAL,
            "cabreq",
            [
                _column("State", ".status.state"),
                _column("Score", ".spec.assessment.score"),
                _column("Gate", ".spec.assessment.gate"),
                _TARGETS,
                _column("Submitter", ".status.submitters"),
                _column("Ring", ".spec.ring", "integer"),
                _column("Intent", ".spec.intentRef.name", priority=1),
                _column("Correlation", ".spec.correlationID", priority=1),
                _AGE,
            ],
            [".status.state", ".spec.intentRef.name", ".spec.correlationID"],
            SPEC_IMMUTABLE,
            APPEND_ONLY,
        ),
        _definition(
            CABEvidence,
            cabevidence.PLURAL,
            "cabev",
            [_column("Digest", ".spec.evidenceDigest"), _AGE],
            [],
            SPEC_IMMUTABLE,
        ),
        _definition(
            RolloutOutcome,
            outcome.PLURAL,
            "cabout",
            [
                _column("Kind", ".spec.target.kind"),
                _column("Workload", ".spec.target.name"),
                _column("Release", ".spec.release"),
                _column("Ring", ".spec.ring", "integer"),
                _column("Seen", ".status.pods.seen", "integer"),
                _column("Failed", ".status.pods.failed", "integer"),
                _column("Result", ".status.result"),
                _column("Intent", ".spec.intentName", priority=1),
                _column("Request", ".spec.requestName", priority=1),
                _AGE,
            ],
            [".spec.release", ".spec.intentName"],
            SPEC_IMMUTABLE,
            outcome.GROWS,
            outcome.ENDS_ONCE,
        ),
        _definition(
            CABException,
            exception.PLURAL,
            "cabex",
            [
                _column("State", ".status.state"),
                _column("Request", ".spec.requestRef.name"),
                _column("Expires", ".status.expiresAt"),
                _column("Days", ".spec.durationDays", "integer", priority=1),
                _AGE,
            ],
            [".status.state", ".spec.requestRef.name"],
            SPEC_IMMUTABLE,
            APPEND_ONLY,
        ),
        _definition(
            CABDecision,
            decision.PLURAL,
            "cabdec",
            [
                _column("Subject", ".spec.subject.name"),
                _column("Verdict", ".spec.verdict"),
                _column("Author", ".spec.author.username"),
                _column("At", ".spec.at", "date"),
                _column("Score", ".spec.score", priority=1),
                _column("Correlation", ".spec.correlationID", priority=1),
                _column("Digest", ".spec.digest", priority=1),
            ],
            [".spec.subject.namespace", ".spec.subject.uid", ".spec.correlationID"],
            SPEC_IMMUTABLE,
            decision.LINKED,
            scope="Cluster",
        ),
        _definition(
            RiskModel,
            riskmodel.PLURAL,
            "cabrm",
            [
                _column("Version", ".spec.version"),
                _column("Default", _label_path(RiskModel.default_label)),
                _column("AutoApprove", ".spec.autoApproveUpTo"),
                _column("ManualReview", ".spec.manualReviewUpTo"),
                _column("Factors", ".spec.factors[*].name", priority=1),
                _AGE,
            ],
            [],
            SPEC_IMMUTABLE,
            riskmodel.SHORT_NAME,
            scope="Cluster",
        ),
        _definition(
            ChangePolicy,
            changepolicy.PLURAL,
            "cabcp",
            [
                _column("Version", ".spec.version"),
                _column("Default", _label_path(ChangePolicy.default_label)),
                _AGE,
            ],
            [],
            SPEC_IMMUTABLE,
            changepolicy.SHORT_NAME,
            scope="Cluster",
        ),
        _definition(
            ChangeFreeze,
            changefreeze.PLURAL,
            "cabfreeze",
            [
                _column("Kind", ".spec.kind"),
                _column("Title", ".spec.title"),
                _column("RingFrom", ".spec.ringFrom", "integer", priority=1),
                _AGE,
            ],
            [],
            SPEC_IMMUTABLE,
            changefreeze.SHORT_NAME,
            scope="Cluster",
        ),
        _definition(
            EvidenceSigner,
            signer.PLURAL,
            "cabsigner",
            [
                _column("SpeaksFor", ".spec.speaksFor"),
                _column("MaxAge", ".spec.maxAge"),
                _AGE,
            ],
            [],
            scope="Cluster",
        ),
    ]
