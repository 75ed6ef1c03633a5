# SPDX-License-Identifier: Apache-2.0
"""Whether what a request says of its evidence follows from it: digest, score and gate."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pydantic import ValidationError

from cabgate.api.request import CABRequest
from cabgate.api.riskmodel import RiskModel
from cabgate.api.types import Tier
from cabgate.ledger.findings import Finding, FindingCode
from cabgate.ledger.links import RawObject
from cabgate.lifecycle.requests.break_glass import recomputed
from cabgate.risk.builtin_model import BUILT_IN
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.model_rules import model_problems

Models = Mapping[str, RiskModel]
"""Risk models by their digest, which is how a request names the content of its own."""


def by_digest(models: Iterable[RawObject]) -> Models:
    """Risk models as the API server has them, and the built-in ones. What is no valid model scored
    nothing."""
    found = dict(BUILT_IN)
    for raw in models:
        try:
            model = RiskModel.model_validate(raw)
        except ValidationError:
            continue
        if not model_problems(model):
            found.setdefault(model.digest, model)
    return found


def check_assessment(request: CABRequest, where: str, models: Models) -> Iterator[Finding]:
    """That digest, score and gate of a request follow from its evidence, as far as its model is
    there.

    The gate may be higher than the evidence asks for: earlier verdicts count as well.
    """
    spec = request.spec
    if evidence_digest(spec) != spec.evidence_digest:
        message = "spec.evidenceDigest is not that of its targets, images and evidence"
        yield Finding(FindingCode.WRONG_ASSESSMENT, where, message)
    model = models.get(spec.assessment.risk_model.digest)
    if model is None:
        return
    right = recomputed(spec, model)
    order = list(Tier)
    if spec.assessment.score != right.score:
        message = f"score {spec.assessment.score} does not follow from its evidence: {right.score}"
        yield Finding(FindingCode.WRONG_ASSESSMENT, where, message)
    if order.index(spec.assessment.gate) < order.index(right.gate):
        message = f"gate {spec.assessment.gate} does not follow from its evidence: {right.gate}"
        yield Finding(FindingCode.WRONG_ASSESSMENT, where, message)


def without_model(requests: Iterable[RawObject], models: Models) -> dict[str, int]:
    """How many requests were scored by a model that is not there, by its name."""
    found: Counter[str] = Counter()
    for raw in requests:
        try:
            named = CABRequest.model_validate(raw).spec.assessment.risk_model
        except ValidationError:
            continue  # a finding tells of it
        if named.digest not in models:
            found[named.name] += 1
    return dict(sorted(found.items()))
