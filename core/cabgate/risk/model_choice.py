# SPDX-License-Identifier: Apache-2.0
"""Which risk model holds for a namespace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from cabgate.api.base import first_problem
from cabgate.api.request import RiskModelRef
from cabgate.api.riskmodel import DEFAULT_LABEL, RiskModel
from cabgate.risk.model_rules import model_problems

MODEL_LABEL = "cabgate.dev/risk-model"
"""Label on a namespace: the name of its risk model."""

RawObject = Mapping[str, Any]


class NoModelReason(StrEnum):
    """Why no risk model holds for a namespace; part of the API."""

    MISSING = "RiskModelMissing"
    INVALID = "RiskModelInvalid"
    AMBIGUOUS = "RiskModelAmbiguous"


@dataclass(frozen=True)
class NoModel:
    """That no risk model holds for a namespace, so that nothing is scored."""

    reason: NoModelReason
    message: str


def choose_model(
    namespace_labels: Mapping[str, str] | None, models: Sequence[RawObject]
) -> RiskModel | NoModel:
    """The model that a namespace names in its label, else the one that is marked default.

    `models` are all the RiskModels that there are, as the API server has them.
    """
    wanted = (namespace_labels or {}).get(MODEL_LABEL)
    if wanted is not None:
        named = [model for model in models if _name(model) == wanted]
        if not named:
            return NoModel(
                NoModelReason.MISSING,
                f"the namespace's label {MODEL_LABEL} names RiskModel {wanted or '(empty)'}, "
                f"which does not exist; there are: {_names(models)}",
            )
        return _valid(named[0])
    defaults = [model for model in models if _labels(model).get(DEFAULT_LABEL) == "true"]
    if len(defaults) > 1:
        return NoModel(
            NoModelReason.AMBIGUOUS,
            f"the RiskModels {_names(defaults)} are all marked {DEFAULT_LABEL}=true; a cluster "
            "admin has to take the label from all but one",
        )
    if not defaults:
        return NoModel(
            NoModelReason.MISSING,
            f"no RiskModel is marked {DEFAULT_LABEL}=true, and the namespace names none with the "
            f"label {MODEL_LABEL}; there are: {_names(models)}",
        )
    return _valid(defaults[0])


def recorded_model(recorded: RiskModelRef, models: Sequence[RawObject]) -> RiskModel | None:
    """The model that a request was scored with, if it is still there as it was."""
    named = [_valid(model) for model in models if _name(model) == recorded.name]
    return next(
        (m for m in named if isinstance(m, RiskModel) and m.digest == recorded.digest), None
    )


def _valid(raw: RawObject) -> RiskModel | NoModel:
    try:
        model = RiskModel.model_validate(raw)
    except ValidationError as error:
        first = first_problem(error)
        return _invalid(raw, f"{first.path}: {first.message}")
    problems = model_problems(model)
    return _invalid(raw, str(problems[0])) if problems else model


def _invalid(raw: RawObject, why: str) -> NoModel:
    return NoModel(NoModelReason.INVALID, f"RiskModel {_name(raw)} cannot be used: {why}")


def _name(raw: RawObject) -> str:
    return str((raw.get("metadata") or {}).get("name", ""))


def _labels(raw: RawObject) -> Mapping[str, str]:
    return (raw.get("metadata") or {}).get("labels") or {}


def _names(models: Sequence[RawObject]) -> str:
    return ", ".join(sorted(map(_name, models))) or "none"
