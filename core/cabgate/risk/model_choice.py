# SPDX-License-Identifier: Apache-2.0
"""Which risk model holds for a namespace."""

from collections.abc import Mapping, Sequence

from cabgate.api.request import RiskModelRef
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds, RawObject, name_of, names_of, select, usable
from cabgate.risk.model_rules import model_problems


def choose_model(
    namespace_labels: Mapping[str, str] | None, models: Sequence[RawObject]
) -> RiskModel | NoneHolds:
    """The model that a namespace names in its label, else the one that is marked default.

    `models` are all the RiskModels that there are, as the API server has them.
    """
    found = select(RiskModel, namespace_labels, models, _problem_of)
    if found is not None:
        return found
    return NoneHolds(
        f"{RiskModel.kind}Missing",
        f"no RiskModel is marked {RiskModel.default_label}=true, and the namespace names none with "
        f"the label {RiskModel.namespace_label}; there are: {names_of(models)}",
    )


def recorded_model(recorded: RiskModelRef, models: Sequence[RawObject]) -> RiskModel | None:
    """The model that a request was scored with, if it is still there as it was."""
    named = [each for each in models if name_of(each) == recorded.name]
    read = [usable(RiskModel, each, _problem_of) for each in named]
    return next((m for m in read if isinstance(m, RiskModel) and m.digest == recorded.digest), None)


def _problem_of(_: RawObject, model: RiskModel) -> str | None:
    problems = model_problems(model)
    return str(problems[0]) if problems else None
