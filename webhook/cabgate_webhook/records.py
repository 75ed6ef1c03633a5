# SPDX-License-Identifier: Apache-2.0
"""Writes on cabgate's own objects, their status aside: who submitted, and who may create."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cabgate.api import CABException, CABRequest, DeploymentIntent
from cabgate.api.types import Submitter
from cabgate.breakglass import breakable, check_opened_for_glass
from cabgate.imagedigests import changes_targets, check_digests
from cabgate.refusal import Refusal, RefusalReason
from cabgate.rings import ring_of
from cabgate.submitters import added, is_decided, submitters_of_update
from cabgate.systemwrites import check_created, check_intent_status
from cabgate.targets import Workload
from cabgate.workloads import reference_of
from cabgate_webhook.admission import Answer, Review, metadata_of
from cabgate_webhook.apiserver import ApiServer
from cabgate_webhook.models import model_of

_GUARDED_METADATA = ("labels", "ownerReferences", "finalizers")


def stamp_submitters(review: Review) -> Answer:
    """The patch that makes `spec.submittedBy` say who really submitted. Raises `Refusal`."""
    expected = [submitter.to_dict() for submitter in _submitters(review)]
    spec = review.object.get("spec")
    if not isinstance(spec, Mapping) or (spec.get("submittedBy") or []) == expected:
        return Answer(allowed=True, reason="SubmittersKept")
    patch = [{"op": "add", "path": "/spec/submittedBy", "value": expected}]
    return Answer(allowed=True, reason="SubmittersStamped", patch=patch)


def judge_submitters(review: Review) -> Answer:
    """Refuse a write after which `spec.submittedBy` does not say who submitted."""
    spec = review.object.get("spec")
    found = spec.get("submittedBy") if isinstance(spec, Mapping) else None
    if (found or []) != [submitter.to_dict() for submitter in _submitters(review)]:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            "is kept by cabgate's webhook; another webhook or a removed one changed it",
            "spec.submittedBy",
        )
    return Answer(allowed=True, reason="Submitted")


async def judge_intent(
    review: Review, api: ApiServer, default_ring: int, digests_from: int | None
) -> Answer:
    """The answer to a write of an intent: `judge_submitters`, and from ring `digests_from` on
    whether its images are named by digest, if it says anew what is to run. Raises `Refusal`."""
    answer = judge_submitters(review)
    if digests_from is None:
        return answer
    intent = DeploymentIntent.model_validate(review.object)
    old = None
    if review.operation != "CREATE":
        old = DeploymentIntent.model_validate(review.old_object)
    if changes_targets(old, intent):
        labels = await api.namespace_labels(review.namespace)
        check_digests(intent, ring_of(labels, default_ring), digests_from)
    return answer


async def judge_exception(review: Review, api: ApiServer) -> Answer:
    """The answer to a write of an exception: a new one for a request that is not there is let
    through with a warning, since it may be applied together with its intent."""
    answer = judge_submitters(review)
    if review.operation != "CREATE":
        return answer
    name = CABException.model_validate(review.object).spec.request_ref.name
    if await api.request(review.namespace, name) is not None:
        return answer
    warning = (
        f"there is no CABRequest {name} in namespace {review.namespace}: until there is, nobody "
        "can approve this exception"
    )
    return replace(answer, warnings=[warning])


def _submitters(review: Review) -> Sequence[Submitter]:
    if review.operation == "CREATE":
        return added([], review.user)
    if review.resource == "cabexceptions":
        return CABException.model_validate(review.old_object).spec.submitted_by
    old = DeploymentIntent.model_validate(review.old_object)
    return submitters_of_update(old, DeploymentIntent.model_validate(review.object), review.user)


async def judge_intent_status(review: Review, api: ApiServer, operator: str) -> Answer:
    """Refuse a write of an intent's status by anybody but the operator, and by the operator what
    is not so: the list of submitters depends on it."""
    if review.user.username == operator:
        intent = DeploymentIntent.model_validate(review.object)
        name = intent.status.request_name
        request = await api.request(review.namespace, name) if name and is_decided(intent) else None
        check_intent_status(intent, request)
        return Answer(allowed=True, reason="SystemWrite")
    if review.object.get("status") == review.old_object.get("status"):
        return Answer(allowed=True, reason="Unchanged")
    raise Refusal(
        RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
        "the status of an intent is written by the operator; to approve, patch the status of its "
        "CABRequest",
        "status",
    )


async def judge_request(review: Review, api: ApiServer, operator: str) -> Answer:
    """The answer to a write of a request, its status aside. Raises `Refusal`."""
    if review.operation == "CREATE":
        return await _judge_new_request(review, api, operator)
    for name in _GUARDED_METADATA:
        _check_guarded(name, metadata_of(review.old_object), metadata_of(review.object))
    return Answer(allowed=True, reason="MetadataWrite")


async def _judge_new_request(review: Review, api: ApiServer, operator: str) -> Answer:
    if review.user.username != operator:
        raise Refusal(
            RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
            "requests are created by the operator: apply a DeploymentIntent, and it will open one",
        )
    request = CABRequest.model_validate(review.object)
    for name in ("ownerReferences", "finalizers"):
        if metadata_of(review.object).get(name):
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                "a request has none: it is a record and outlives its intent",
                f"metadata.{name}",
            )
    if request.spec.intent_ref is None:
        await _check_glass(review, request, api)
        return Answer(allowed=True, reason="GlassBroken")
    intent, others, model = await asyncio.gather(
        api.intent(review.namespace, request.spec.intent_ref.name),
        api.requests_naming(review.namespace, map(Workload.of, request.spec.targets)),
        model_of(review.namespace, api),
    )
    check_created(request, intent, others, model)
    return Answer(allowed=True, reason="RequestOpened")


async def _check_glass(review: Review, request: CABRequest, api: ApiServer) -> None:
    """Raise `Refusal` unless the workload of a request says that its glass was broken so."""
    target = request.spec.targets[0]
    kind = breakable(target.api_version, target.kind)
    workload = referred = None
    if kind is not None:
        workload = await api.workload(review.namespace, Workload.of(target))
        reference = None if workload is None else reference_of(kind, workload)
        if reference is not None:
            referred = await api.workload(review.namespace, reference)
    check_opened_for_glass(request, workload, referred)


def _check_guarded(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    before, after = old.get(name) or [], new.get(name) or []
    removed_finalizers = name == "finalizers" and all(item in before for item in after)
    if before != after and not removed_finalizers:
        raise Refusal(
            RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
            "a request is a record: it is found by its labels and outlives what it is about; "
            "use annotations for notes",
            f"metadata.{name}",
        )
