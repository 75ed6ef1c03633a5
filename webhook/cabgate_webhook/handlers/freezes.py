# SPDX-License-Identifier: Apache-2.0
"""Freezes at a rollout and where one is overridden: which there are, and who may."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.changefreeze import OVERRIDE, PLURAL
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision
from cabgate.api.selectable import name_of, names_of
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.overrides import FIELD, check_overrides_more
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
    admission: AdmissionRequest,
    entry: RequestDecision | ExceptionDecision,
    request: RequestStanding,
    api: LiveReads,
) -> None:
    """Raise `Refusal` unless the author of an approval of a request may override each freeze that
    it names, all of which there are, and that does something."""
    names = entry.overrides if isinstance(entry, RequestDecision) else []
    if not names:
        return
    declared, held = await asyncio.gather(
        declared_for(admission.namespace, api),
        asyncio.gather(*(_may_override(admission, name, api) for name in names)),
    )
    _check_there(names, declared.freezes)
    lacking = [name for name, holds in zip(names, held, strict=True) if not holds]
    if lacking:
        raise Refusal(
            RefusalReason.NOT_AUTHORIZED,
            f"{admission.user.username} lacks the RBAC verb {OVERRIDE!r} on {PLURAL}.cabgate.dev "
            f"{', '.join(lacking)} in this namespace; ask someone who has it, or approve without "
            "overriding",
            FIELD,
        )
    check_overrides_more(names, request, declared.freezes, declared.labels, entry.at)


def _check_there(names: Sequence[str], stored: Sequence[Mapping[str, Any]]) -> None:
    unknown = sorted(set(names) - set(map(name_of, stored)))
    if unknown:
        raise Refusal(
            RefusalReason.INVALID,
            f"there is no ChangeFreeze {', '.join(unknown)}; there are: {names_of(stored)}",
            FIELD,
        )


async def _may_override(admission: AdmissionRequest, name: str, api: LiveReads) -> bool:
    namespace = admission.namespace
    return await api.may(
        admission.user, verb=OVERRIDE, resource=PLURAL, namespace=namespace, name=name
    )
