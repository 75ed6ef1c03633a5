# SPDX-License-Identifier: Apache-2.0
"""The risk model that is built in."""

from decimal import Decimal

from cabgate.api.base import ObjectMeta
from cabgate.api.riskmodel import (
    NOT_APPLICABLE,
    Band,
    FactorModel,
    FactorName,
    FloorModel,
    FloorName,
    RiskModel,
    RiskModelSpec,
)
from cabgate.api.types import Tier
from cabgate.risk.facts import MAY_NOT_APPLY

DEFAULT_NAME = "default"
"""Name of the built-in model."""


def _number(label: str, risk: str, up_to: str | None = None, *, inclusive: bool = True) -> Band:
    limit = None if up_to is None else Decimal(up_to)
    return Band(label=label, risk=Decimal(risk), up_to=limit, inclusive=inclusive)


def _word(value: str, risk: str, label: str | None = None) -> Band:
    return Band(label=label or value, risk=Decimal(risk), value=value)


DEFAULT_RISK_MODEL = RiskModel(
    metadata=ObjectMeta(name=DEFAULT_NAME, labels={RiskModel.default_label: "true"}),
    spec=RiskModelSpec(
        version="1",
        factors=[
            FactorModel(
                name=FactorName.TEST_COVERAGE,
                weight=Decimal("0.25"),
                bands=[
                    _number("below 80 %", "1", "80", inclusive=False),
                    _number("80..90 %", "0.5", "90"),
                    _number("above 90 %", "0"),
                ],
            ),
            FactorModel(
                name=FactorName.SECURITY_FINDINGS,
                weight=Decimal("0.25"),
                bands=[
                    _number("no critical or high findings", "0", "0"),
                    _number("1..2 critical or high findings", "0.5", "2"),
                    _number("more than 2 critical or high findings", "1"),
                ],
            ),
            FactorModel(
                name=FactorName.CHANGE_SCOPE,
                weight=Decimal("0.20"),
                bands=[
                    _number("fewer than 5 components", "0", "5", inclusive=False),
                    _number("5..10 components", "0.5", "10"),
                    _number("more than 10 components", "1"),
                ],
            ),
            FactorModel(
                name=FactorName.MANUAL_TESTING,
                weight=Decimal("0.15"),
                bands=[
                    _word("Completed", "0"),
                    _word("InProgress", "0.5"),
                    _word("NotStarted", "1"),
                ],
            ),
            FactorModel(
                name=FactorName.ROLLBACK,
                weight=Decimal("0.15"),
                bands=[
                    _word("Validated", "0", "a validated plan"),
                    _word("NotValidated", "0.5", "a plan, not validated"),
                    _word("None", "1", "no plan"),
                ],
            ),
        ],
        auto_approve_up_to=Decimal("50.00"),
        manual_review_up_to=Decimal("75.00"),
        floors=[
            FloorModel(name=FloorName.INCOMPLETE_EVIDENCE, gate=Tier.MANUAL_REVIEW),
            FloorModel(name=FloorName.FAILED_TESTS, gate=Tier.MANUAL_REVIEW),
            FloorModel(name=FloorName.CRITICAL_FINDINGS, gate=Tier.MANUAL_REVIEW),
        ],
    ),
)
"""The built-in model: the table under "Risk" in the design, kept in docs/risk-model.md."""


def _with_not_applicable(factor: FactorModel) -> FactorModel:
    if factor.name not in MAY_NOT_APPLY:
        return factor
    band = _word(NOT_APPLICABLE, "0.5", "not applicable: built by somebody else")
    return factor.model_copy(update={"bands": [*factor.bands, band]})


SECOND_RISK_MODEL = RiskModel(
    metadata=ObjectMeta(name="default-2"),
    spec=DEFAULT_RISK_MODEL.spec.model_copy(
        update={
            "version": "2",
            "factors": [_with_not_applicable(each) for each in DEFAULT_RISK_MODEL.spec.factors],
            "floors": [
                *DEFAULT_RISK_MODEL.spec.floors,
                FloorModel(name=FloorName.THIRD_PARTY_IMAGES, gate=Tier.MANUAL_REVIEW),
            ],
        }
    ),
)
"""The next version of the built-in model, which stands beside it until an installation takes it:
images that somebody else built need show no tests, and a person agrees that they are."""

BUILT_IN = {model.digest: model for model in (DEFAULT_RISK_MODEL, SECOND_RISK_MODEL)}
"""The built-in models by their digest, the one that is the default of a new installation first."""

_DIGESTS = {id(model): digest for digest, model in BUILT_IN.items()}


def digest_of(model: RiskModel) -> str:
    """The digest of a model. That of a built-in one is not made anew each time: it takes longer
    than all the rest of a denial."""
    return _DIGESTS.get(id(model)) or model.digest
