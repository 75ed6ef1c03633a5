# SPDX-License-Identifier: Apache-2.0
"""The gate: whether what an object rolls out is admitted."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from cabgate.api import CABException
from cabgate.decision import Decision, Rollout
from cabgate.gate import covering, decide
from cabgate.identity import SERVICE_ACCOUNTS, Machines
from cabgate.pods import PodTemplateError
from cabgate.rings import HIGHEST, effective_ring, ring_of
from cabgate.workloads import GatedKind, kind_of, reference_of, rollout_of
from cabgate_webhook.admission import Answer, Review, metadata_of
from cabgate_webhook.apiserver import ApiServer

GATED_SUBRESOURCES = frozenset({"", "ephemeralcontainers"})
"""Subresources through which images come in; none means the object itself."""


async def judge_rollout(
    review: Review,
    kind: GatedKind,
    api: ApiServer,
    default_ring: int,
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
) -> Answer:
    """The answer to a rollout. Raises `LookupFailed` where the API server does not answer."""
    try:
        rollout = await _rollout(review, kind, api)
    except PodTemplateError as error:
        return Answer(allowed=False, reason="MalformedObject", message=f"MalformedObject: {error}")
    requests = await api.requests_naming(review.namespace, rollout.workloads, whole=False)
    # What the highest ring admits, each ring admits: the namespace need not be read.
    decision = decide(rollout, HIGHEST, requests, (), now)
    if decision.allowed and not decision.warnings:
        return _answer(decision)
    names = [request.metadata.name for request in covering(rollout, requests)]
    exceptions: list[CABException] = []
    if names and not decision.allowed:
        labels, exceptions = await asyncio.gather(
            api.namespace_labels(review.namespace), api.exceptions_for(review.namespace, names)
        )
    else:
        labels = await api.namespace_labels(review.namespace)
    ring = _ring(labels, review, default_ring)
    return _answer(decide(rollout, ring, requests, exceptions, now, machines))


async def _rollout(review: Review, kind: GatedKind, api: ApiServer) -> Rollout:
    obj, old = _named(review), review.old_object or None
    reference = reference_of(kind, obj)
    # What does not exist yet runs nothing, and is gated itself when it comes.
    referred = None if reference is None else await api.workload(review.namespace, reference)
    return rollout_of(kind, review.namespace, obj, old, referred)


def _named(review: Review) -> Mapping[str, object]:
    """The object, with the name that the URL gives it where it has none itself."""
    metadata = metadata_of(review.object)
    if metadata.get("name") or not review.name:
        return review.object
    return {**review.object, "metadata": {**metadata, "name": review.name}}


def _ring(namespace_labels: Mapping[str, str], review: Review, default_ring: int) -> int:
    """Ring of the rollout; of an update, the larger of before and after, so that no write opens
    the gate for itself."""
    before = ring_of(_labels(review.old_object), 0)
    return max(before, effective_ring(namespace_labels, _labels(review.object), default_ring))


def _labels(obj: Mapping[str, object]) -> Mapping[str, str]:
    return metadata_of(obj).get("labels") or {}


def _answer(decision: Decision) -> Answer:
    request = decision.evidence.request
    return Answer(
        allowed=decision.allowed,
        reason=decision.reason,
        message=decision.message,
        warnings=decision.warnings,
        correlation_id="" if request is None else request.spec.correlation_id,
    )


def gated_kind(review: Review, configured: Sequence[GatedKind] = ()) -> GatedKind | None:
    """The kind whose rollout a review asks about; None if it asks about something else."""
    if review.subresource not in GATED_SUBRESOURCES:
        return None
    api_version, kind = review.object.get("apiVersion"), review.object.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    return kind_of(api_version, kind, configured)
