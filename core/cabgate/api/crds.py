# SPDX-License-Identifier: Apache-2.0
"""CustomResourceDefinitions, generated from the models in `cabgate.api`."""

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
from cabgate.api.structural import check_characters, structural, take_what_was_taken
from cabgate.api.types import APPEND_ONLY, SPEC_IMMUTABLE

_UNOBSERVED = {"observedGeneration": 0}
"""Status of an intent that the operator has not seen yet. Without it, tools that go by kstatus take
a new intent for ready: they know nothing else of an object without a status."""


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
        seen_to = take_what_was_taken if (model, part) in _COPIES else check_characters
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
