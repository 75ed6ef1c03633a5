# SPDX-License-Identifier: Apache-2.0
"""Risk models: which one holds for a namespace, and which may be stored."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from cabgate.api import CABRequest, RiskModel
from cabgate.api.changepolicy import DEFAULT_LABEL as DEFAULT_POLICY
from cabgate.api.changepolicy import PLURAL as POLICIES
from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.riskmodel import DEFAULT_LABEL, PLURAL
from cabgate.lifecycle.requests.terms import policy_problems
from cabgate.risk.model_choice import NoModel, choose_model, recorded_model
from cabgate.risk.model_rules import model_problems
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest, metadata_of
from cabgate_webhook.client.apiserver import LiveReads


async def model_of(namespace: str, api: LiveReads) -> tuple[RiskModel | NoModel, Mapping[str, str]]:
    """The model that holds for a namespace now, and the labels of that, by which it is chosen."""
    labels, models = await asyncio.gather(api.namespace_labels(namespace), api.cluster_wide(PLURAL))
    return choose_model(labels, models), labels


async def judge_policy(admission: AdmissionRequest, api: LiveReads) -> AdmissionAnswer:
    """The answer to a write of a change policy. Raises `Refusal` for one that makes no sense."""
    policy = ChangePolicy.model_validate(admission.object)
    problems = policy_problems(policy)
    if problems:
        first, *others = problems
        more = "".join(f"; {problem}" for problem in others)
        raise Refusal(RefusalReason.INVALID, first.message + more, first.field)
    warnings: list[str] = []
    if policy.is_default:
        others_marked = sorted(
            set(_marked(await api.cluster_wide(POLICIES), DEFAULT_POLICY)) - {policy.name}
        )
        if others_marked:
            warnings.append(
                f"ChangePolicy {', '.join(others_marked)} is marked {DEFAULT_POLICY}=true as well: "
                "until one alone is, no request is opened in namespaces that name no policy"
            )
    return AdmissionAnswer(allowed=True, reason="ChangePolicyValid", warnings=warnings)


async def model_behind(request: CABRequest, api: LiveReads) -> RiskModel | None:
    """The model that a request was scored with, if it is still there as it was."""
    return recorded_model(request.spec.assessment.risk_model, await api.cluster_wide(PLURAL))


async def judge_model(admission: AdmissionRequest, api: LiveReads) -> AdmissionAnswer:
    """The answer to a write of a risk model. Raises `Refusal` for one that makes no sense."""
    model = RiskModel.model_validate(admission.object)
    problems = model_problems(model)
    if problems:
        first, *others = problems
        more = "".join(f"; {problem}" for problem in others)
        raise Refusal(RefusalReason.INVALID, first.message + more, first.field)
    return AdmissionAnswer(
        allowed=True, reason="RiskModelValid", warnings=await _warnings(model, api)
    )


async def _warnings(model: RiskModel, api: LiveReads) -> list[str]:
    if not model.is_default:
        return []
    marked = _marked(await api.cluster_wide(PLURAL), DEFAULT_LABEL)
    others = sorted({*marked} - {model.name})
    if not others:
        return []
    return [
        f"RiskModel {', '.join(others)} is marked {DEFAULT_LABEL}=true as well: until one alone "
        "is, no request is opened in namespaces that name no model"
    ]


def _marked(items: Iterable[Mapping[str, Any]], label: str) -> list[str]:
    """The names of those that are marked default by a label."""
    return [
        str(metadata_of(item).get("name"))
        for item in items
        if (metadata_of(item).get("labels") or {}).get(label) == "true"
    ]
