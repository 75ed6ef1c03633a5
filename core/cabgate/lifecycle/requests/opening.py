# SPDX-License-Identifier: Apache-2.0
"""From an intent to its request: what the operator creates, and what the webhook expects of it."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from cabgate.api.base import ObjectMeta
from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.evidence import Evidence
from cabgate.api.intent import DeploymentIntent, DeploymentIntentSpec
from cabgate.api.request import CABRequest, CABRequestSpec, IntentRef, Provenance
from cabgate.api.riskmodel import RiskModel
from cabgate.api.stored import Declared
from cabgate.api.terms import Terms
from cabgate.api.types import Target
from cabgate.lifecycle.requests.assessment import assessment_of
from cabgate.lifecycle.requests.copied_labels import copied_labels
from cabgate.lifecycle.requests.terms import terms_for
from cabgate.lifecycle.state.requirements import POD_TEMPLATE, words_of_terms
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.evidence import evidence_digest, frozen
from cabgate.risk.image_evidence import images_by_workload, unnamed_images
from cabgate.rollout.appliers import tool_of
from cabgate.rollout.targets import Workload
from cabgate.text.canonical import sha256_hex


def request_name(intent_name: str, digest: str) -> str:
    """Name of the request for an intent and a digest: the same every time."""
    return f"{intent_name}-{digest.rpartition(':')[2][:8]}"


def wanted_name(intent: DeploymentIntent) -> str:
    """Name of the request that an intent asks for."""
    return request_name(intent.metadata.name, evidence_digest(intent.spec))


def correlation_id(intent: DeploymentIntent, digest: str) -> str:
    """The intent's correlation id, or one derived from what it is about, so that a retry gives
    the same one."""
    if intent.spec.correlation_id is not None:
        return intent.spec.correlation_id
    identity = [intent.metadata.namespace, intent.metadata.name, digest]
    return f"CAB-{sha256_hex(identity)[:12]}"


def target_labels(spec: CABRequestSpec) -> dict[str, str]:
    """The labels by which the request of a target is found."""
    return {Workload.of(target).label: "" for target in spec.targets}


def request_for(
    intent: DeploymentIntent,
    ring: int,
    others: Sequence[RequestStanding] = (),
    model: RiskModel = DEFAULT_RISK_MODEL,
    labels: Iterable[str] = (),
    provenance: Sequence[Provenance] = (),
    *,
    template_asked: bool = False,
    policy: ChangePolicy | None = None,
) -> CABRequest:
    """The request that the present content of an intent asks for.

    `others` are the requests of the namespace that name one of its workloads, and those of the same
    intent: images that were refused before, or that come with the reports of earlier ones, are
    never approved by score.
    `model` is the one that holds for the namespace, `labels` are the keys of those that the request
    repeats of the intent's, `provenance` says who speaks for its evidence, `template_asked` whether
    its namespace asks in some ring for approvals that say what the containers do, `policy` is its
    change policy, if it has one.
    """
    spec = intent.spec
    digest = evidence_digest(spec)
    assessment = assessment_of(spec, model, others, provenance, policy, ring)
    terms = None
    if policy is not None:
        score = Decimal(assessment.score)
        terms = terms_for(policy, score, ring, assessment.gate, spec.release)
    request_spec = CABRequestSpec(
        intent_ref=IntentRef(
            name=intent.metadata.name,
            uid=intent.metadata.uid,
            generation=intent.metadata.generation,
            applied_by=tool_of(intent.metadata),
        ),
        targets=spec.targets,
        summary=spec.summary,
        correlation_id=correlation_id(intent, digest),
        submitted_by=spec.submitted_by,
        requester=spec.requester,
        requested_by=spec.requested_by,
        ring=ring,
        # As it is stored, without empty parts: the webhook compares what it reads of a request
        # with what it expects.
        evidence=frozen(spec.evidence),
        evidence_digest=digest,
        assessment=assessment,
        terms=terms,
        requires=_requires(spec, terms, template_asked=template_asked),
    )
    return CABRequest(
        metadata=ObjectMeta(
            name=request_name(intent.metadata.name, digest),
            namespace=intent.metadata.namespace,
            labels=copied_labels(intent.metadata.labels, labels) | target_labels(request_spec),
        ),
        spec=request_spec,
    )


def _requires(
    spec: DeploymentIntentSpec, terms: Terms | None, *, template_asked: bool
) -> list[str]:
    """The rules that a request rests on and older releases do not know."""
    says = any(target.template is not None for target in spec.targets)
    words = [POD_TEMPLATE] if says or template_asked else []
    return [*words, *sorted(words_of_terms(terms))]


def is_wanted(request: Declared, intent: DeploymentIntent | None) -> bool:
    """Whether somebody still waits for a request to be decided: its live intent asks for it, or it
    was opened for a broken glass, which nobody can take back."""
    return is_retrospective(request) or is_current(request, intent)


def is_current(request: Declared, intent: DeploymentIntent | None) -> bool:
    """Whether a request is the one that its live intent asks for now; one that was opened for a
    broken glass has none."""
    return (
        intent is not None
        and is_of(request, intent)
        and evidence_digest(intent.spec) == request.spec.evidence_digest
    )


def has_other_evidence(request: CABRequest, intent: DeploymentIntent | None) -> bool:
    """Whether its live intent declares other evidence for the very images that a request names.

    Then nothing is left that only this request would let back: what it names is judged by the
    evidence that is declared now. An image that the intent no longer declares is one to go back to,
    and evidence that does not name the images is not about them: the images went back and the
    reports were left, say, or the reports of the next release came first. What the containers were
    to do is something to go back to as well. To name images that were
    not named before is no other evidence.
    """
    if intent is None or not is_of(request, intent) or is_current(request, intent):
        return False
    declared = images_by_workload(intent.spec.targets)
    named = images_by_workload(request.spec.targets)
    return (
        all(images == declared.get(workload) for workload, images in named.items())
        and _templates(request.spec.targets) <= _templates(intent.spec.targets)
        and not unnamed_images(request.spec.targets, intent.spec.evidence)
        and _reports(intent.spec.evidence) != _reports(request.spec.evidence)
    )


def _templates(targets: Iterable[Target]) -> set[tuple[Workload, str]]:
    """What targets say that the containers do. One that says nothing has nothing to go back to."""
    return {(Workload.of(each), each.template) for each in targets if each.template is not None}


def _reports(evidence: Evidence) -> Evidence:
    """Evidence without the images that it says it is about, and without who signed it."""
    artifacts = [each.model_copy(update={"images": None}) for each in evidence.artifacts or ()]
    update = {"artifacts": artifacts or evidence.artifacts, "attestations": None}
    return evidence.model_copy(update=update)


def is_of(request: Declared, intent: DeploymentIntent) -> bool:
    """Whether a live intent is the one that a request was made from."""
    return (
        intent.metadata.deletion_timestamp is None
        and request.spec.intent_ref is not None
        and intent.metadata.name == request.spec.intent_ref.name
    )
