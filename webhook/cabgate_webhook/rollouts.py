# SPDX-License-Identifier: Apache-2.0
"""The gate: whether a workload's new pod template is admitted."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cabgate.decision import Decision, Rollout
from cabgate.gate import covering, decide
from cabgate.pods import PodTemplateError, template_images
from cabgate.rings import effective_ring, ring_of
from cabgate.targets import Workload, group_of
from cabgate_webhook.admission import Answer, Review, metadata_of
from cabgate_webhook.apiserver import ApiServer

GATED_RESOURCES = frozenset(
    {("apps", "deployments"), ("apps", "statefulsets"), ("apps", "daemonsets")}
)
"""Group and resource of the workloads whose rollouts are judged."""


async def judge_rollout(review: Review, api: ApiServer, default_ring: int, now: datetime) -> Answer:
    """The answer to a rollout. Raises `LookupFailed` where the API server does not answer."""
    try:
        rollout = _rollout(review)
    except PodTemplateError as error:
        return Answer(allowed=False, reason="MalformedObject", message=f"MalformedObject: {error}")
    labels, requests = await asyncio.gather(
        api.namespace_labels(review.namespace),
        api.requests_for(review.namespace, rollout.workload),
    )
    ring = _ring(labels, review, default_ring)
    decision = decide(rollout, ring, requests, (), now)
    if not decision.allowed:
        names = [request.metadata.name for request in covering(rollout, requests)]
        if names:
            exceptions = await api.exceptions_for(review.namespace, names)
            decision = decide(rollout, ring, requests, exceptions, now)
    return _answer(decision)


def _rollout(review: Review) -> Rollout:
    obj = review.object
    spec = obj.get("spec")
    template = spec.get("template") if isinstance(spec, Mapping) else None
    kind = obj.get("kind")
    if not isinstance(kind, str) or not isinstance(obj.get("apiVersion"), str):
        raise PodTemplateError("object: neither apiVersion nor kind")
    name = review.name or str(metadata_of(obj).get("name") or "")
    return Rollout(
        namespace=review.namespace,
        workload=Workload(group_of(obj["apiVersion"]), kind, name),
        images=template_images(template),
    )


def _ring(namespace_labels: Mapping[str, str], review: Review, default_ring: int) -> int:
    """Ring of the rollout; of an update, the larger of before and after, so that no write opens
    the gate for itself."""
    before = ring_of(_labels(review.old_object), 0)
    return max(before, effective_ring(namespace_labels, _labels(review.object), default_ring))


def _labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    return metadata_of(obj).get("labels") or {}


def _answer(decision: Decision) -> Answer:
    return Answer(
        allowed=decision.allowed,
        reason=decision.reason,
        message=decision.message,
        warnings=decision.warnings,
    )


def is_gated(review: Review) -> bool:
    """Whether the review is of a workload whose rollouts are judged."""
    return (review.group, review.resource) in GATED_RESOURCES and not review.subresource
