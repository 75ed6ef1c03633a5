# SPDX-License-Identifier: Apache-2.0
"""Freezes at a rollout and at a review: which there are, and who may override one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.changefreeze import OVERRIDE, PLURAL
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision
from cabgate.api.selectable import name_of, names_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads


@dataclass(frozen=True)
class Declared:
    """What is read of a namespace for its freezes."""

    labels: Mapping[str, str]
    """Labels of the namespace."""
    freezes: Sequence[Mapping[str, Any]]
    """Every ChangeFreeze, as the API server has it."""


async def declared_for(namespace: str, api: LiveReads) -> Declared:
    """The labels of a namespace and every freeze, as they are now. Raises `LookupFailed`."""
    reads = (api.namespace_labels(namespace), api.cluster_wide(PLURAL))
    return Declared(*await asyncio.gather(*reads))


async def check_overrides(
    admission: AdmissionRequest, entry: RequestDecision | ExceptionDecision, api: LiveReads
) -> None:
    """Raise `Refusal` unless the author of an approval may override each freeze that it names, all
    of which there are."""
    names = entry.overrides if isinstance(entry, RequestDecision) else []
    if not names:
        return
    stored, *held = await asyncio.gather(
        api.cluster_wide(PLURAL), *(_may_override(admission, name, api) for name in names)
    )
    _check_there(names, stored)
    lacking = [name for name, holds in zip(names, held, strict=True) if not holds]
    if lacking:
        raise Refusal(
            RefusalReason.NOT_AUTHORIZED,
            f"{admission.user.username} lacks the RBAC verb {OVERRIDE!r} on {PLURAL}.cabgate.dev "
            f"{', '.join(lacking)} in this namespace; ask someone who has it, or approve without "
            "overriding",
            "status.review.overrides",
        )


def _check_there(names: Sequence[str], stored: Sequence[Mapping[str, Any]]) -> None:
    unknown = sorted(set(names) - set(map(name_of, stored)))
    if unknown:
        raise Refusal(
            RefusalReason.INVALID,
            f"there is no ChangeFreeze {', '.join(unknown)}; there are: {names_of(stored)}",
            "status.review.overrides",
        )


async def _may_override(admission: AdmissionRequest, name: str, api: LiveReads) -> bool:
    namespace = admission.namespace
    return await api.may(
        admission.user, verb=OVERRIDE, resource=PLURAL, namespace=namespace, name=name
    )
