# SPDX-License-Identifier: Apache-2.0
"""What a risk model makes of evidence that nobody signed, or that somebody signed otherwise."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import CABRequest, Provenance, ProvenanceState
from cabgate.api.riskmodel import FactorName, RiskModel, Unverified
from cabgate.api.signer import Section
from cabgate.api.types import Tier
from cabgate.gate.phrases import assessment_details
from cabgate.lifecycle.requests.assessment import assessment_of, floors_now, score_unproved
from cabgate.lifecycle.requests.break_glass import recomputed
from cabgate.lifecycle.requests.opening import has_other_evidence, request_for
from cabgate.risk.builtin_model import BUILT_IN, DEFAULT_RISK_MODEL, SECOND_RISK_MODEL
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.facts import FACTOR_SECTIONS
from cabgate.risk.next_release import next_release
from cabgate.risk.provenance import provenance_of
from cabgate.risk.scoring import stricter
from cabgate_samples.models import NOW, target
from cabgate_samples.objects import GOOD
from unit.core.risk.signing import IMAGE, LABELS, OTHER_IMAGE, changed, signed, signer, unsigned

STATE = {state: state.value for state in ProvenanceState}


def demanding(what: Unverified, base: RiskModel = DEFAULT_RISK_MODEL) -> RiskModel:
    factors = [each.model_copy(update={"unverified": what}) for each in base.spec.factors]
    return base.model_copy(update={"spec": base.spec.model_copy(update={"factors": factors})})


WORST, FLOOR = demanding(Unverified.WORST_SCORE), demanding(Unverified.FLOOR)


def said(state: str, *sections: Section) -> list[Provenance]:
    return [
        Provenance(section=each, state=ProvenanceState(state), signer="ci", why="x", path="x")
        for each in sections or Section
    ]


def test_where_nothing_is_asked_for_a_signature_changes_neither_score_nor_old_digest() -> None:
    plain, with_one = unsigned().spec, signed().spec
    for model in BUILT_IN.values():
        bare, verified = (
            assessment_of(plain, model),
            assessment_of(with_one, model, provenance=said("Verified")),
        )
        assert verified.model_copy(update={"provenance": []}) == bare
        assert "provenance" not in bare.to_dict()
    assert "unverified" not in str(DEFAULT_RISK_MODEL.to_dict())
    accepting = demanding(Unverified.ACCEPT)
    assert assessment_of(plain, accepting).score == assessment_of(plain).score


def test_with_worst_score_what_nobody_signed_counts_as_missing() -> None:
    found = assessment_of(unsigned().spec, WORST)
    assert (found.score, found.gate) == ("100.00", Tier.EXCEPTION_REQUIRED)
    assert found.factors[0].observed == "95 %, not signed"
    assert found.factors[0].explanation.startswith("nobody who may signed it: scores worst")
    found = assessment_of(unsigned().spec, WORST, provenance=said("Verified"))
    assert (found.score, found.gate) == ("0.00", Tier.AUTO_APPROVE)
    half = assessment_of(
        unsigned().spec, WORST, provenance=said("Verified", Section.TEST_RESULTS, Section.SCOPE)
    )
    assert half.score == "55.00"


def test_with_a_floor_a_person_decides_and_reads_of_what() -> None:
    found = assessment_of(unsigned().spec, FLOOR, provenance=said("Verified", Section.SCOPE))
    assert (found.score, found.gate) == ("0.00", Tier.MANUAL_REVIEW)
    [floor] = found.floors
    assert floor.name == "UnverifiedEvidence"
    assert "testCoverage, securityFindings, manualTesting, rollback" in floor.explanation
    assert "changeScope" not in floor.explanation
    assert assessment_of(unsigned().spec, FLOOR, provenance=said("Verified")).floors == []


def test_what_a_signer_contradicts_scores_worst_and_waits_for_a_person_under_every_model() -> None:
    for model in (*BUILT_IN.values(), WORST, FLOOR):
        found = assessment_of(
            unsigned().spec, model, provenance=said("Contradicted", Section.SCAN_RESULTS)
        )
        factor = found.factors[1]
        assert (factor.risk, factor.observed) == ("1", "0 critical, 0 high, signed otherwise")
        assert "EvidenceSigner ci signed another thing" in factor.explanation
        assert "ContradictedEvidence" in [floor.name for floor in found.floors]
        assert found.gate is not Tier.AUTO_APPROVE


def test_who_built_an_image_is_said_by_the_artifacts() -> None:
    bare = {key: GOOD[key] for key in GOOD if key not in ("testResults", "manualTesting")}
    chart = {"name": "chart", "images": [IMAGE], "origin": "ThirdParty"}
    spec = unsigned({**bare, "artifacts": [chart]}).spec
    model = demanding(Unverified.WORST_SCORE, SECOND_RISK_MODEL)
    rest = [section for section in Section if section is not Section.ARTIFACTS]
    for sections, risk in ((rest, "1"), ([*rest, Section.ARTIFACTS], "0.5")):
        found = assessment_of(spec, model, provenance=said("Verified", *sections))
        assert found.factors[0].risk == risk


def test_a_denial_says_that_it_is_for_want_of_a_signature() -> None:
    for model, provenance, seen in (
        (FLOOR, [], "nobody who may signed what testCoverage, "),
        (WORST, [], "since no trusted signature says the same: testCoverage, "),
        (DEFAULT_RISK_MODEL, said("Contradicted", Section.SCOPE), "x by EvidenceSigner ci."),
    ):
        found = request_for(unsigned(), 2, model=model, provenance=provenance)
        assert seen in " ".join(assessment_details(found))
    verified = request_for(unsigned(), 2, model=WORST, provenance=said("Verified"))
    assert assessment_details(verified) == []


FIGURES = st.fixed_dictionaries(
    {},
    optional={
        "testResults": st.fixed_dictionaries(
            {"coveragePercent": st.integers(2, 100), "passed": st.integers(0, 9)}
        ),
        "scanResults": st.fixed_dictionaries({"critical": st.integers(0, 3), "high": st.just(0)}),
        "manualTesting": st.fixed_dictionaries(
            {"status": st.sampled_from(["Completed", "InProgress", "NotStarted"])}
        ),
        "rollbackPlan": st.fixed_dictionaries({"validated": st.booleans()}),
        "scope": st.fixed_dictionaries({"affectedComponents": st.integers(0, 20)}),
    },
)


@given(FIGURES, st.sets(st.sampled_from(list(Section))))
def test_no_number_that_nobody_signed_lowers_a_score(
    figures: dict[str, Any], verified: set[Section]
) -> None:
    """Whatever is declared beside it, the score is that of what is verified alone."""
    kept = {key: value for key, value in figures.items() if key in verified}
    provenance = said("Verified", *verified) if verified else []
    with_all = assessment_of(unsigned(figures).spec, WORST, provenance=provenance)
    alone = assessment_of(unsigned(kept).spec, WORST, provenance=provenance)
    assert Decimal(with_all.score) == Decimal(alone.score)


def demanding_of(*names: FactorName, base: RiskModel = DEFAULT_RISK_MODEL) -> RiskModel:
    """A model that counts as missing what nobody signed of some factors."""
    worst = {"unverified": Unverified.WORST_SCORE}
    factors = [
        each.model_copy(update=worst) if each.name in names else each for each in base.spec.factors
    ]
    return base.model_copy(update={"spec": base.spec.model_copy(update={"factors": factors})})


def test_figures_that_nobody_signed_do_not_make_the_package_complete() -> None:
    """Else who signs nothing is approved by score, at 50.00, where a person is asked if the very
    same figures are left out."""
    model = demanding_of(FactorName.TEST_COVERAGE, FactorName.SECURITY_FINDINGS)
    for provenance in ([], said("Declared"), said("Verified", Section.SCOPE)):
        found = assessment_of(unsigned().spec, model, provenance=provenance)
        assert (found.score, found.gate) == ("50.00", Tier.MANUAL_REVIEW)
        [floor] = found.floors
        assert floor.name == "IncompleteEvidence"
        assert floor.explanation == (
            "the evidence package lacks testResults (not signed), scanResults (not signed)"
        )
        assert found.missing == []
    verified = said("Verified", Section.TEST_RESULTS, Section.SCAN_RESULTS)
    assert assessment_of(unsigned().spec, model, provenance=verified).floors == []


def test_that_somebody_else_built_an_image_spares_no_tests_if_nobody_signed_it() -> None:
    """By a model without the floor ThirdPartyImages, which would ask for a person anyway."""
    bare = {key: GOOD[key] for key in GOOD if key != "testResults"}
    chart = {"name": "chart", "images": [IMAGE], "origin": "ThirdParty"}
    spec = unsigned({**bare, "artifacts": [chart]}).spec
    model = demanding_of(FactorName.TEST_COVERAGE, base=SECOND_RISK_MODEL)
    kept = [each for each in model.spec.floors if each.name != "ThirdPartyImages"]
    model = model.model_copy(update={"spec": model.spec.model_copy(update={"floors": kept})})
    found = assessment_of(spec, model)
    assert (found.factors[0].risk, found.gate) == ("1", Tier.MANUAL_REVIEW)
    assert "testResults" in found.missing
    signed_so = said("Verified", Section.ARTIFACTS)
    assert assessment_of(spec, model, provenance=signed_so).gate is Tier.AUTO_APPROVE


def test_who_built_an_image_hides_no_figure_that_a_signer_knows() -> None:
    bare = {key: GOOD[key] for key in GOOD if key not in ("testResults", "manualTesting")}
    chart = {"name": "chart", "images": [IMAGE], "origin": "ThirdParty"}
    spec = unsigned({**bare, "artifacts": [chart]}).spec
    for state in ([], said("Verified", Section.ARTIFACTS)):
        provenance = [*state, *said("Contradicted", Section.TEST_RESULTS)]
        found = assessment_of(spec, SECOND_RISK_MODEL, provenance=provenance)
        assert [each.risk for each in found.factors if each.name == "testCoverage"] == ["1"]


@given(
    FIGURES,
    st.sets(st.sampled_from(list(Section))),
    st.sets(st.sampled_from(list(FactorName))),
    st.booleans(),
)
def test_nothing_that_nobody_signed_lowers_a_gate(
    figures: dict[str, Any], verified: set[Section], demanded: set[FactorName], foreign: bool
) -> None:
    """Where a factor counts as missing what nobody signed, to leave it out is no worse."""
    artifact = {"name": "checkout", "images": [IMAGE]}
    if foreign:
        artifact["origin"] = "ThirdParty"
    plan = {"uri": "https://example.com/plan"}
    seen = {"deploymentPlan": plan, "rollbackPlan": plan, **figures, "artifacts": [artifact]}
    for base in (DEFAULT_RISK_MODEL, SECOND_RISK_MODEL):
        model = demanding_of(*demanded, base=base)
        dropped = {FACTOR_SECTIONS[name].value for name in demanded} - {*verified}
        kept = {key: value for key, value in seen.items() if key not in dropped}
        provenance = said("Verified", *verified) if verified else []
        with_all = assessment_of(unsigned(seen).spec, model, provenance=provenance)
        alone = assessment_of(unsigned(kept).spec, model, provenance=provenance)
        assert stricter(with_all.gate, alone.gate) is with_all.gate


def opened(model: RiskModel = WORST) -> tuple[CABRequest, list[Provenance]]:
    of = signed(sections=None)
    speaking = provenance_of(of, LABELS, [signer()], NOW)
    found: CABRequest = request_for(of, 2, model=model, provenance=speaking)
    return found, speaking


def test_a_request_holds_no_envelope_and_has_the_digest_of_its_intent() -> None:
    found, _ = opened()
    [kept] = found.spec.evidence.attestations or []
    assert list(kept.to_dict()) == ["sha256"]
    assert "payload" not in str(found.to_dict())
    assert evidence_digest(found.spec) == found.spec.evidence_digest
    assert evidence_digest(signed().spec) != evidence_digest(unsigned().spec)


def test_a_score_that_rests_on_a_signature_is_no_more_without_it() -> None:
    found, speaking = opened()
    assert found.spec.assessment.gate is Tier.AUTO_APPROVE
    assert score_unproved(found, WORST, speaking) is None
    for now in ([], said("Declared"), said("Contradicted")):
        assert score_unproved(found, WORST, now) is not None
        assert [f.name for f in floors_now(found, [], WORST, now)] == ["ScoreNotRecomputable"]
    accepted, speaking = opened(DEFAULT_RISK_MODEL)
    for now in ([], said("Declared"), speaking):
        assert score_unproved(accepted, DEFAULT_RISK_MODEL, now) is None
    assert score_unproved(accepted, DEFAULT_RISK_MODEL, said("Contradicted")) is not None


def test_who_waits_for_a_revoked_key_reads_that_and_not_that_the_score_is_wrong() -> None:
    of = signed()
    found, _ = opened()
    revoked = score_unproved(found, WORST, provenance_of(of, LABELS, [], NOW))
    assert revoked is not None
    assert "artifacts, testResults, " in revoked.explanation
    assert revoked.explanation.count(" Declared now: attestation 1: no key") == 1
    late = score_unproved(found, WORST, provenance_of(of, LABELS, [signer()], NOW + timedelta(3)))
    assert late is not None
    assert "older than EvidenceSigner ci allows, 24h" in late.explanation
    other = found.spec.assessment.model_copy(update={"score": "1.00"})
    forged = found.model_copy(update={"spec": found.spec.model_copy(update={"assessment": other})})
    why = score_unproved(forged, WORST, provenance_of(of, LABELS, [], NOW))
    assert why is not None
    assert "do not follow from the evidence" in why.explanation


def test_the_ledger_recomputes_a_score_by_who_signed_when_it_was_opened() -> None:
    found, _ = opened()
    assert recomputed(found.spec, WORST).score == found.spec.assessment.score == "0.00"


def test_to_sign_what_is_declared_is_no_other_evidence() -> None:
    found, _ = opened()
    assert not has_other_evidence(found, unsigned())
    worse = changed(signed(), testResults={"coveragePercent": 1})
    assert has_other_evidence(found, worse)


def test_what_was_signed_goes_with_the_images_that_it_is_about() -> None:
    spec = signed().spec
    same = next_release(spec, spec.targets)
    assert same.evidence.attestations == spec.evidence.attestations
    named = unsigned(GOOD, OTHER_IMAGE).spec.targets
    assert next_release(spec, named).evidence.attestations is None
    assert target("checkout", OTHER_IMAGE)["images"] == named[0].images
