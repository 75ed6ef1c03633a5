# SPDX-License-Identifier: Apache-2.0
"""Risk models: which make sense, which one holds, and that any that does scores sensibly."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cabgate.api import Evidence, RiskModel
from cabgate.api.request import RiskModelRef
from cabgate.api.riskmodel import FactorName, FloorName
from cabgate.api.selectable import NoneHolds
from cabgate.api.types import Tier
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.facts import FACTOR_FACTS, FACTOR_WORDS, FLOOR_FACTS
from cabgate.risk.improvements import improvements
from cabgate.risk.model_choice import choose_model, recorded_model
from cabgate.risk.model_rules import model_problems
from cabgate.risk.scoring import assess, gate_for_score, stricter
from cabgate_samples.models import evidence
from support.models import MALFORMED, SENSELESS, changed, risk_model

DEFAULT_LABEL = RiskModel.default_label
MODEL_LABEL = RiskModel.namespace_label


def test_the_facts_have_one_name_everywhere() -> None:
    assert set(FACTOR_FACTS) == set(FactorName)
    assert set(FLOOR_FACTS) == set(FloorName)
    assert set(FACTOR_WORDS) < set(FactorName)


def test_the_built_in_model_makes_sense() -> None:
    assert model_problems(DEFAULT_RISK_MODEL) == []
    assert DEFAULT_RISK_MODEL.is_default


@pytest.mark.parametrize(("path", "value", "field", "said"), SENSELESS)
def test_a_senseless_model_is_told_by_its_field(
    path: str, value: Any, field: str, said: str
) -> None:
    first = model_problems(RiskModel.model_validate(changed(path, value)))[0]
    assert first.field == field
    assert said in str(first)


@pytest.mark.parametrize(
    ("path", "value"), [case[:2] for case in MALFORMED if "uplicate" not in case[3]]
)
def test_a_malformed_model_is_none(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        RiskModel.model_validate(changed(path, value))


def test_a_fact_stands_once() -> None:
    built_in = DEFAULT_RISK_MODEL.spec
    twice = built_in.model_copy(
        update={"factors": [built_in.factors[0]] * 4, "floors": [built_in.floors[0]] * 2}
    )
    model = DEFAULT_RISK_MODEL.model_copy(update={"spec": twice})
    assert [str(problem) for problem in model_problems(model)] == [
        "spec.factors: duplicate value testCoverage (4 times); allowed: once",
        "spec.floors: duplicate value IncompleteEvidence (2 times); allowed: once",
    ]


def test_numbers_out_of_range_are_told_even_where_the_types_are_passed_by() -> None:
    spec = DEFAULT_RISK_MODEL.spec
    band = spec.factors[0].bands[0].model_copy(update={"risk": Decimal(2)})
    factor = spec.factors[0].model_copy(update={"bands": [band, *spec.factors[0].bands[1:]]})
    wrong = spec.model_copy(
        update={
            "factors": [factor, *spec.factors[1:]],
            "auto_approve_up_to": Decimal(-1),
            "manual_review_up_to": Decimal(101),
        }
    )
    found = model_problems(DEFAULT_RISK_MODEL.model_copy(update={"spec": wrong}))
    assert [problem.field for problem in found] == [
        "spec.factors[0].bands[0].risk",
        "spec.autoApproveUpTo",
        "spec.manualReviewUpTo",
    ]


def test_a_single_value_may_have_a_band() -> None:
    made = changed("factors.0.bands.0.upTo", "90")  # below 90, 90 itself, above 90
    assert model_problems(RiskModel.model_validate(made)) == []
    none = changed("factors.1.bands.0.inclusive", False)  # nothing is below 0
    [problem] = model_problems(RiskModel.model_validate(none))
    assert problem.field == "spec.factors[1].bands[0].upTo"


# Which one holds

DEFAULT = risk_model("default", default=True)
STRICT = risk_model("strict", autoApproveUpTo="10.00")
SENSELESS_MODEL = changed("autoApproveUpTo", "99.00")


def reason(labels: dict[str, str] | None, models: list[Any]) -> tuple[str, str]:
    found = choose_model(labels, models)
    assert isinstance(found, NoneHolds)
    return found.reason, found.message


def test_the_label_of_the_namespace_chooses_else_the_default_holds() -> None:
    models = [STRICT, DEFAULT]
    for labels in (None, {}, {"cabgate.dev/ring": "2"}):
        found = choose_model(labels, models)
        assert isinstance(found, RiskModel)
        assert found.name == "default"
    found = choose_model({MODEL_LABEL: "strict"}, models)
    assert isinstance(found, RiskModel)
    assert found.spec.auto_approve_up_to == 10


def test_a_named_model_holds_whatever_is_wrong_with_the_others() -> None:
    second = risk_model("second", default=True)
    broken = {**SENSELESS_MODEL, "metadata": {"name": "x", "labels": {DEFAULT_LABEL: "true"}}}
    found = choose_model({MODEL_LABEL: "strict"}, [DEFAULT, second, broken, STRICT, {"kind": "?"}])
    assert isinstance(found, RiskModel)


@pytest.mark.parametrize(
    ("labels", "models", "why", "said"),
    [
        ({}, [], "RiskModelMissing", "there are: none"),
        ({}, [STRICT], "RiskModelMissing", f"no RiskModel is marked {DEFAULT_LABEL}=true"),
        ({MODEL_LABEL: "other"}, [DEFAULT], "RiskModelMissing", "names RiskModel other"),
        ({MODEL_LABEL: ""}, [DEFAULT], "RiskModelMissing", "names RiskModel (empty)"),
        (
            {},
            [risk_model("b", default=True), DEFAULT, risk_model("a", default=True)],
            "RiskModelAmbiguous",
            "a, b, default",
        ),
        ({MODEL_LABEL: "broken"}, [DEFAULT, SENSELESS_MODEL], "RiskModelInvalid", "is 99.00"),
        (
            {MODEL_LABEL: "newer"},
            [{"metadata": {"name": "newer"}, "spec": {"version": "9"}}],
            "RiskModelInvalid",
            "spec.factors: ",
        ),
    ],
)
def test_where_no_model_holds_it_is_said_why(
    labels: dict[str, str], models: list[Any], why: str, said: str
) -> None:
    found, message = reason(labels, models)
    assert found == why
    assert said in message


def test_a_mark_with_another_value_is_none() -> None:
    marked = risk_model("default")
    marked["metadata"]["labels"][DEFAULT_LABEL] = "True"
    assert reason({}, [marked])[0] == "RiskModelMissing"
    [problem] = model_problems(RiskModel.model_validate(marked))
    assert problem.field == f"metadata.labels[{DEFAULT_LABEL}]"


def test_the_model_of_a_request_is_found_by_what_it_says() -> None:
    model = RiskModel.model_validate(STRICT)
    recorded = RiskModelRef(name="strict", version="7", digest=model.digest)
    assert recorded_model(recorded, [DEFAULT, STRICT]) == model
    assert recorded_model(recorded, [DEFAULT]) is None
    assert recorded_model(recorded, [risk_model("strict", version="8")]) is None
    assert recorded_model(recorded, [risk_model("strict", autoApproveUpTo="99.00")]) is None


# Any model that makes sense

_shares = st.integers(0, 1_000_000).map(lambda number: str(Decimal(number) / 1_000_000))
_plain = _shares.map(lambda text: f"{Decimal(text):f}")


@st.composite
def _numbers(draw: st.DrawFn) -> list[dict[str, Any]]:
    limits = sorted(draw(st.sets(st.integers(1, 99), max_size=8)))
    bands: list[dict[str, Any]] = [
        {"upTo": str(limit), "inclusive": draw(st.booleans())} for limit in limits
    ]
    return [{"label": "band", "risk": draw(_plain), **band} for band in [*bands, {}]]


@st.composite
def _models(draw: st.DrawFn) -> RiskModel:
    names = draw(st.lists(st.sampled_from(list(FactorName)), min_size=1, unique=True))
    cuts = sorted(draw(st.integers(0, 1_000_000)) for _ in names[1:])
    ends = [0, *cuts, 1_000_000]
    factors = []
    for name, (low, high) in zip(names, pairwise(ends), strict=True):
        words = FACTOR_WORDS.get(name)
        bands = (
            draw(_numbers())
            if words is None
            else [{"label": word, "risk": draw(_plain), "value": word} for word in words]
        )
        weight = f"{Decimal(high - low) / 1_000_000:f}"
        factors.append({"name": name.value, "weight": weight, "bands": bands})
    auto, manual = sorted(draw(st.integers(0, 10_000)) for _ in range(2))
    floors = draw(st.lists(st.sampled_from(list(FloorName)), unique=True))
    made = risk_model(
        "any",
        factors=factors,
        autoApproveUpTo=f"{Decimal(auto) / 100:.2f}",
        manualReviewUpTo=f"{Decimal(manual) / 100:.2f}",
        floors=[
            {"name": name.value, "gate": draw(st.sampled_from(list(Tier))).value} for name in floors
        ],
    )
    return RiskModel.model_validate(made)


_PARTS: dict[str, list[Any]] = {
    "testResults": [
        None,
        *({"coveragePercent": c, "passed": 1, "failed": f} for c in (0, 50.5, 99) for f in (0, 1)),
    ],
    "scanResults": [None, *({"critical": c, "high": 1} for c in (0, 1, 80))],
    "scope": [None, *({"affectedComponents": n} for n in (0, 7, 200))],
    "manualTesting": [None, *({"status": s} for s in ("Completed", "InProgress", "NotStarted"))],
    "rollbackPlan": [None, {"validated": True}, {"uri": "https://x"}],
}
_evidence = st.fixed_dictionaries(
    {part: st.sampled_from(values) for part, values in _PARTS.items()}
).map(lambda parts: evidence(**parts))


@given(_models(), _evidence, _evidence)
def test_any_model_that_makes_sense_scores_from_0_to_100_and_more_risk_never_less(
    model: RiskModel, first: Evidence, second: Evidence
) -> None:
    assert model_problems(model) == []
    one, other = assess(first, model), assess(second, model)
    for found in (one, other):
        assert 0 <= Decimal(found.score) <= 100
        by_score = gate_for_score(Decimal(found.score), model)
        assert stricter(found.gate, by_score) is found.gate
    risks = [
        (Decimal(a.risk), Decimal(b.risk)) for a, b in zip(one.factors, other.factors, strict=True)
    ]
    if all(a <= b for a, b in risks):
        assert Decimal(one.score) <= Decimal(other.score)
    nothing = assess(Evidence(), model)
    worst = sum(factor.weight * factor.worst.risk for factor in model.spec.factors)
    if "rollback" not in [factor.name for factor in model.spec.factors]:
        assert abs(Decimal(nothing.score) - 100 * worst) <= Decimal("0.005")
    # As it is stored and read again, it is the same model.
    stored = RiskModel.model_validate({**model.to_dict(), "kind": "RiskModel"})
    assert stored.digest == model.digest
    assert assess(first, stored) == one


@given(_models(), _evidence)
def test_the_way_down_of_any_model_leads_there_or_is_not_shown(
    model: RiskModel, shown: Evidence
) -> None:
    found = assess(shown, model)
    way = improvements(found, model)
    if way is None:
        return
    assert stricter(found.gate, way.gate) is found.gate is not way.gate
    assert gate_for_score(way.score, model) in (way.gate, Tier.AUTO_APPROVE)
