# SPDX-License-Identifier: Apache-2.0
"""What runs in the rings before, as far as the caller may read it."""

from collections.abc import Sequence

from cabgate.api import CABRequest
from cabgate.api.kinds import GatedKind
from cabgate.lifecycle.limits.promotion import EarlierRings, OutcomeKey, key_of, to_look_at
from cabgate.outcomes.running import outcome_kind, running_workload
from cabgate.outcomes.writing import runs_still, workload_of
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import GATED_FROM, HIGHEST
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.workloads import kind_of, reference_of
from cabgate.text.inert import inert
from cabgate_kube.resources import Object, Resource
from cabgate_portal.problems import Problem
from cabgate_portal.reading import NOT_READABLE, Notes, Reader


async def still_running(
    reader: Reader,
    requests: Sequence[CABRequest],
    rollout: Rollout,
    earlier: EarlierRings,
    notes: Notes,
) -> frozenset[OutcomeKey]:
    """Of the outcomes by which alone a rollout would be let in, into whatever ring, those whose
    workloads run now what they say. What the caller may not read is none of them, and noted."""
    now, found = reader.clock(), set()
    meeting = {
        key_of(each): each
        for ring in range(GATED_FROM, HIGHEST + 1)
        for each in to_look_at(requests, ring, rollout.images, earlier, now)
    }
    for key, each in meeting.items():
        workload = workload_of(each.spec.target)
        kind = outcome_kind(workload.group, workload.kind)
        try:
            stored = await _stored(reader, kind, key[0], workload.name)
            if kind is not None and stored is not None:
                referred = await referred_by(reader, kind, key[0], stored)
                if runs_still(each, running_workload(kind, stored, referred)):
                    found.add(key)
        except PodTemplateError:
            continue  # what cannot be read runs nothing that an outcome says
        except Problem as problem:
            if problem.status not in NOT_READABLE:
                raise
            why = inert(problem.detail)
            notes.texts.append(f"whether it runs in the ring before still is not known: {why}")
    return frozenset(found)


async def referred_by(
    reader: Reader, kind: GatedKind, namespace: str, stored: Object
) -> Object | None:
    """What the `workloadRef` of an Argo Rollout names; None where there is none. Raises `Problem`,
    and `PodTemplateError` for a reference that is none."""
    reference = reference_of(kind, stored)
    if reference is None:
        return None
    of_kind = kind_of(f"{reference.group}/", reference.kind)
    return await _stored(reader, of_kind, namespace, reference.name)


async def _stored(
    reader: Reader, kind: GatedKind | None, namespace: str, name: str
) -> Object | None:
    """A workload; None where there is none. Raises `Problem`."""
    if kind is None:
        return None
    try:
        resource = Resource(kind.api_version, kind.kind, kind.resource)
        return await reader.api.get(resource, namespace, name)
    except Problem as problem:
        if problem.status != 404:
            raise
        return None
