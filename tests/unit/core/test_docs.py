# SPDX-License-Identifier: Apache-2.0
"""The pages about the model and the reasons say what the code does."""

import re
from decimal import Decimal
from pathlib import Path

from cabgate.api.request import RequestState
from cabgate.api.types import Tier
from cabgate.gate.checks import ADMITTING
from cabgate.gate.verdict import Reason
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL

DOCS = Path(__file__).resolve().parents[3] / "docs"
MODEL = (DOCS / "risk-model.md").read_text()
INTENTS = (DOCS / "intents.md").read_text()


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = re.findall(r"^\|(.+)\|$", section, re.MULTILINE)
    cells = [[cell.strip().strip("`") for cell in row.split("|")] for row in table]
    return cells[2:]


def test_the_factors_are_those_of_the_model() -> None:
    bands = {
        factor.name: {str(band.risk): band.label for band in factor.bands}
        for factor in DEFAULT_RISK_MODEL.spec.factors
    }
    assert rows(MODEL, "Factors") == [
        [f.name, str(f.weight), *(bands[f.name][risk] for risk in ("0", "0.5", "1"))]
        for f in DEFAULT_RISK_MODEL.spec.factors
    ]


def test_the_tiers_are_those_of_the_model() -> None:
    auto, manual = (
        DEFAULT_RISK_MODEL.spec.auto_approve_up_to,
        DEFAULT_RISK_MODEL.spec.manual_review_up_to,
    )
    step = Decimal("0.01")
    assert [row[:2] for row in rows(MODEL, "Tiers")] == [
        [f"0.00 to {auto}", Tier.AUTO_APPROVE],
        [f"{auto + step} to {manual}", Tier.MANUAL_REVIEW],
        [f"{manual + step} to 100.00", Tier.EXCEPTION_REQUIRED],
    ]


def test_the_floors_are_those_of_the_model() -> None:
    assert [row[:2] for row in rows(MODEL, "Floors")] == [
        [floor.name, floor.gate] for floor in DEFAULT_RISK_MODEL.spec.floors
    ]


def test_the_arithmetic_of_the_example_is_right() -> None:
    *factors, total = rows(MODEL, "An example")
    found = Decimal(0)
    for (name, product, points), factor in zip(
        factors, DEFAULT_RISK_MODEL.spec.factors, strict=True
    ):
        weight, risk = (Decimal(part) for part in product.split(" x "))
        assert (name, weight) == (factor.name, factor.weight)
        assert 100 * weight * risk == Decimal(points)
        found += weight * risk
    assert [Decimal(cell) for cell in total[1:]] == [found, 100 * found]


def test_every_state_is_explained() -> None:
    assert [row[0] for row in rows(INTENTS, "What the states mean")] == [
        RequestState.SUBMITTED,
        RequestState.UNDER_REVIEW,
        RequestState.AUTO_APPROVED,
        RequestState.APPROVED,
        RequestState.CONDITIONALLY_APPROVED,
        RequestState.REJECTED,
        RequestState.EXCEPTION_REQUIRED,
        RequestState.SUPERSEDED,
        RequestState.REVOKED,
    ]
    assert len(RequestState) == len(rows(INTENTS, "What the states mean"))


def test_every_reason_is_explained() -> None:
    explained = {row[0] for row in rows(INTENTS, "Read a denial")}
    assert explained == set(Reason) - ADMITTING
    assert all(f"`{reason}`" in INTENTS for reason in Reason)


def test_that_evidence_is_not_verified_is_said_first() -> None:
    assert "not verified" in INTENTS.splitlines()[2]
    assert "does not check" in MODEL.splitlines()[2]
