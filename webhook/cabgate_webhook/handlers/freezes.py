# SPDX-License-Identifier: Apache-2.0
"""Freezes at a rollout: which hold, which it is a rollback of before, who may override one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.changefreeze import OVERRIDE, PLURAL
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision
from cabgate.api.selectable import name_of, names_of
from cabgate.lifecycle.limits.freezes import FreezeInForce, without_rollbacks
from cabgate.rollout.earlier import (
    KEPT_AS,
    REPLICA_SET,
    made_by_controllers,
    replica_sets,
    revisions_of,
    same_as,
    selected_by,
)
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.templates import Template
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


@dataclass(frozen=True)
class Freezes:
    """What may keep back a rollout in a namespace that carries a change policy."""

    api: LiveReads
    admission: AdmissionRequest
    template: Callable[[], Template | None]
    """What its containers are to do, without what stands beside its pod template: as revisions
    have it."""

    async def declared(self) -> Declared:
        """The labels of the namespace and every freeze, as they are now. Raises `LookupFailed`."""
        reads = (self.api.namespace_labels(self.admission.namespace), self.api.cluster_wide(PLURAL))
        return Declared(*await asyncio.gather(*reads))

    async def of_no_rollback(
        self, rollout: Rollout, freezes: Sequence[FreezeInForce]
    ) -> list[FreezeInForce]:
        """Those of some freezes before which the workload did not run what it is to run now. Raises
        what `LiveReads` does."""
        workload, namespace = rollout.workload, rollout.namespace
        kept_as = KEPT_AS.get((workload.group, workload.kind))
        if kept_as is None or not self.admission.old_object:
            return list(freezes)
        stored = await self.api.workload(namespace, workload) or {}
        uid = str((stored.get("metadata") or {}).get("uid") or "")
        kept = await self.api.revisions(namespace, kept_as[1], selected_by(stored))
        revisions = same_as(rollout.images, self.template(), revisions_of(workload, uid, kept))
        if kept_as == REPLICA_SET and revisions:
            sets = replica_sets(revisions)
            requests = await self.api.requests_naming(namespace, sets, at_once=True)
            revisions = made_by_controllers(revisions, requests)
        return without_rollbacks(freezes, [each.created for each in revisions])


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
