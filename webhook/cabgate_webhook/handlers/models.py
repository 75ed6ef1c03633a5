# SPDX-License-Identifier: Apache-2.0
"""Risk models, change policies and freezes: which model holds for a namespace, and which of those
may be stored."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cabgate.api import CABRequest, RiskModel
from cabgate.api.base import rfc3339
from cabgate.api.changefreeze import KIND, ChangeFreeze, FreezeKind
from cabgate.api.changepolicy import PLURAL as POLICIES
from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.riskmodel import PLURAL
from cabgate.api.selectable import NoneHolds, Selectable, SpecProblem, marked_default, name_of
from cabgate.lifecycle.limits.promotion import overridden_ring
from cabgate.lifecycle.requests.terms import policy_problems, policy_warnings
from cabgate.risk.model_choice import choose_model, recorded_model
from cabgate.risk.model_rules import model_problems
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads


async def model_of(
    namespace: str, api: LiveReads
) -> tuple[RiskModel | NoneHolds, Mapping[str, str]]:
    """The model that holds for a namespace now, and the labels of that, by which it is chosen."""
    labels, models = await asyncio.gather(api.namespace_labels(namespace), api.cluster_wide(PLURAL))
    return choose_model(labels, models), labels


async def model_behind(request: CABRequest, api: LiveReads) -> RiskModel | None:
    """The model that a request was scored with, if it is still there as it was."""
    return recorded_model(request.spec.assessment.risk_model, await api.cluster_wide(PLURAL))


async def judge_policy(admission: AdmissionRequest, api: LiveReads) -> AdmissionAnswer:
    """The answer to a write of a change policy. Raises `Refusal` for one that makes no sense."""
    policy = ChangePolicy.model_validate(admission.object)
    answer = await _answer(policy, policy_problems(policy), POLICIES, api)
    return replace(answer, warnings=[*answer.warnings, *policy_warnings(policy)])


def judge_freeze(admission: AdmissionRequest, now: datetime) -> AdmissionAnswer:
    """The answer to a write of a freeze. Raises `ValidationError` for a moment that is none, and
    `Refusal` for a name that means something else."""
    freeze = ChangeFreeze.model_validate(admission.object)
    if admission.operation == "CREATE" and overridden_ring(freeze.metadata.name) is not None:
        raise Refusal(
            RefusalReason.INVALID,
            f"{freeze.metadata.name} is what an approval names that overrides a promotion, and "
            "would override this freeze as well; call it otherwise",
            "metadata.name",
        )
    end = max(each.until for each in freeze.spec.intervals)
    over = [f"its last interval ended at {rfc3339(end)}: it holds for nothing"]
    if freeze.spec.kind is FreezeKind.WINDOW:
        over = [f"its last interval ended at {rfc3339(end)}: what it is about is frozen for good"]
    return AdmissionAnswer(allowed=True, reason=f"{KIND}Valid", warnings=over if end <= now else [])


async def judge_model(admission: AdmissionRequest, api: LiveReads) -> AdmissionAnswer:
    """The answer to a write of a risk model. Raises `Refusal` for one that makes no sense."""
    model = RiskModel.model_validate(admission.object)
    return await _answer(model, model_problems(model), PLURAL, api)


async def _answer(
    written: Selectable, problems: Sequence[SpecProblem], plural: str, api: LiveReads
) -> AdmissionAnswer:
    if problems:
        first, *others = problems
        more = "".join(f"; {problem}" for problem in others)
        raise Refusal(RefusalReason.INVALID, first.message + more, first.field)
    return AdmissionAnswer(
        allowed=True,
        reason=f"{written.kind}Valid",
        warnings=await _second_default(written, plural, api),
    )


async def _second_default(written: Selectable, plural: str, api: LiveReads) -> list[str]:
    """A warning if another object is marked as the default too."""
    if not written.is_default:
        return []
    marked = marked_default(type(written), await api.cluster_wide(plural))
    others = sorted({*map(name_of, marked)} - {written.name})
    if not others:
        return []
    return [
        f"{written.kind} {', '.join(others)} is marked {written.default_label}=true as well: until "
        f"one alone is, no request is opened in namespaces that name no {written.noun}"
    ]
