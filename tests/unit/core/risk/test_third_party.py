# SPDX-License-Identifier: Apache-2.0
"""Images that somebody else built: what need not be shown of them, and what saying so of one's own
image comes to."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.request import Assessment
from cabgate.api.riskmodel import Band, RiskModel
from cabgate.api.types import Tier
from cabgate.lifecycle.requests.assessment import assessment_of, score_unproved
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.builtin_model import BUILT_IN, DEFAULT_RISK_MODEL, SECOND_RISK_MODEL
from cabgate.risk.improvements import improvements
from cabgate.risk.model_rules import model_problems
from cabgate_samples.models import intent, target
from cabgate_samples.objects import GOOD

CHART, OWN = "quay.io/other/chart@sha256:" + "a" * 64, "registry/own@sha256:" + "b" * 64
BARE: dict[str, Any] = {
    key: value for key, value in GOOD.items() if key not in ("testResults", "manualTesting")
}


def artifact(image: str, origin: str | None = "ThirdParty", name: str = "it") -> dict[str, Any]:
    return {"name": name, "images": [image], **({"origin": origin} if origin else {})}


def assessed(
    *artifacts: dict[str, Any],
    images: tuple[str, ...] = (CHART,),
    model: RiskModel = SECOND_RISK_MODEL,
    evidence: dict[str, Any] = BARE,
) -> Assessment:
    declared = {**evidence, "artifacts": list(artifacts)}
    made = intent(declared, [target("checkout", *images)], named=False)
    return assessment_of(made.spec, model)


def observed(found: Assessment) -> dict[str, tuple[str, str]]:
    return {each.name: (each.observed, each.risk) for each in found.factors}


def floors(found: Assessment) -> list[str]:
    return [floor.name for floor in found.floors]


def test_of_an_image_that_somebody_else_built_no_tests_are_asked_and_a_person_agrees() -> None:
    found = assessed(artifact(CHART))
    said = ("not applicable: built by somebody else", "0.5")
    assert observed(found)["testCoverage"] == observed(found)["manualTesting"] == said
    assert (found.score, found.gate) == ("20.00", Tier.MANUAL_REVIEW)
    assert found.missing == []
    [floor] = found.floors
    assert (floor.name, floor.gate) == ("ThirdPartyImages", Tier.MANUAL_REVIEW)
    assert CHART in floor.explanation
    assert "declared as built by somebody else" in floor.explanation


def test_saying_so_of_ones_own_image_never_has_the_system_approve_it() -> None:
    """The attack: leave out 60 percent coverage, and call the image somebody else's."""
    for claimed in ("ThirdParty", None):
        found = assessed(artifact(OWN, claimed), images=(OWN,))
        assert found.gate is not Tier.AUTO_APPROVE, claimed
        assert improvements(found) is None or claimed is None, "nobody is told to change a claim"


@pytest.mark.parametrize("order", [(CHART, OWN), (OWN, CHART)])
def test_one_image_of_our_own_among_them_has_tests_to_show(order: tuple[str, ...]) -> None:
    for own in ([artifact(OWN, None, "own")], []):
        found = assessed(artifact(CHART), *own, images=order)
        assert observed(found)["testCoverage"] == ("missing", "1")
        assert found.missing[:1] == ["testResults"]
        assert {"IncompleteEvidence", "ThirdPartyImages"} <= set(floors(found))


def test_a_claim_about_images_that_no_target_has_says_nothing() -> None:
    found = assessed(artifact(OWN), artifact(CHART, None, "chart"))
    assert observed(found)["testCoverage"] == ("missing", "1")
    assert "ThirdPartyImages" not in floors(found)
    assert "ThirdPartyImages" not in floors(assessed({"name": "x", "origin": "ThirdParty"}))


def test_what_is_declared_counts_whoever_built_the_image() -> None:
    tests = {"coveragePercent": 60, "passed": 1, "failed": 1}
    worse = {**BARE, "testResults": tests, "manualTesting": {"status": "NotStarted"}}
    found = assessed(artifact(CHART), evidence=worse)
    assert observed(found)["testCoverage"] == ("60 %", "1")
    assert observed(found)["manualTesting"] == ("NotStarted", "1")
    assert "FailedTests" in floors(found)
    half = assessed(artifact(CHART), evidence={**BARE, "testResults": {"skipped": 1}})
    assert "testResults.failed" in half.missing, "what is begun is not complete"


def test_a_model_without_such_a_band_scores_as_it_always_did() -> None:
    claimed = assessed(artifact(CHART), model=DEFAULT_RISK_MODEL)
    assert claimed == assessed(artifact(CHART, None), model=DEFAULT_RISK_MODEL)
    assert DEFAULT_RISK_MODEL.digest.endswith("852a"), "requests recorded the digest"
    assert next(iter(BUILT_IN.values())) is DEFAULT_RISK_MODEL


def test_where_nothing_is_claimed_both_versions_say_the_same() -> None:
    old, new = (assessed(artifact(OWN, None), images=(OWN,), model=m) for m in BUILT_IN.values())
    assert old.model_copy(update={"risk_model": new.risk_model}) == new


def test_the_claim_is_in_the_digest_and_follows_from_the_request() -> None:
    def opened(origin: str | None) -> Any:
        declared = {**BARE, "artifacts": [artifact(CHART, origin)]}
        made = intent(declared, [target("checkout", CHART)], named=False)
        return request_for(made, 2, model=lenient())

    claimed, plain = opened("ThirdParty"), opened(None)
    assert claimed.spec.evidence_digest != plain.spec.evidence_digest
    assert claimed.spec.assessment.gate is Tier.AUTO_APPROVE, "an installation may have it so"
    assert score_unproved(claimed, lenient()) is None
    forged = claimed.model_copy(
        update={"spec": claimed.spec.model_copy(update={"evidence": plain.spec.evidence})}
    )
    assert score_unproved(forged, lenient()) is not None


def lenient() -> RiskModel:
    kept = [f for f in SECOND_RISK_MODEL.spec.floors if f.name != "ThirdPartyImages"]
    spec = SECOND_RISK_MODEL.spec.model_copy(update={"floors": kept})
    return SECOND_RISK_MODEL.model_copy(update={"spec": spec})


@given(st.sets(st.sampled_from([CHART, OWN, "side:1"]), min_size=1), st.booleans())
def test_a_claim_never_asks_for_less_than_a_person(images: set[str], named: bool) -> None:
    claims = [artifact(each, name=each[:20]) for each in sorted(images)]
    own = [artifact(OWN, None, "own")] if named else []
    found = assessed(*claims, *own, images=tuple(sorted({*images, OWN})))
    assert found.gate is not Tier.AUTO_APPROVE


def with_bands(number: int, bands: list[Band]) -> RiskModel:
    factors = list(SECOND_RISK_MODEL.spec.factors)
    factors[number] = factors[number].model_copy(update={"bands": bands})
    spec = SECOND_RISK_MODEL.spec.model_copy(update={"factors": factors})
    return SECOND_RISK_MODEL.model_copy(update={"spec": spec})


def test_both_built_in_models_make_sense() -> None:
    assert [model_problems(model) for model in BUILT_IN.values()] == [[], []]


@pytest.mark.parametrize("first", [True, False])
def test_the_band_may_stand_anywhere_and_once(first: bool) -> None:
    band = Band(label="n/a", risk=Decimal("0.5"), value="NotApplicable")
    plain = DEFAULT_RISK_MODEL.spec.factors[0].bands
    assert model_problems(with_bands(0, [band, *plain] if first else [*plain, band])) == []
    [twice] = model_problems(with_bands(0, [band, *plain, band]))
    assert twice.message == "NotApplicable stands in a band before"
    assert model_problems(with_bands(0, [band]))
    limited = band.model_copy(update={"up_to": Decimal(5)})
    assert "is no number" in str(model_problems(with_bands(0, [limited, *plain])))


@pytest.mark.parametrize("number", [1, 2, 4])
def test_no_other_factor_has_it(number: int) -> None:
    band = Band(label="n/a", risk=Decimal(0), value="NotApplicable")
    bands = SECOND_RISK_MODEL.spec.factors[number].bands
    found = model_problems(with_bands(number, [*bands, band]))
    assert "can be said of manualTesting and testCoverage alone" in str(found[0])


def test_missing_evidence_never_falls_into_that_band() -> None:
    band = Band(label="n/a", risk=Decimal(1), value="NotApplicable")
    plain = [each.model_copy(update={"risk": Decimal("0.2")}) for each in
             DEFAULT_RISK_MODEL.spec.factors[0].bands]  # fmt: skip
    found = assessed(artifact(OWN, None), images=(OWN,), model=with_bands(0, [band, *plain]))
    assert observed(found)["testCoverage"] == ("missing", "0.2")
