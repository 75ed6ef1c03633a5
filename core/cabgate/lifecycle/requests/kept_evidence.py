# SPDX-License-Identifier: Apache-2.0
"""What is kept beside a request, where no rollout reads it: the envelopes of its intent, and what
the containers are to do, written out. The request itself has the digest of each."""

from collections.abc import Mapping
from datetime import timedelta

from cabgate.api.base import ObjectMeta
from cabgate.api.cabevidence import CABEvidence, CABEvidenceSpec
from cabgate.api.evidence import Evidence
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.lifecycle.requests.opening import request_name
from cabgate.risk.evidence import evidence_digest
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, is_of_digest, template_of_text
from cabgate.text.refusal import Refusal, RefusalReason

ABANDONED = timedelta(hours=1)
"""How old a `CABEvidence` is that has no request and never will: it is created moments before."""


def evidence_for(intent: DeploymentIntent) -> CABEvidence | None:
    """The `CABEvidence` of the request that the present content of an intent asks for; None where
    there is nothing to keep: nothing is signed, and no template written out."""
    spec = intent.spec
    # As it is stored, without empty parts.
    attestations = Evidence.model_validate(spec.evidence.to_dict()).attestations or []
    named = {target.template for target in spec.targets}
    forms = [
        each
        for each in spec.template_forms
        if each.template in named and is_of_digest(each.template, each.form)
    ]
    if not (attestations or forms):
        return None
    digest = evidence_digest(spec)
    return CABEvidence(
        metadata=ObjectMeta(
            name=request_name(intent.metadata.name, digest), namespace=intent.metadata.namespace
        ),
        spec=CABEvidenceSpec(
            evidence_digest=digest, attestations=attestations, template_forms=forms
        ),
    )


def may_have_evidence(request: CABRequest) -> bool:
    """Whether there may be a `CABEvidence` for a request, by what it says itself."""
    signed = bool(request.spec.evidence.attestations)
    return signed or any(target.template is not None for target in request.spec.targets)


def check_evidence(intent: DeploymentIntent, found: CABEvidence | None) -> None:
    """Raise `Refusal` unless the `CABEvidence` that is there for the request of an intent is what
    its live intent says. Where there is nothing to keep none is asked for."""
    wanted = evidence_for(intent)
    if wanted is None:
        return
    name = wanted.metadata.name
    if found is None or found.metadata.deletion_timestamp is not None:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            f"there is no CABEvidence {name} with what the live intent {intent.metadata.name} has "
            "signed and written out; the operator creates it first",
            "metadata.name",
        )
    for field, info in CABEvidenceSpec.model_fields.items():
        if getattr(found.spec, field) != getattr(wanted.spec, field):
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                f"spec.{info.alias} of CABEvidence {name} is not what the live intent "
                f"{intent.metadata.name} says",
                "metadata.name",
            )


def kept_templates(request: CABRequest, found: CABEvidence | None) -> Mapping[Workload, Template]:
    """What the containers of the workloads of a request are to do, as far as its `CABEvidence` has
    it: what is not of the digest that the request names is passed over, whoever wrote it."""
    forms = (
        {} if found is None else {each.template: each.form for each in found.spec.template_forms}
    )
    templates: dict[Workload, Template] = {}
    for target in request.spec.targets:
        if target.template is not None and target.template in forms:
            try:
                template = template_of_text(target.template, forms[target.template])
            except PodTemplateError:
                continue
            templates[Workload.of(target)] = template
    return templates
