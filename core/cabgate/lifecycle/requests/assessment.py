# SPDX-License-Identifier: Apache-2.0
"""How a request is assessed: by the risk model, and by what holds under every model."""

from collections.abc import Sequence
from decimal import Decimal

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.intent import DeploymentIntentSpec
from cabgate.api.request import (
    Assessment,
    CABRequest,
    CABRequestSpec,
    Floor,
    Provenance,
    ProvenanceState,
)
from cabgate.api.riskmodel import RiskModel
from cabgate.api.types import Tier
from cabgate.lifecycle.history.precedent import earlier_verdict
from cabgate.lifecycle.requests.terms import floor_of
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import age_of
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.image_evidence import images_without_evidence, missing_images, stale_evidence
from cabgate.risk.scoring import assess

SCORE_UNPROVED = "ScoreNotRecomputable"
"""Name of the floor under a request whose score cannot be recomputed."""


def assessment_of(
    spec: DeploymentIntentSpec | CABRequestSpec,
    model: RiskModel = DEFAULT_RISK_MODEL,
    others: Sequence[RequestStanding] = (),
    provenance: Sequence[Provenance] = (),
    policy: ChangePolicy | None = None,
    ring: int = 0,
) -> Assessment:
    """Score and gate of what is to be rolled out.

    `others` are the requests of the namespace that name one of its workloads, and that came before;
    `provenance` says who speaks for the evidence, see `cabgate.risk.provenance`; `policy` is the
    change policy of the namespace, which is in `ring`.
    """
    floors = standing_floors(spec, others, others)
    missing = missing_images(spec.targets, spec.evidence)
    found = assess(spec.evidence, model, floors, missing, spec.targets, provenance)
    asked = None if policy is None else floor_of(policy, Decimal(found.score), ring, model)
    if asked is None:
        return found
    return assess(spec.evidence, model, [*floors, asked], missing, spec.targets, provenance)


def standing_floors(
    spec: DeploymentIntentSpec | CABRequestSpec,
    others: Sequence[RequestStanding],
    earlier: Sequence[RequestStanding],
) -> list[Floor]:
    """The floors that hold under every model: a person decides at least.

    `others` are the requests of the namespace that name one of its workloads, `earlier` those of
    them that came before.
    """
    found = (
        earlier_verdict(spec.targets, others),
        images_without_evidence(spec.targets, spec.evidence),
        stale_evidence(spec.targets, spec.evidence, earlier),
    )
    return [floor for floor in found if floor is not None]


def floors_now(
    request: CABRequest,
    others: Sequence[RequestStanding],
    model: RiskModel | None,
    provenance: Sequence[Provenance] = (),
) -> list[Floor]:
    """The floors of every model under a request as things stand: one keeps the system from
    approving it, also where there was none when it was opened.

    It may have been opened before this version of cabgate, together with another, before a refusal,
    or by a model that is no more. `others` are the requests of the namespace that name one of its
    workloads; the request itself does not count. `model` is the one that it was scored with, None
    if that is not there as it was; `provenance` says who speaks now for the evidence of its intent.
    """
    rest = [each for each in others if each.metadata.name != request.metadata.name]
    mine = age_of(request)
    floors = standing_floors(request.spec, rest, [each for each in rest if age_of(each) < mine])
    unproved = score_unproved(request, model, provenance)
    return floors if unproved is None else [*floors, unproved]


def score_unproved(
    request: CABRequest, model: RiskModel | None, provenance: Sequence[Provenance] = ()
) -> Floor | None:
    """The floor under a request whose score asks for nobody, and does not follow from its evidence
    now, by the model that it was scored with."""
    spec = request.spec
    if spec.assessment.gate is not Tier.AUTO_APPROVE:
        return None
    recorded = spec.assessment.risk_model
    named = f"RiskModel {recorded.name} {recorded.version} ({recorded.digest})"
    if model is None:
        why = (
            f"{named}, which the request was scored with, is gone or was replaced, so that its "
            "score cannot be recomputed; whoever runs cabgate may create that model again"
        )
    elif (
        evidence_digest(spec) != spec.evidence_digest
        or _assessed_now(spec, model, provenance) != spec.assessment
    ):
        why = _no_longer_signed(spec, model, provenance) or (
            f"score and digest do not follow from the evidence by {named}"
        )
    else:
        return None
    return Floor(name=SCORE_UNPROVED, gate=Tier.MANUAL_REVIEW, explanation=why)


def _no_longer_signed(
    spec: CABRequestSpec, model: RiskModel, provenance: Sequence[Provenance]
) -> str:
    """That a score rests on a signature that is trusted no more, such as of a key that was revoked
    since, and why; empty if it is not for that."""
    recorded = spec.assessment.provenance
    if _assessed_now(spec, model, recorded) != spec.assessment:
        return ""
    now = {each.section: each for each in provenance}
    changed = [
        now.get(each.section)
        or Provenance(section=each.section, state=ProvenanceState.DECLARED, why="nothing is signed")
        for each in recorded
        if now.get(each.section) != each
    ]
    parts: dict[str, list[str]] = {}
    for each in changed:
        if each.why:
            parts.setdefault(f"{each.state} now: {each.why}", []).append(each.section)
    if not parts:
        return ""
    reasons = "; ".join(f"{', '.join(sections)} {why}" for why, sections in parts.items())
    return f"who signed is not trusted as when it was opened: {reasons}"


def _assessed_now(
    spec: CABRequestSpec, model: RiskModel, provenance: Sequence[Provenance]
) -> Assessment:
    """The assessment of a request by who speaks for its evidence now. Who did when it was opened
    stays: of that, what counts is in the score."""
    found = assess(spec.evidence, model, targets=spec.targets, provenance=provenance)
    return found.model_copy(update={"provenance": spec.assessment.provenance})
