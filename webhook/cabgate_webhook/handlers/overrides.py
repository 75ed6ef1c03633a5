# SPDX-License-Identifier: Apache-2.0
"""Who may override a freeze, or the promotion into a ring."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from cabgate.api import CABRequest
from cabgate.api.changefreeze import PLURAL as FREEZES
from cabgate.api.changepolicy import OVERRIDE
from cabgate.api.changepolicy import PLURAL as POLICIES
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision
from cabgate.lifecycle.limits.promotion import overridden_ring
from cabgate.lifecycle.state.standing import standing_of
from cabgate.writes.overrides import (
    check_freezes_there,
    check_held,
    check_overrides_more,
    check_promotions_asked,
)
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads


async def check_overrides(
    admission: AdmissionRequest,
    entry: RequestDecision | ExceptionDecision,
    request: CABRequest,
    api: LiveReads,
) -> None:
    """Raise `Refusal` unless the author of an approval may override each freeze and each promotion
    that it names, all of which there are, and that does something."""
    names = entry.overrides if isinstance(entry, RequestDecision) else []
    if not names:
        return
    freezes = [name for name in names if overridden_ring(name) is None]
    promotions = [name for name in names if name not in freezes]
    labels: Mapping[str, str] = {}
    stored: Sequence[Mapping[str, Any]] = ()
    if freezes:
        labels, stored = await asyncio.gather(
            api.namespace_labels(admission.namespace), api.cluster_wide(FREEZES)
        )
        await _check_freezes(admission, freezes, stored, api)
    if promotions:
        await _check_promotions(admission, promotions, request, api)
    check_overrides_more(names, standing_of(request), stored, labels, entry.at)


async def _check_freezes(
    admission: AdmissionRequest,
    names: Sequence[str],
    stored: Sequence[Mapping[str, Any]],
    api: LiveReads,
) -> None:
    check_freezes_there(names, stored)
    held = await asyncio.gather(*(_may_override(admission, FREEZES, name, api) for name in names))
    lacking = [name for name, holds in zip(names, held, strict=True) if not holds]
    check_held(lacking, FREEZES, admission.namespace, admission.user.username)


async def _check_promotions(
    admission: AdmissionRequest, names: Sequence[str], request: CABRequest, api: LiveReads
) -> None:
    """By the policy that the request was opened under: whoever writes another one changes nothing
    of it."""
    check_promotions_asked(names, request)
    terms = request.spec.terms
    if terms is not None and not await _may_override(admission, POLICIES, terms.policy.name, api):
        check_held([terms.policy.name], POLICIES, admission.namespace, admission.user.username)


async def _may_override(
    admission: AdmissionRequest, plural: str, name: str, api: LiveReads
) -> bool:
    namespace = admission.namespace
    return await api.may(
        admission.user, verb=OVERRIDE, resource=plural, namespace=namespace, name=name
    )
