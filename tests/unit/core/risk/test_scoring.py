# SPDX-License-Identifier: Apache-2.0
"""Evidence becomes a score, and a score a gate."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABRequest, Evidence, RiskModel
from cabgate.api.types import Tier
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.evidence import incomplete_package
from cabgate.risk.scoring import assess, gate_for_score, stricter, weighted_score
from cabgate_samples.models import evidence, intent
from cabgate_samples.objects import GOOD
from unit.core.standings import assessment_of, request_for


@pytest.mark.parametrize(
    ("score", "gate"),
    [
        ("0", Tier.AUTO_APPROVE),
        ("50", Tier.AUTO_APPROVE),
        ("50.00", Tier.AUTO_APPROVE),
        ("50.01", Tier.MANUAL_REVIEW),
        ("75", Tier.MANUAL_REVIEW),
        ("75.00", Tier.MANUAL_REVIEW),
        ("75.01", Tier.EXCEPTION_REQUIRED),
        ("100", Tier.EXCEPTION_REQUIRED),
    ],
)
def test_a_score_asks_for_its_gate(score: str, gate: Tier) -> None:
    assert gate_for_score(Decimal(score)) is gate


@pytest.mark.parametrize("score", ["-0.01", "100.01", "-1", "1000"])
def test_a_score_outside_of_the_scale_is_refused(score: str) -> None:
    with pytest.raises(ValueError, match="from 0 to 100"):
        gate_for_score(Decimal(score))


@pytest.mark.parametrize(
    ("factor", "part", "risk"),
    [
        ("testCoverage", {"testResults": {"coveragePercent": 100}}, "0"),
        ("testCoverage", {"testResults": {"coveragePercent": 90.01}}, "0"),
        ("testCoverage", {"testResults": {"coveragePercent": 90.00000000000001}}, "0"),
        ("testCoverage", {"testResults": {"coveragePercent": 90}}, "0.5"),
        ("testCoverage", {"testResults": {"coveragePercent": 80}}, "0.5"),
        ("testCoverage", {"testResults": {"coveragePercent": 79.99}}, "1"),
        ("testCoverage", {"testResults": {"coveragePercent": 0}}, "1"),
        ("testCoverage", {"testResults": {"passed": 1}}, "1"),
        ("testCoverage", {"testResults": None}, "1"),
        ("securityFindings", {"scanResults": {"critical": 0, "high": 0}}, "0"),
        ("securityFindings", {"scanResults": {"critical": 0, "high": 1}}, "0.5"),
        ("securityFindings", {"scanResults": {"critical": 1, "high": 1}}, "0.5"),
        ("securityFindings", {"scanResults": {"critical": 1, "high": 2}}, "1"),
        ("securityFindings", {"scanResults": {"critical": 0, "high": 3}}, "1"),
        ("securityFindings", {"scanResults": {"critical": 0}}, "1"),
        ("securityFindings", {"scanResults": {"high": 0}}, "1"),
        ("securityFindings", {"scanResults": {"medium": 9}}, "1"),
        ("securityFindings", {"scanResults": None}, "1"),
        ("changeScope", {"scope": {"affectedComponents": 0}}, "0"),
        ("changeScope", {"scope": {"affectedComponents": 4}}, "0"),
        ("changeScope", {"scope": {"affectedComponents": 5}}, "0.5"),
        ("changeScope", {"scope": {"affectedComponents": 10}}, "0.5"),
        ("changeScope", {"scope": {"affectedComponents": 11}}, "1"),
        ("changeScope", {"scope": None}, "1"),
        ("manualTesting", {"manualTesting": {"status": "Completed"}}, "0"),
        ("manualTesting", {"manualTesting": {"status": "InProgress"}}, "0.5"),
        ("manualTesting", {"manualTesting": {"status": "NotStarted"}}, "1"),
        ("manualTesting", {"manualTesting": {"by": "ann"}}, "1"),
        ("manualTesting", {"manualTesting": None}, "1"),
        ("rollback", {"rollbackPlan": {"validated": True}}, "0"),
        ("rollback", {"rollbackPlan": {"validated": False, "uri": "https://x"}}, "0.5"),
        ("rollback", {"rollbackPlan": {"uri": "https://x"}}, "0.5"),
        ("rollback", {"rollbackPlan": {"validated": False}}, "1"),
        ("rollback", {"rollbackPlan": {"sha256": "a" * 64}}, "1"),
        ("rollback", {"rollbackPlan": None}, "1"),
    ],
)
def test_a_factor_falls_into_its_band(factor: str, part: dict[str, Any], risk: str) -> None:
    assessment = assess(evidence(**part))

    found = {f.name: f for f in assessment.factors}
    assert found[factor].risk == risk
    # The others are at their best, so the score is this factor's contribution alone.
    assert assessment.score == found[factor].contribution


def test_nothing_scores_100_and_all_scores_0() -> None:
    assert assess(Evidence()).score == "100.00"
    assert assess(evidence()).score == "0.00"
    assert assess(evidence()).gate is Tier.AUTO_APPROVE
    assert assess(evidence()).floors == []
    assert assess(evidence()).missing == []


def test_the_score_is_rounded_once_half_up_and_clamped() -> None:
    half = [(Decimal("0.00005"), Decimal(1))]
    assert weighted_score(half) == Decimal("0.01")
    # Rounded one by one each of these would vanish.
    assert weighted_score([(Decimal("0.00004"), Decimal(1))] * 3) == Decimal("0.01")
    assert weighted_score([(Decimal(2), Decimal(1))]) == Decimal(100)
    assert weighted_score([(Decimal(-1), Decimal(1))]) == Decimal(0)
    assert weighted_score([]) == Decimal(0)


@pytest.mark.parametrize(
    ("part", "floor", "says"),
    [
        ({"artifacts": None}, "IncompleteEvidence", "lacks artifacts"),
        ({"artifacts": []}, "IncompleteEvidence", "lacks artifacts"),
        ({"testResults": {"coveragePercent": 95, "failed": 0}}, "IncompleteEvidence", "passed"),
        ({"testResults": {"coveragePercent": 95, "passed": 1}}, "IncompleteEvidence", "failed"),
        ({"deploymentPlan": None}, "IncompleteEvidence", "lacks deploymentPlan"),
        ({"deploymentPlan": {"sha256": "a" * 64}}, "IncompleteEvidence", "deploymentPlan.uri"),
        ({"rollbackPlan": {"validated": True}}, "IncompleteEvidence", "rollbackPlan.uri"),
        (
            {"testResults": {"coveragePercent": 95, "passed": 9, "failed": 1}},
            "FailedTests",
            "1 test failed",
        ),
        (
            {"testResults": {"coveragePercent": 95, "passed": 9, "failed": 2}},
            "FailedTests",
            "2 tests failed",
        ),
        ({"scanResults": {"critical": 1, "high": 0}}, "CriticalFindings", "1 critical finding"),
        ({"scanResults": {"critical": 2, "high": 0}}, "CriticalFindings", "2 critical findings"),
    ],
)
def test_a_floor_asks_for_a_review_whatever_the_score(
    part: dict[str, Any], floor: str, says: str
) -> None:
    assessment = assess(evidence(**part))

    assert Decimal(assessment.score) <= 50
    assert assessment.gate is Tier.MANUAL_REVIEW
    assert [f.name for f in assessment.floors] == [floor]
    assert says in assessment.floors[0].explanation


def test_a_floor_never_lowers_a_gate() -> None:
    assert assess(Evidence()).gate is Tier.EXCEPTION_REQUIRED
    for first in Tier:
        assert stricter(first, first) is first
        assert stricter(first, Tier.AUTO_APPROVE) is first
        assert stricter(Tier.EXCEPTION_REQUIRED, first) is Tier.EXCEPTION_REQUIRED


def test_what_is_missing_is_named_once_and_by_its_widest_part() -> None:
    assert assess(Evidence()).missing == [
        "artifacts",
        "testResults",
        "scanResults",
        "deploymentPlan",
        "rollbackPlan",
        "scope.affectedComponents",
        "manualTesting.status",
    ]
    assert assess(evidence(scanResults={"high": 1}, testResults={"passed": 1})).missing == [
        "testResults.failed",
        "scanResults.critical",
        "testResults.coveragePercent",
    ]
    assert assess(evidence(rollbackPlan={"validated": False})).missing == ["rollbackPlan.uri"]


@pytest.mark.parametrize(
    "part", ["artifacts", "testResults", "scanResults", "manualTesting", "rollbackPlan",
             "deploymentPlan", "scope"]
)  # fmt: skip
def test_an_empty_part_is_assessed_like_an_absent_one(part: str) -> None:
    """The stored copy of the evidence leaves empty parts out, and the webhook recomputes the
    assessment from it: were the two told apart, such a request could never be opened."""
    empty: Any = [] if part == "artifacts" else {}
    assert assess(evidence(**{part: empty})) == assess(evidence(**{part: None}))

    opened = request_for(intent({**GOOD, part: empty}), ring=2)
    stored = CABRequest.model_validate(opened.to_dict())
    assert stored.spec == opened.spec
    assert assessment_of(stored.spec) == stored.spec.assessment


def test_the_package_tells_an_empty_part_from_its_fields() -> None:
    assert incomplete_package(Evidence.model_validate({"testResults": {"passed": 1}})) == [
        "artifacts",
        "testResults.failed",
        "scanResults",
        "deploymentPlan",
        "rollbackPlan",
    ]


def test_observed_values_read_as_they_were_written() -> None:
    def observed(**part: Any) -> list[str]:
        return [f.observed for f in assess(evidence(**part)).factors]

    assert observed(testResults={"coveragePercent": 85.5})[0] == "85.5 %"
    assert observed(testResults={"coveragePercent": 90})[0] == "90 %"
    assert observed(testResults={"coveragePercent": 90.00000000000001})[0] == "90.00000000000001 %"
    assert observed(scanResults={"critical": 1, "high": 2})[1] == "1 critical, 2 high"
    assert observed(scope={"affectedComponents": 1})[2] == "1 component"
    assert observed(scope={"affectedComponents": 2})[2] == "2 components"
    assert observed()[3:] == ["Completed", "validated"]


def test_an_assessment_names_its_model_and_where_points_come_from() -> None:
    assessment = assess(Evidence())

    assert assessment.risk_model.name == "default"
    assert assessment.risk_model.digest == DEFAULT_RISK_MODEL.digest
    assert sum(Decimal(f.contribution) for f in assessment.factors) == Decimal(assessment.score)
    for factor in assessment.factors:
        assert "scores worst" in factor.explanation or "no plan" in factor.explanation


def test_the_digest_of_a_model_is_that_of_its_content() -> None:
    again = RiskModel.model_validate(DEFAULT_RISK_MODEL.to_dict())
    assert again.digest == DEFAULT_RISK_MODEL.digest
    assert DEFAULT_RISK_MODEL.digest.endswith("852a"), "requests recorded the digest"
    spec = DEFAULT_RISK_MODEL.spec.model_copy(update={"auto_approve_up_to": Decimal("50.01")})
    other = DEFAULT_RISK_MODEL.model_copy(update={"spec": spec})
    assert other.digest != DEFAULT_RISK_MODEL.digest
    marked = DEFAULT_RISK_MODEL.metadata.model_copy(update={"labels": {}})
    unmarked = DEFAULT_RISK_MODEL.model_copy(update={"metadata": marked})
    assert unmarked.digest == DEFAULT_RISK_MODEL.digest


def test_the_weights_of_the_default_model_sum_to_one() -> None:
    assert sum(factor.weight for factor in DEFAULT_RISK_MODEL.spec.factors) == 1
    for factor in DEFAULT_RISK_MODEL.spec.factors:
        assert {band.risk for band in factor.bands} == {Decimal(0), Decimal("0.5"), Decimal(1)}


def test_a_value_that_no_band_holds_scores_worst() -> None:
    words = next(f for f in DEFAULT_RISK_MODEL.spec.factors if f.name == "manualTesting")
    assert words.band("Skipped").risk == 1
    assert words.band(Decimal(0)).risk == 1


_steps = {
    "testResults": [{"coveragePercent": c, "passed": 1, "failed": 0} for c in (95, 85, 50)]
    + [None],
    "scanResults": [{"critical": 0, "high": h} for h in (0, 1, 9)] + [None],
    "scope": [{"affectedComponents": n} for n in (1, 7, 20)] + [None],
    "manualTesting": [{"status": s} for s in ("Completed", "InProgress", "NotStarted")] + [None],
    "rollbackPlan": [{"validated": v, "uri": "https://x"} for v in (True, False)] + [None],
}
"""Of each part what is best first, and each next one no better."""

_choice = st.fixed_dictionaries(
    {part: st.integers(0, len(values) - 1) for part, values in _steps.items()}
)


def _chosen(choice: dict[str, int]) -> Evidence:
    return evidence(**{part: _steps[part][index] for part, index in choice.items()})


@given(_choice)
def test_every_score_is_from_0_to_100(choice: dict[str, int]) -> None:
    assert 0 <= Decimal(assess(_chosen(choice)).score) <= 100


@given(_choice, st.sampled_from(sorted(_steps)))
def test_worse_evidence_never_scores_better(choice: dict[str, int], part: str) -> None:
    before = assess(_chosen(choice))
    worse = assess(_chosen({**choice, part: min(choice[part] + 1, len(_steps[part]) - 1)}))

    assert Decimal(worse.score) >= Decimal(before.score)
    assert stricter(worse.gate, before.gate) is worse.gate


@given(_choice)
def test_an_assessment_survives_storage(choice: dict[str, int]) -> None:
    opened = request_for(intent(_chosen(choice).to_dict()), ring=2)
    stored = CABRequest.model_validate(opened.to_dict())
    assert assessment_of(stored.spec) == stored.spec.assessment
    assert stored.spec == opened.spec
