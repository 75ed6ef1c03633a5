# SPDX-License-Identifier: Apache-2.0
"""Writes on cabgate's own objects, their status aside: who submitted, and who may create."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import ValidationError

from cabgate.api import CABEvidence, CABException, CABRequest, DeploymentIntent
from cabgate.api.changepolicy import PLURAL as POLICIES
from cabgate.api.intent import PLURAL as INTENTS
from cabgate.api.kinds import GatedKind
from cabgate.api.request import Provenance
from cabgate.api.signer import PLURAL as SIGNERS
from cabgate.api.types import Submitter, Tier
from cabgate.lifecycle.limits.budget import check_opening
from cabgate.lifecycle.limits.capacity import check_size
from cabgate.lifecycle.requests.break_glass import (
    breakable,
    check_opened_for_glass,
    check_stamped,
    template_taken_from,
)
from cabgate.lifecycle.requests.kept_evidence import check_evidence, may_have_evidence
from cabgate.lifecycle.requests.terms import choose_policy
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.review.identity import Machines
from cabgate.review.races import check_not_approver, requests_behind
from cabgate.review.submitters import (
    added,
    changes_spec,
    check_requester,
    is_decided,
    requesters_of_update,
    submitters_of_update,
)
from cabgate.risk.evidence import check_moments, evidence_digest
from cabgate.risk.provenance import check_not_contradicted
from cabgate.rollout.gated_targets import check_targets
from cabgate.rollout.image_names import check_images
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import may_be_required
from cabgate.text.refusal import Refusal, RefusalReason, check_all
from cabgate.writes.image_digests import changes_targets, check_digests
from cabgate.writes.system import check_created, check_intent_status
from cabgate.writes.template_forms import check_forms
from cabgate_kube.resources import Object
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.guarded import check_untied, judge_metadata
from cabgate_webhook.handlers.models import model_of
from cabgate_webhook.handlers.signed import provenance_now
from cabgate_webhook.handlers.telling import Telling

AS_IT_COMES = InstallationSettings()
"""An installation that nothing was set of."""


def stamp_submitters(
    admission: AdmissionRequest, machines: Machines, kinds: Sequence[GatedKind] = ()
) -> AdmissionAnswer:
    """The patch that makes `spec.submittedBy` say who really submitted, and `spec.requestedBy` who
    was named as requester. Raises `Refusal`, also for all that `_check_content` refuses: what the
    schema says later to targets that can never match is a 422 without the right spelling."""
    if admission.resource == INTENTS:
        with contextlib.suppress(ValidationError):  # the schema says what it is about
            old, intent = _intents(admission)
            check_size(old, intent)
            _check_content(
                old, intent, kinds, machines, _submitters(admission, old, intent, machines)
            )
    spec = admission.object.get("spec")
    if not isinstance(spec, Mapping):
        return AdmissionAnswer(allowed=True, reason="SubmittersKept")
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": f"/spec/{field}", "value": expected}
        if expected
        else {"op": "remove", "path": f"/spec/{field}"}
        for field, expected in _people(admission, machines).items()
        if (spec.get(field) or []) != expected
    ]
    if not patch:
        return AdmissionAnswer(allowed=True, reason="SubmittersKept")
    return AdmissionAnswer(allowed=True, reason="SubmittersStamped", patch=patch)


def judge_submitters(admission: AdmissionRequest, machines: Machines) -> AdmissionAnswer:
    """Refuse a write after which `spec.submittedBy` does not say who submitted, or
    `spec.requestedBy` not who was named."""
    spec = admission.object.get("spec")
    for field, expected in _people(admission, machines).items():
        found = spec.get(field) if isinstance(spec, Mapping) else None
        if (found or []) != expected:
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                "is kept by cabgate's webhook; another webhook or a removed one changed it, or its "
                "replicas are of two releases for a moment: try again",
                f"spec.{field}",
            )
    return AdmissionAnswer(allowed=True, reason="Submitted")


async def judge_intent(
    admission: AdmissionRequest,
    api: LiveReads,
    installation: InstallationSettings,
    digests_from: int | None,
    machines: Machines,
    telling: Telling,
    now: datetime,
) -> AdmissionAnswer:
    """The answer to a write of an intent: `judge_submitters`; whether it names a person as its
    requester; whether nobody changes what they approved; and if it says anew what is to run,
    whether that is gated as the installation is set, and from ring `digests_from` on named by
    digest. Raises `Refusal`."""
    answer = judge_submitters(admission, machines)
    old, intent = _intents(admission)
    check_size(old, intent)
    digests: list[Callable[[], object]] = []
    if digests_from is not None and changes_targets(old, intent):
        labels = await api.namespace_labels(admission.namespace)
        ring = installation.namespace_ring(admission.namespace, labels)
        digests.append(partial(check_digests, intent, ring, digests_from))
    warnings = _check_content(
        old, intent, installation.kinds, machines, intent.spec.submitted_by, *digests
    )
    anew = old is None or evidence_digest(old.spec) != evidence_digest(intent.spec)
    signed: Sequence[Provenance] = ()
    if old is None or changes_spec(old, intent):
        _, signed = await asyncio.gather(
            _check_not_approver(admission, old, intent, api),
            provenance_now(intent if anew else None, api, now),
        )
    if anew:
        check_not_contradicted(signed)
        said = await telling.warning_of(intent, api, installation, machines, signed)
        warnings = [*warnings, said]
    return replace(answer, warnings=warnings)


def _intents(admission: AdmissionRequest) -> tuple[DeploymentIntent | None, DeploymentIntent]:
    """The intent of an admission request as it was (None: it is new), and as it would be. Raises
    `ValidationError`."""
    intent, old = DeploymentIntent.model_validate(admission.object), None
    if admission.operation != "CREATE":
        old = DeploymentIntent.model_validate(admission.old_object)
    return old, intent


def _check_content(
    old: DeploymentIntent | None,
    intent: DeploymentIntent,
    kinds: Sequence[GatedKind],
    machines: Machines,
    submitters: Sequence[Submitter],
    *more: Callable[[], object],
) -> list[str]:
    """What to warn of, if the intent says anew what is to run. Raises one `Refusal` of all that is
    wrong in it: targets that can never match, images and times that are none, a requester who is no
    person, and what `more` refuses."""
    before = None if old is None else old.spec
    warnings: list[str] = []

    def targets() -> None:
        if changes_targets(old, intent):
            warnings.extend(check_targets(intent, kinds))

    check_all(
        partial(check_images, before, intent.spec),
        partial(check_moments, before, intent.spec),
        partial(check_forms, before, intent.spec),
        targets,
        partial(check_requester, old, intent, submitters, machines),
        *more,
    )
    return warnings


async def _check_not_approver(
    admission: AdmissionRequest, old: DeploymentIntent | None, new: DeploymentIntent, api: LiveReads
) -> None:
    """Raise `Refusal` if whoever approved what an intent declares, or did, writes it."""
    names = requests_behind(old, new)
    reads = (_request_and_exceptions(admission.namespace, name, api) for name in names)
    for request, exceptions in await asyncio.gather(*reads):
        if request is not None:
            check_not_approver(old, new, admission.user, WholeRequest.of(request), exceptions)


async def _request_and_exceptions(
    namespace: str, name: str, api: LiveReads
) -> tuple[CABRequest | None, list[CABException]]:
    """The request of a name, and the exceptions that may have approved it."""
    request = await api.request(namespace, name)
    if request is None or request.spec.assessment.gate is not Tier.EXCEPTION_REQUIRED:
        return request, []
    return request, await api.exceptions_for(namespace, [name])


def _people(admission: AdmissionRequest, machines: Machines) -> dict[str, list[Any]]:
    """What the webhook keeps in the spec of an intent or an exception, by field."""
    submitters: Sequence[Submitter]
    if admission.resource == "cabexceptions":
        if admission.operation == "CREATE":
            submitters = added([], admission.user, machines)
        else:
            submitters = CABException.model_validate(admission.old_object).spec.submitted_by
        return {"submittedBy": [submitter.to_dict() for submitter in submitters]}
    old, intent = _intents(admission)
    submitters = _submitters(admission, old, intent, machines)
    return {
        "submittedBy": [submitter.to_dict() for submitter in submitters],
        "requestedBy": list(requesters_of_update(old, intent)),
    }


def _submitters(
    admission: AdmissionRequest,
    old: DeploymentIntent | None,
    new: DeploymentIntent,
    machines: Machines,
) -> Sequence[Submitter]:
    """Who has submitted an intent, once it is written."""
    if old is None:
        return added([], admission.user, machines)
    return submitters_of_update(old, new, admission.user, machines)


async def judge_intent_status(
    admission: AdmissionRequest, api: LiveReads, operator: str
) -> AdmissionAnswer:
    """Refuse a write of an intent's status by anybody but the operator, and by the operator what
    is not so: the list of submitters depends on it."""
    if admission.user.username == operator:
        intent = DeploymentIntent.model_validate(admission.object)
        name = intent.status.request_name
        request = (
            await api.request(admission.namespace, name) if name and is_decided(intent) else None
        )
        check_intent_status(intent, request)
        return AdmissionAnswer(allowed=True, reason="SystemWrite")
    if admission.object.get("status") == admission.old_object.get("status"):
        return AdmissionAnswer(allowed=True, reason="Unchanged")
    raise Refusal(
        RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
        "the status of an intent is written by the operator; to approve, patch the status of its "
        "CABRequest",
        "status",
    )


async def judge_request(
    admission: AdmissionRequest,
    api: LiveReads,
    operator: str,
    now: datetime,
    excluded: Collection[str] = (),
    installation: InstallationSettings = AS_IT_COMES,
) -> AdmissionAnswer:
    """The answer to a write of a request, its status aside; `excluded` are the namespaces that no
    policy of ours looks at, `installation` says which ring is whose. Raises `Refusal`."""
    if admission.operation == "CREATE":
        return await _judge_new_request(admission, api, operator, now, excluded, installation)
    return judge_metadata(admission, "a request")


async def _judge_new_request(
    admission: AdmissionRequest,
    api: LiveReads,
    operator: str,
    now: datetime,
    excluded: Collection[str],
    installation: InstallationSettings,
) -> AdmissionAnswer:
    if admission.user.username != operator:
        raise Refusal(
            RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
            "requests are created by the operator: apply a DeploymentIntent, and it will open one",
        )
    request = CABRequest.model_validate(admission.object)
    check_untied(admission, "a request", "intent")
    if request.spec.intent_ref is None:
        check_stamped(request, excluded)
        await _check_glass(admission, request, api)
        return AdmissionAnswer(allowed=True, reason="GlassBroken")
    named, name = map(Workload.of, request.spec.targets), request.spec.intent_ref.name
    intent, weighed, (model, labels), policies, kept, signers = await asyncio.gather(
        api.intent(admission.namespace, name),
        api.weighed_requests(admission.namespace, named, name),
        model_of(admission.namespace, api),
        api.cluster_wide(POLICIES),
        _kept_evidence(admission, request, api),
        _signers(request, api),
    )
    known = None if signers is None else (labels, signers)
    signed = await provenance_now(intent, api, now, known)
    others = [other for other, _ in weighed]
    check_created(
        *(request, intent, others, model, signed),
        template_asked=may_be_required(labels),
        policy=choose_policy(labels, policies),
        ring=installation.namespace_ring(admission.namespace, labels),
    )
    if intent is not None:
        check_evidence(intent, kept)
    check_opening(request, weighed)
    return AdmissionAnswer(allowed=True, reason="RequestOpened")


async def _signers(request: CABRequest, api: LiveReads) -> list[Object] | None:
    """Every EvidenceSigner, where the operator says that something is signed: whether that is so
    is known once the intent is there, and would be a second wait."""
    return await api.cluster_wide(SIGNERS) if request.spec.assessment.provenance else None


async def _kept_evidence(
    admission: AdmissionRequest, request: CABRequest, api: LiveReads
) -> CABEvidence | None:
    """What is kept beside a new request, where there may be something."""
    if not may_have_evidence(request):
        return None
    return await api.evidence(admission.namespace, request.metadata.name)


async def _check_glass(admission: AdmissionRequest, request: CABRequest, api: LiveReads) -> None:
    """Raise `Refusal` unless the workload of a request says that its glass was broken so."""
    target = request.spec.targets[0]
    kind = breakable(target.api_version, target.kind)
    workload = referred = None
    if kind is not None:
        workload = await api.workload(admission.namespace, Workload.of(target))
        reference = None if workload is None else template_taken_from(kind, workload)
        if reference is not None:
            referred = await api.workload(admission.namespace, reference)
    check_opened_for_glass(request, workload, referred)
