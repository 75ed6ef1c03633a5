# SPDX-License-Identifier: Apache-2.0
"""Writes on cabgate's own objects, their status aside: who submitted, and who may create."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from cabgate.api import CABException, CABRequest, DeploymentIntent
from cabgate.api.intent import PLURAL as INTENTS
from cabgate.api.types import Gate, Submitter
from cabgate.breakglass import breakable, check_opened_for_glass
from cabgate.evidence import evidence_digest
from cabgate.exceptions import check_takes_exception
from cabgate.gatedtargets import check_targets
from cabgate.identity import Machines
from cabgate.imagedigests import changes_targets, check_digests
from cabgate.races import check_not_approver
from cabgate.refusal import Refusal, RefusalReason
from cabgate.requests import request_name
from cabgate.rings import ring_of
from cabgate.room import check_size
from cabgate.submitters import (
    added,
    changes_spec,
    check_requester,
    is_decided,
    requesters_of_update,
    submitters_of_update,
)
from cabgate.systemwrites import check_created, check_intent_status
from cabgate.targets import Workload
from cabgate.workloads import GatedKind, reference_of
from cabgate_webhook.admission import Answer, Review, metadata_of
from cabgate_webhook.apiserver import ApiServer
from cabgate_webhook.models import model_of

_GUARDED_METADATA = ("labels", "ownerReferences", "finalizers")


def stamp_submitters(review: Review, machines: Machines, kinds: Sequence[GatedKind] = ()) -> Answer:
    """The patch that makes `spec.submittedBy` say who really submitted, and `spec.requestedBy` who
    was named as requester. Raises `Refusal`, also for targets that can never match: what the schema
    says to those later is a 422 without the right spelling."""
    if review.resource == INTENTS:
        with contextlib.suppress(ValidationError):  # the schema says what it is about
            _check_targets(*_intents(review), kinds)
    spec = review.object.get("spec")
    if not isinstance(spec, Mapping):
        return Answer(allowed=True, reason="SubmittersKept")
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": f"/spec/{field}", "value": expected}
        if expected
        else {"op": "remove", "path": f"/spec/{field}"}
        for field, expected in _people(review, machines).items()
        if (spec.get(field) or []) != expected
    ]
    if not patch:
        return Answer(allowed=True, reason="SubmittersKept")
    return Answer(allowed=True, reason="SubmittersStamped", patch=patch)


def judge_submitters(review: Review, machines: Machines) -> Answer:
    """Refuse a write after which `spec.submittedBy` does not say who submitted, or
    `spec.requestedBy` not who was named."""
    spec = review.object.get("spec")
    for field, expected in _people(review, machines).items():
        found = spec.get(field) if isinstance(spec, Mapping) else None
        if (found or []) != expected:
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                "is kept by cabgate's webhook; another webhook or a removed one changed it, or its "
                "replicas are of two releases for a moment: try again",
                f"spec.{field}",
            )
    return Answer(allowed=True, reason="Submitted")


async def judge_intent(
    review: Review,
    api: ApiServer,
    default_ring: int,
    digests_from: int | None,
    machines: Machines,
    kinds: Sequence[GatedKind] = (),
) -> Answer:
    """The answer to a write of an intent: `judge_submitters`; whether it names a person as its
    requester; whether nobody changes what they approved; and if it says anew what is to run,
    whether that is gated, `kinds` beside those that always are, and from ring `digests_from` on
    named by digest. Raises `Refusal`."""
    answer = judge_submitters(review, machines)
    old, intent = _intents(review)
    check_size(old, intent)
    check_requester(old, intent, intent.spec.submitted_by, machines)
    if old is not None and changes_spec(old, intent):
        await _check_not_approver(review, old, intent, api)
    warnings = _check_targets(old, intent, kinds)
    if digests_from is not None and changes_targets(old, intent):
        labels = await api.namespace_labels(review.namespace)
        check_digests(intent, ring_of(labels, default_ring), digests_from)
    return replace(answer, warnings=warnings)


def _intents(review: Review) -> tuple[DeploymentIntent | None, DeploymentIntent]:
    """The intent of a review as it was (None: it is new), and as it would be. Raises
    `ValidationError`."""
    intent, old = DeploymentIntent.model_validate(review.object), None
    if review.operation != "CREATE":
        old = DeploymentIntent.model_validate(review.old_object)
    return old, intent


def _check_targets(
    old: DeploymentIntent | None, intent: DeploymentIntent, kinds: Sequence[GatedKind]
) -> list[str]:
    """What to warn of, if the intent says anew what is to run. Raises `Refusal` for targets that
    can never match."""
    return check_targets(intent, kinds) if changes_targets(old, intent) else []


async def _check_not_approver(
    review: Review, old: DeploymentIntent, new: DeploymentIntent, api: ApiServer
) -> None:
    """Raise `Refusal` if whoever approved what an intent declared changes it."""
    name = request_name(old.metadata.name, evidence_digest(old.spec))
    request = await api.request(review.namespace, name)
    if request is None:
        return
    exceptions: list[CABException] = []
    if request.spec.assessment.gate is Gate.EXCEPTION_REQUIRED:
        exceptions = await api.exceptions_for(review.namespace, [name])
    check_not_approver(old, new, review.user, request, exceptions)


async def judge_exception(review: Review, api: ApiServer, machines: Machines) -> Answer:
    """The answer to a write of an exception: a new one for a request that is not there is let
    through with a warning, since it may be applied together with its intent. Raises `Refusal` for
    a new one whose request takes none."""
    answer = judge_submitters(review, machines)
    if review.operation != "CREATE":
        return answer
    exception = CABException.model_validate(review.object)
    check_size(None, exception)
    name = exception.spec.request_ref.name
    request = await api.request(review.namespace, name)
    if request is not None:
        check_takes_exception(request)
        return answer
    warning = (
        f"there is no CABRequest {name} in namespace {review.namespace}: until there is, nobody "
        "can approve this exception"
    )
    return replace(answer, warnings=[warning])


def _people(review: Review, machines: Machines) -> dict[str, list[Any]]:
    """What the webhook keeps in the spec of an intent or an exception, by field."""
    submitters: Sequence[Submitter]
    if review.resource == "cabexceptions":
        if review.operation == "CREATE":
            submitters = added([], review.user, machines)
        else:
            submitters = CABException.model_validate(review.old_object).spec.submitted_by
        return {"submittedBy": [submitter.to_dict() for submitter in submitters]}
    old, intent = _intents(review)
    if old is None:
        submitters = added([], review.user, machines)
    else:
        submitters = submitters_of_update(old, intent, review.user, machines)
    return {
        "submittedBy": [submitter.to_dict() for submitter in submitters],
        "requestedBy": list(requesters_of_update(old, intent)),
    }


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
