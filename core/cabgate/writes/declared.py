# SPDX-License-Identifier: Apache-2.0
"""What whoever applies an intent is told at once: score, what that asks for, and the next step."""

from collections.abc import Mapping, Sequence

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import Provenance, RequestState
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.api.stored import Declared
from cabgate.api.types import Tier
from cabgate.gate.commands import change_intent, show_request, write_exception
from cabgate.gate.composing import compose
from cabgate.gate.phrases import assessment_details, ended, scored
from cabgate.lifecycle.history.precedent import standing_verdict
from cabgate.lifecycle.requests.opening import request_for, request_name
from cabgate.lifecycle.state.quorum import people_needed
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import DECIDED_STATES
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.risk.evidence import evidence_digest
from cabgate.rollout.appliers import tool_of
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import REQUIRE_LABEL, is_required, may_be_required

MAX_BYTES = 700
"""Longest warning, in bytes: there is room for others beside it."""


def told_of_intent(
    intent: DeploymentIntent,
    ring: int,
    others: Sequence[RequestStanding],
    model: RiskModel | NoneHolds,
    machines: Machines = SERVICE_ACCOUNTS,
    provenance: Sequence[Provenance] = (),
    *,
    labels: Mapping[str, str] | None = None,
    policy: ChangePolicy | NoneHolds | None = None,
) -> str:
    """What becomes of an intent, as far as it can be said before its request is opened.

    `ring` is that of its namespace, `others` are the requests of the namespace that name one of its
    workloads, `model` is the risk model that holds there, `provenance` says who speaks for the
    evidence, `labels` are those of the namespace, `policy` is its change policy, if it has one.
    """
    name = intent.metadata.name
    if isinstance(model, NoneHolds):
        return compose(f"{name}: nothing can be scored, so nobody can approve it: {model.message}")
    if isinstance(policy, NoneHolds):
        return compose(f"{name}: nobody knows who has to approve it: {policy.message}")
    digest = evidence_digest(intent.spec)
    wanted = request_name(name, digest)
    there = next((r for r in others if r.metadata.name == wanted), None)
    found = standing_verdict(digest, others) or there
    if found is not None and found.state in DECIDED_STATES:
        return _decided(intent, found)
    request: Declared = there or request_for(
        *(intent, ring, others, model),
        provenance=provenance,
        template_asked=may_be_required(labels),
        policy=policy,
    )
    head = f"{name}: {scored(request)}"
    details = [
        *_without_template(intent, ring, labels),
        *_without_release(intent, request),
        *assessment_details(request, machines),
    ]
    if ring < GATED_FROM:
        details.append(f"Namespace {intent.metadata.namespace} is in ring {ring}: not gated.")
    see = f"see: {show_request(request)}"
    match request.spec.assessment.gate:
        case Tier.AUTO_APPROVE:
            head += ": cabgate approves it by its score, without a person."
            step = f"Roll out once it is approved; {see}"
        case Tier.MANUAL_REVIEW:
            head += f": {_who(request)} to approve it."
            step = f"Wait for the approval, or improve the evidence; {see}"
        case Tier.EXCEPTION_REQUIRED:
            head += ": too risky to approve."
            step = (
                "Improve the evidence, or request an exception, which a security reviewer decides: "
                + write_exception(request)
            )
    return compose(head, details, step, MAX_BYTES)


def _who(request: Declared) -> str:
    needed = people_needed(request)
    if needed:
        return f"{needed}, none of whom submitted it, have"
    return "a CAB member who did not submit it has"


def _without_template(
    intent: DeploymentIntent, ring: int, labels: Mapping[str, str] | None
) -> list[str]:
    """That its rollouts will be denied, since it does not say what the containers do."""
    silent = [Workload.of(each) for each in intent.spec.targets if each.template is None]
    if not silent or not is_required(labels, ring):
        return []
    return [
        f"Namespace {intent.metadata.namespace} asks what the containers do "
        f"({REQUIRE_LABEL}), and {silent[0]} does not say: cabgate intent --template client "
        "writes it."
    ]


def _without_release(intent: DeploymentIntent, request: Declared) -> list[str]:
    """That nothing of it will ever be promoted, since nobody knows what it is in other rings. Where
    a label of the workload may raise its ring, that is told in any ring."""
    terms = request.spec.terms
    if terms is None or terms.promotion is None or terms.promotion.release is not None:
        return []
    rings = ", ".join(str(need.ring) for need in terms.promotion.needs)
    return [
        f"The change policy asks what became of it in the ring before, into ring {rings}, and "
        f"{intent.metadata.name} names no release: spec.release."
    ]


def _decided(intent: DeploymentIntent, request: RequestStanding) -> str:
    """Of content that was decided on before."""
    head = f"{intent.metadata.name}: {scored(request)}: request {request.metadata.name}"
    state = request.state
    if state in (RequestState.REJECTED, RequestState.REVOKED):
        meta = intent.metadata
        again = change_intent(meta.namespace, meta.name, tool_of(meta))
        return compose(f"{head} {ended(request)}.", [], f"Declare new evidence: {again}", MAX_BYTES)
    return compose(f"{head} for it is {state} already.", [], "", MAX_BYTES)
