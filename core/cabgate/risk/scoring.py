# SPDX-License-Identifier: Apache-2.0
"""From evidence to a score, and from a score to a gate. Exact decimal arithmetic throughout."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from cabgate.api.evidence import Evidence
from cabgate.api.request import (
    Assessment,
    Factor,
    Floor,
    Provenance,
    ProvenanceState,
    RiskModelRef,
)
from cabgate.api.riskmodel import (
    NOT_APPLICABLE,
    FactorModel,
    FactorName,
    RiskModel,
    Unverified,
)
from cabgate.api.signer import Section
from cabgate.api.stored import StoredTarget
from cabgate.api.types import Tier
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL, digest_of
from cabgate.risk.evidence import incomplete_package
from cabgate.risk.facts import (
    FACTOR_FACTS,
    FACTOR_SECTIONS,
    FLOOR_FACTS,
    MAY_NOT_APPLY,
    Fact,
    Judged,
)
from cabgate.risk.image_evidence import all_third_party, third_party_images

HUNDRED = Decimal(100)

CONTRADICTED = "ContradictedEvidence"
"""Name of the floor under evidence of which a signer that is trusted says another thing."""

UNVERIFIED = "UnverifiedEvidence"
"""Name of the floor under what a model wants to have signed, and nobody signed."""

NOT_SIGNED = ", not signed"
"""How what was observed of a factor ends where it counts as missing, for want of a signature."""

SIGNED_OTHERWISE = ", signed otherwise"
"""How it ends where it counts as missing since a trusted signature says another thing."""

_SEVERITY = {Tier.AUTO_APPROVE: 0, Tier.MANUAL_REVIEW: 1, Tier.EXCEPTION_REQUIRED: 2}


def two_places(value: Decimal) -> Decimal:
    """Rounded half up to two places."""
    return value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def gate_for_score(score: Decimal, model: RiskModel = DEFAULT_RISK_MODEL) -> Tier:
    """The gate that a score asks for, floors aside.

    Raises `ValueError` for a score below 0 or above 100.
    """
    if not 0 <= score <= HUNDRED:
        raise ValueError(f"a score is from 0 to 100, not {score}")
    if score <= model.spec.auto_approve_up_to:
        return Tier.AUTO_APPROVE
    if score <= model.spec.manual_review_up_to:
        return Tier.MANUAL_REVIEW
    return Tier.EXCEPTION_REQUIRED


def stricter(first: Tier, second: Tier) -> Tier:
    """The gate of two that asks for more."""
    return max(first, second, key=_SEVERITY.__getitem__)


def weighted_score(risks: list[tuple[Decimal, Decimal]]) -> Decimal:
    """Score of pairs of weight and risk: 100 x their sum of products, rounded once, clamped."""
    total = HUNDRED * sum((weight * risk for weight, risk in risks), Decimal(0))
    return two_places(min(max(total, Decimal(0)), HUNDRED))


def assess(
    evidence: Evidence,
    model: RiskModel = DEFAULT_RISK_MODEL,
    standing: Sequence[Floor] = (),
    missing: Sequence[str] = (),
    targets: Sequence[StoredTarget] = (),
    provenance: Sequence[Provenance] = (),
) -> Assessment:
    """Score and gate of evidence under a risk model, with the reasons.

    `standing` are the floors that hold under every model and `missing` is what the evidence lacks
    beside what the model asks, see `cabgate.lifecycle.requests.assessment`, by which requests are
    assessed.
    `targets` are what is to be rolled out: without them no image is taken for somebody else's.
    `provenance` says who speaks for the parts of the evidence: for what is not in it, nobody.
    """
    # As it is stored and digested, without what is empty: the webhook recomputes this from the
    # stored copy, and `testResults: {}` must not be told apart from no testResults.
    evidence = Evidence.model_validate(evidence.to_dict())
    foreign = bool(targets) and all_third_party(targets, evidence)
    facts = {each.name: _fact(each, evidence, foreign=foreign) for each in model.spec.factors}
    signed = {each.section: each for each in provenance}
    spoken = {each.name: _spoken_for(each, facts[each.name], signed) for each in model.spec.factors}
    factors = [
        _factor(each, facts[each.name], spoken[each.name].found) for each in model.spec.factors
    ]
    score = weighted_score([(Decimal(f.weight), Decimal(f.risk)) for f in factors])
    uncounted = {
        spoken[each.name].section
        for each in model.spec.factors
        if _distrusted(each, spoken[each.name].found)
    }
    foreign = foreign and Section.ARTIFACTS not in uncounted
    judged = Judged(
        evidence,
        third_party_images(targets, evidence),
        not foreign or not _spares_tests(model),
        uncounted,
    )
    floors = [
        *standing,
        *_contradicted(provenance),
        *_unverified(model, spoken),
        *_floors(judged, model),
    ]
    gate = gate_for_score(score, model)
    for floor in floors:
        gate = stricter(gate, floor.gate)
    return Assessment(
        score=str(score),
        gate=gate,
        factors=factors,
        floors=floors,
        missing=[*_missing(judged, facts), *missing],
        provenance=list(provenance),
        risk_model=RiskModelRef(
            name=model.name, version=model.spec.version, digest=digest_of(model)
        ),
    )


def _fact(factor: FactorModel, evidence: Evidence, *, foreign: bool) -> Fact:
    """What the evidence says of a factor. What is declared counts, whoever built the images."""
    fact = FACTOR_FACTS[factor.name](evidence)
    spared = foreign and factor.name in MAY_NOT_APPLY and factor.not_applicable is not None
    if fact.value is None and spared:
        return Fact(NOT_APPLICABLE, "not applicable: built by somebody else")
    return fact


def _spares_tests(model: RiskModel) -> bool:
    """Whether a model has a band for images of which nobody here can have test results."""
    named = (each for each in model.spec.factors if each.name is FactorName.TEST_COVERAGE)
    return any(factor.not_applicable is not None for factor in named)


class _Spoken(NamedTuple):
    """The part of the evidence that says what is known of a factor, and who speaks for it."""

    section: Section
    found: Provenance | None


def _spoken_for(factor: FactorModel, fact: Fact, signed: Mapping[Section, Provenance]) -> _Spoken:
    """What does not apply is said by the artifacts, unless a signer knows a figure of it."""
    section = FACTOR_SECTIONS[factor.name]
    own = signed.get(section)
    known = own is not None and own.state is ProvenanceState.CONTRADICTED
    if fact.value == NOT_APPLICABLE and not known:
        return _Spoken(Section.ARTIFACTS, signed.get(Section.ARTIFACTS))
    return _Spoken(section, own)


def _contradicted(provenance: Sequence[Provenance]) -> list[Floor]:
    """The floor under evidence of which a signer says another thing, under every model."""
    found = [each for each in provenance if each.state is ProvenanceState.CONTRADICTED]
    said = "; ".join(f"{each.why} by EvidenceSigner {each.signer}" for each in found)
    if not found:
        return []
    return [Floor(name=CONTRADICTED, gate=Tier.MANUAL_REVIEW, explanation=said)]


def _unverified(model: RiskModel, spoken: Mapping[FactorName, _Spoken]) -> list[Floor]:
    """The floor under what a model wants to have signed."""
    names = [
        factor.name.value
        for factor in model.spec.factors
        if factor.unverified is Unverified.FLOOR and not _is_verified(spoken[factor.name].found)
    ]
    if not names:
        return []
    said = f"nobody who may signed what {', '.join(names)} {'reads' if len(names) == 1 else 'read'}"
    return [Floor(name=UNVERIFIED, gate=Tier.MANUAL_REVIEW, explanation=said)]


def _is_verified(found: Provenance | None) -> bool:
    return found is not None and found.state is ProvenanceState.VERIFIED


def _distrusted(factor: FactorModel, signed: Provenance | None) -> str:
    """Why what is declared of a factor counts as missing; empty if it counts."""
    if signed is not None and _is_contradicted(signed):
        return f"EvidenceSigner {signed.signer} signed another thing"
    worst = factor.unverified is Unverified.WORST_SCORE
    return "nobody who may signed it" if worst and not _is_verified(signed) else ""


def _is_contradicted(found: Provenance | None) -> bool:
    return found is not None and found.state is ProvenanceState.CONTRADICTED


def _factor(factor: FactorModel, fact: Fact, signed: Provenance | None) -> Factor:
    distrusted = "" if fact.value is None else _distrusted(factor, signed)
    band = factor.worst if fact.value is None or distrusted else factor.band(fact.value)
    contribution = two_places(HUNDRED * factor.weight * band.risk)
    scores = f"risk {band.risk}, {contribution} of {two_places(HUNDRED * factor.weight)} points"
    if fact.value is None:
        explanation = f"{', '.join(fact.missing)} missing: scores worst, {scores}"
    elif distrusted:
        explanation = f"{distrusted}: scores worst, {scores}"
    else:
        explanation = f"in the band {band.label!r}: {scores}"
    ending = SIGNED_OTHERWISE if _is_contradicted(signed) else NOT_SIGNED
    return Factor(
        name=factor.name.value,
        weight=str(factor.weight),
        observed=f"{fact.observed}{ending}" if distrusted else fact.observed,
        risk=str(band.risk),
        contribution=str(contribution),
        explanation=explanation,
    )


def _floors(judged: Judged, model: RiskModel) -> list[Floor]:
    reasons = [(floor, FLOOR_FACTS[floor.name](judged)) for floor in model.spec.floors]
    return [
        Floor(name=floor.name.value, gate=floor.gate, explanation=reason)
        for floor, reason in reasons
        if reason is not None
    ]


def _missing(judged: Judged, facts: Mapping[FactorName, Fact]) -> list[str]:
    of_factors = [path for fact in facts.values() for path in fact.missing]
    package = incomplete_package(judged.evidence, tests=judged.tests_apply)
    # The package names a part as a whole where all of it is missing; its fields then say nothing.
    fields = [path for path in of_factors if path.partition(".")[0] not in package]
    return list(dict.fromkeys(package + fields))
