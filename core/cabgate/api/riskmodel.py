# SPDX-License-Identifier: Apache-2.0
"""`RiskModel`: how evidence becomes a score, and a score a gate; written by cluster admins."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticKnownError

from cabgate.api.base import Model, ShortText
from cabgate.api.selectable import Selectable, short_name
from cabgate.api.types import Tier

KIND = "RiskModel"
PLURAL = "riskmodels"

MAX_BANDS = 10
"""Bands of one rubric."""


class FactorName(StrEnum):
    """The facts that a factor may read."""

    TEST_COVERAGE = "testCoverage"
    SECURITY_FINDINGS = "securityFindings"
    CHANGE_SCOPE = "changeScope"
    MANUAL_TESTING = "manualTesting"
    ROLLBACK = "rollback"


class FloorName(StrEnum):
    """The facts that a floor may read."""

    INCOMPLETE_EVIDENCE = "IncompleteEvidence"
    FAILED_TESTS = "FailedTests"
    CRITICAL_FINDINGS = "CriticalFindings"
    THIRD_PARTY_IMAGES = "ThirdPartyImages"


NOT_APPLICABLE = "NotApplicable"
"""Value of the band of what cannot be said of images that somebody else built."""


def _decimal(pattern: str, max_length: int) -> Any:
    """Constraints of a decimal number that travels as text, so that nobody's parser rounds it."""

    def read(value: Any) -> Decimal:
        if isinstance(value, Decimal):
            return value
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        if not re.fullmatch(pattern, value):
            raise PydanticKnownError("string_pattern_mismatch", {"pattern": pattern})
        return Decimal(value)

    schema = {"type": "string", "pattern": pattern, "maxLength": max_length}
    return [
        BeforeValidator(read),
        PlainSerializer(str, return_type=str, when_used="json"),
        WithJsonSchema(schema),
    ]


Share = Annotated[Decimal, *_decimal(r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$", 8)]
"""A number from 0 to 1."""

Limit = Annotated[Decimal, *_decimal(r"^[0-9]{1,9}(\.[0-9]{1,6})?$", 16)]
"""A limit of a band."""

Threshold = Annotated[Decimal, *_decimal(r"^(100\.00|[0-9]{1,2}\.[0-9]{2})$", 6)]
"""A score, 0.00 to 100.00."""


class Band(Model):
    """A part of a rubric: the values that it holds and the risk that they carry.

    The bands of a rubric of numbers stand in ascending order; each holds what the ones before it
    do not, up to its own limit, so there is neither gap nor overlap. The last has no limit.
    """

    label: ShortText
    """The band as people read it, such as "80..90 %"."""
    risk: Share
    """Risk from 0 to 1."""
    up_to: Limit | None = None
    """Upper limit of a band of numbers; none in the last."""
    inclusive: bool = True
    """Whether the limit itself belongs to the band."""
    value: ShortText | None = None
    """The value of a band of a rubric of words. Of testCoverage and manualTesting also
    NotApplicable: the band of images that somebody else built, if nothing is declared."""

    def holds(self, value: Decimal | str) -> bool:
        """Whether a value belongs to this band, if it belongs to none before it."""
        if isinstance(value, str):
            return self.value == value
        if self.up_to is None:
            return self.value is None
        return value < self.up_to or (self.inclusive and value == self.up_to)

    @property
    def is_not_applicable(self) -> bool:
        """Whether it is the band of what cannot be said."""
        return self.value == NOT_APPLICABLE


class Unverified(StrEnum):
    """What is made of evidence that is declared alone."""

    ACCEPT = "Accept"
    FLOOR = "Floor"
    WORST_SCORE = "WorstScore"


class FactorModel(Model):
    """One factor: the fact that it reads, its weight and its rubric."""

    name: FactorName
    """Name of the factor: the fact of the evidence that it reads."""
    weight: Share
    """Share of the score, 0 to 1; all weights together are exactly 1."""
    bands: Annotated[
        list[Band],
        Field(
            min_length=1,
            max_length=MAX_BANDS,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """The rubric; what is missing falls into its riskiest band."""
    unverified: Unverified | None = None
    """What is made of evidence that no signer who may speaks for: Accept (if absent), Floor (a
    person decides at least) or WorstScore (it counts as if it were missing)."""

    def band(self, value: Decimal | str) -> Band:
        """The band that holds a value; the riskiest where none does."""
        return next((band for band in self.bands if band.holds(value)), self.worst)

    @property
    def worst(self) -> Band:
        """The riskiest band: where missing evidence falls."""
        return max(self.applicable, key=lambda band: band.risk)

    @property
    def applicable(self) -> list[Band]:
        """The bands of what can be said."""
        return [band for band in self.bands if not band.is_not_applicable]

    @property
    def not_applicable(self) -> Band | None:
        """The band of what cannot be said of images that somebody else built, if it has one."""
        return next((band for band in self.bands if band.is_not_applicable), None)


class FloorModel(Model):
    """A fact that asks for at least a certain gate, whatever the score."""

    name: FloorName
    """Name of the floor: the fact of the evidence that it reads."""
    gate: Tier
    """The least that it asks for."""


def _by_name(least: int, most: int) -> Any:
    return Field(
        min_length=least,
        max_length=most,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    )


class RiskModelSpec(Model):
    """Factors, thresholds and floors; never changes."""

    version: ShortText
    """Version of the model, for people; requests record it."""
    factors: Annotated[list[FactorModel], _by_name(1, len(FactorName))]
    """The factors, in the order in which they are shown."""
    auto_approve_up_to: Threshold
    """Highest score that the system approves, such as 50.00."""
    manual_review_up_to: Threshold
    """Highest score that a person may approve, such as 75.00; above it only an exception helps."""
    floors: Annotated[list[FloorModel], _by_name(0, len(FloorName))] = Field(default_factory=list)
    """The floors."""


class RiskModel(Selectable):
    """How evidence becomes a score, and a score a gate. Its spec never changes: another model is
    another object, and what was scored with the old one stays as it is."""

    kind: ClassVar[str] = KIND
    kinds: ClassVar[str] = "RiskModels"
    noun: ClassVar[str] = "model"
    namespace_label: ClassVar[str] = "cabgate.dev/risk-model"
    default_label: ClassVar[str] = "cabgate.dev/default-risk-model"

    spec: RiskModelSpec


SHORT_NAME = short_name(RiskModel.noun)
