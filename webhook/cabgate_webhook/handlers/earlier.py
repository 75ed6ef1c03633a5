# SPDX-License-Identifier: Apache-2.0
"""Whether a rollout goes back to what its workload ran before."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cabgate.lifecycle.state.standing import may_have_admitted
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
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads


@dataclass(frozen=True)
class Earlier:
    """What is kept of what the workload of a rollout ran."""

    api: LiveReads
    admission: AdmissionRequest
    template: Callable[[], Template | None]
    """What its containers are to do, without what stands beside its pod template: as revisions
    have it."""

    async def ran(self, rollout: Rollout) -> list[datetime]:
        """From when on the workload ran what it is to run now, once or several times; nothing of
        one that is new. Raises what `LiveReads` does."""
        workload, namespace = rollout.workload, rollout.namespace
        kept_as = KEPT_AS.get((workload.group, workload.kind))
        if kept_as is None or not self.admission.old_object:
            return []
        stored = await self.api.workload(namespace, workload) or {}
        uid = str((stored.get("metadata") or {}).get("uid") or "")
        kept = await self.api.revisions(namespace, kept_as[1], selected_by(stored))
        revisions = same_as(rollout.images, self.template(), revisions_of(workload, uid, kept))
        if kept_as == REPLICA_SET and revisions:
            sets = replica_sets(revisions)
            requests = await self.api.requests_naming(namespace, sets, at_once=True)
            revisions = made_by_controllers(revisions, may_have_admitted(requests))
        return [each.created for each in revisions]
