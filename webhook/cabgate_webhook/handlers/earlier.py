# SPDX-License-Identifier: Apache-2.0
"""What went before a rollout: what its workload ran here, and what became of its release in the
rings before."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cabgate.api import RolloutOutcome
from cabgate.api.outcome import RELEASE_LABEL
from cabgate.lifecycle.limits.promotion import FITS_NONE, EarlierRings, OutcomeKey, key_of
from cabgate.lifecycle.state.standing import may_have_admitted
from cabgate.outcomes.writing import runs_still, workload_of
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
from cabgate.rollout.templates import Template, ring_template
from cabgate.text.refusal import Refusal
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import BudgetUsedUp, LookupFailed
from cabgate_webhook.handlers.running import running_now


@dataclass(frozen=True)
class Earlier:
    """What may let a rollout pass that is approved, and kept back all the same."""

    api: LiveReads
    admission: AdmissionRequest
    template: Callable[[], Template | None]
    """What its containers are to do, without what stands beside its pod template: as revisions
    have it."""

    async def ran(self, rollout: Rollout) -> list[datetime]:
        """From when on the workload, as it is stored, ran what it is to run now, by what its
        controller keeps; nothing where it is created. Raises what `LiveReads` does."""
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


async def earlier_rings(
    api: LiveReads, places: Mapping[str, Sequence[str] | None], template: Template | None
) -> EarlierRings:
    """What became of some releases, each in the namespaces that count or in all, as it is now;
    `template` is what the containers of the rollout do. Raises what `LiveReads` does."""
    with _told_of_no_other_namespace():
        found = await asyncio.gather(*(_outcomes(api, *each) for each in places.items()))
    by_release = dict(zip(places, found, strict=True))
    return EarlierRings(by_release, ring_template(template) or FITS_NONE)


async def still_running(
    api: LiveReads, outcomes: Sequence[RolloutOutcome]
) -> frozenset[OutcomeKey]:
    """Those of some outcomes whose workloads run now what they say. Raises what `LiveReads`
    does."""
    with _told_of_no_other_namespace():
        found = await asyncio.gather(*(_is_running(api, each) for each in outcomes))
    return frozenset(key_of(each) for each, so in zip(outcomes, found, strict=True) if so)


async def _is_running(api: LiveReads, outcome: RolloutOutcome) -> bool:
    workload = workload_of(outcome.spec.target)
    try:
        running = await running_now(api, outcome.metadata.namespace, workload)
    except Refusal:
        return False  # what cannot be read runs nothing that an outcome says
    return runs_still(outcome, running)


@contextmanager
def _told_of_no_other_namespace() -> Iterator[None]:
    """Have failed reads of other namespaces say what was read, and not where: the log has that."""
    try:
        yield
    except BudgetUsedUp as error:
        raise BudgetUsedUp(
            "what became of the release in the rings before comes to more than cabgate reads for "
            "one admission request. Have the change policy name the namespaces that count "
            "(namespaceSelector), or delete intents that name this release and are needed no more",
            error.brief,
        ) from error
    except LookupFailed as error:
        raise LookupFailed(
            "the RolloutOutcomes of the rings before, or what runs there, cannot be read: the log "
            "of cabgate-webhook says why",
            error.brief,
        ) from error


async def _outcomes(
    api: LiveReads, release: str, namespaces: Sequence[str] | None
) -> list[RolloutOutcome]:
    if namespaces is None:
        return await api.outcomes_of(release)
    label = f"{RELEASE_LABEL}={release}"
    lists = await asyncio.gather(*(api.outcomes(each, label) for each in namespaces))
    return [outcome for each in lists for outcome in each]
