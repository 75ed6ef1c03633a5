# SPDX-License-Identifier: Apache-2.0
"""The way to the next lower tier is the shortest one, and it leads there."""

from decimal import Decimal
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import Evidence
from cabgate.api.request import Assessment
from cabgate.api.types import Tier
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.improvements import improvements
from cabgate.risk.scoring import assess, gate_for_score, weighted_score
from cabgate_samples.models import evidence

FACTORS = DEFAULT_RISK_MODEL.spec.factors
LOWER = {Tier.EXCEPTION_REQUIRED: Tier.MANUAL_REVIEW, Tier.MANUAL_REVIEW: Tier.AUTO_APPROVE}
LIMIT = {Tier.MANUAL_REVIEW: Decimal(75), Tier.AUTO_APPROVE: Decimal(50)}

_parts = st.fixed_dictionaries(
    {
        "testResults": st.sampled_from([None, 95, 85, 50]).map(
            lambda c: c and {"coveragePercent": c, "passed": 9, "failed": int(c == 50)}
        ),
        "scanResults": st.sampled_from([None, 0, 1, 5]).map(
            lambda c: None if c is None else {"critical": c, "high": 0}
        ),
        "scope": st.sampled_from([None, 1, 7, 20]).map(lambda n: n and {"affectedComponents": n}),
        "manualTesting": st.sampled_from([None, "Completed", "InProgress", "NotStarted"]).map(
            lambda s: s and {"status": s}
        ),
        "rollbackPlan": st.sampled_from([None, True, False]).map(
            lambda v: None if v is None else {"validated": v, "uri": "https://x"}
        ),
    }
)


def _oracle(assessment: Assessment) -> tuple[int, Decimal]:
    """Fewest factors to improve, and the highest score among those: every combination tried."""
    limit = LIMIT[LOWER[assessment.gate]]
    now = [Decimal(f.risk) for f in assessment.factors]
    found = []
    for risks in product(*[[b.risk for b in f.bands if b.risk <= r] for f, r in zip(
            FACTORS, now, strict=True)]):  # fmt: skip
        score = weighted_score([(f.weight, r) for f, r in zip(FACTORS, risks, strict=True)])
        if score <= limit:
            changed = sum(a != b for a, b in zip(risks, now, strict=True))
            found.append((changed, -score))
    changed, score = min(found)
    return changed, -score


@given(_parts)
def test_the_way_down_is_the_shortest_and_leads_there(parts: dict[str, object]) -> None:
    assessment = assess(evidence(**parts))
    way = improvements(assessment)
    if assessment.gate is Tier.AUTO_APPROVE:
        assert way is None
        return
    assert way is not None
    assert way.gate is LOWER[assessment.gate]
    assert (len(way.changes), way.score) == _oracle(assessment)

    after = {f.name: Decimal(f.risk) for f in assessment.factors}
    for change in way.changes:
        factor = next(f for f in FACTORS if f.name == change.factor)
        band = next(b for b in factor.bands if b.label == change.to)
        assert band.risk < after[change.factor]
        after[change.factor] = band.risk
    score = weighted_score([(f.weight, after[f.name]) for f in FACTORS])
    assert score == way.score
    left = [floor for floor in assessment.floors if floor not in way.floors]
    assert gate_for_score(score) in (way.gate, Tier.AUTO_APPROVE)
    assert all(floor.gate in (way.gate, Tier.AUTO_APPROVE) for floor in left)


@given(_parts)
def test_the_answer_is_the_same_every_time(parts: dict[str, object]) -> None:
    assert improvements(assess(evidence(**parts))) == improvements(assess(evidence(**parts)))


def test_a_floor_alone_asks_for_no_factor() -> None:
    way = improvements(assess(evidence(artifacts=None)))

    assert way is not None
    assert way.changes == ()
    assert [floor.name for floor in way.floors] == ["IncompleteEvidence"]
    assert str(way) == "AutoApprove would take: resolve: the evidence package lacks artifacts"


def test_the_way_down_reads_as_a_sentence() -> None:
    way = improvements(assess(Evidence()))

    assert str(way) == "ManualReview would take: testCoverage from missing to above 90 %"


def test_an_assessment_of_another_model_is_not_explained_by_this_one() -> None:
    """After an upgrade that changes the factors, the gate still has to speak of old requests."""
    assessment = assess(Evidence())
    older = assessment.model_copy(
        update={
            "factors": assessment.factors[:2],
            "risk_model": assessment.risk_model.model_copy(update={"digest": "sha256:" + "0" * 64}),
        }
    )

    assert improvements(older) is None


def test_an_assessment_that_lacks_a_factor_is_not_explained() -> None:
    """No operator writes one, and a denial has to be said all the same."""
    assessment = assess(Evidence())
    less = assessment.model_copy(update={"factors": assessment.factors[:2]})

    assert improvements(less) is None


def test_where_even_the_best_bands_carry_too_much_there_is_no_way_down() -> None:
    spec = DEFAULT_RISK_MODEL.spec
    risky = [
        factor.model_copy(
            update={
                "bands": [band.model_copy(update={"risk": Decimal(1)}) for band in factor.bands]
            }
        )
        for factor in spec.factors
    ]
    model = DEFAULT_RISK_MODEL.model_copy(
        update={"spec": spec.model_copy(update={"factors": risky})}
    )

    assert improvements(assess(evidence(), model), model) is None
