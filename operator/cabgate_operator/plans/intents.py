# SPDX-License-Identifier: Apache-2.0
"""What an intent asks for, and what its status says: pure functions, no I/O."""

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.intent import DeploymentIntent, FrozenBy
from cabgate.api.kinds import GatedKind
from cabgate.api.request import CABRequest, Floor, Provenance, RequestState
from cabgate.api.riskmodel import RiskModel
from cabgate.api.types import Target
from cabgate.gate.checks import STALLED
from cabgate.gate.composing import sentence
from cabgate.gate.decide import decide
from cabgate.gate.verdict import GateVerdict, Reason
from cabgate.lifecycle.limits.constraints import window_edges
from cabgate.lifecycle.limits.freezes import FreezeInForce, KnownFreeze, in_force, next_edge
from cabgate.lifecycle.limits.promotion import WAIVED
from cabgate.lifecycle.requests.opening import (
    correlation_id,
    has_other_evidence,
    request_for,
    wanted_name,
)
from cabgate.lifecycle.state.columns import listed_targets
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    WholeRequest,
)
from cabgate.lifecycle.state.validity import closed_for_good, valid_until
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.risk.evidence import evidence_digest
from cabgate.rollout.gated_targets import target_problems
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template
from cabgate.text.canonical import sha256_hex
from cabgate.text.moments import EARLIEST
from cabgate.text.refusal import RefusalReason
from cabgate_kube.k8s_events import News
from cabgate_kube.resources import Object
from cabgate_operator.plans import texts
from cabgate_operator.plans.conditions import Wanted, merge_conditions
from cabgate_operator.plans.requests import body_of

BY_PEOPLE = frozenset({RequestState.APPROVED, RequestState.CONDITIONALLY_APPROVED})
"""States in which a person's approval admits."""


@dataclass(frozen=True)
class Problem:
    """Why there is no request that says anything about the intent."""

    reason: str
    message: str
    stalled: bool = True
    """Whether somebody has to change something."""


@dataclass(frozen=True)
class Readiness:
    """Whether the rollout would be admitted now."""

    ready: bool
    reason: str
    message: str
    stalled: bool
    exception: str = ""
    """The exception that was decisive, if one was."""
    freeze: FreezeInForce | None = None
    """What keeps back what is approved, if a freeze does."""
    kept_back: bool = False
    """Whether a target would be admitted if it ran what is declared."""


@dataclass(frozen=True)
class Surroundings:
    """What decides whether a rollout would be admitted."""

    ring: int
    requests: Sequence[WholeRequest]
    exceptions: Sequence[ExceptionStanding]
    now: datetime
    machines: Machines = SERVICE_ACCOUNTS
    kinds: Sequence[GatedKind] = ()
    """Kinds that are gated beside those that always are."""
    template_required: bool = False
    """Whether an approval has to say what the containers do."""
    known_freezes: Sequence[KnownFreeze] = ()
    """The freezes that may be about the namespace."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the namespace."""
    running: Collection[Workload] = ()
    """Workloads that run what the intent declares for them already."""

    def freezes(self) -> Sequence[FreezeInForce]:
        """The freezes that hold now."""
        return in_force(self.known_freezes, self.labels, self.ring, self.now)


def wanted_request(
    intent: DeploymentIntent,
    ring: int,
    others: Sequence[RequestStanding],
    model: RiskModel,
    labels: Iterable[str] = (),
    provenance: Sequence[Provenance] = (),
    *,
    template_asked: bool = False,
    policy: ChangePolicy | None = None,
) -> Object:
    """JSON of the request that an intent asks for.

    `others` are the requests of the namespace that name one of its workloads, `model` is the risk
    model that holds for it, `labels` are the keys of those that it repeats of the intent's,
    `provenance` says who speaks for its evidence, `template_asked` whether its namespace asks for
    approvals that say what the containers do, `policy` is its change policy, if it has one.
    """
    made = request_for(
        *(intent, ring, others, model, labels, provenance),
        template_asked=template_asked,
        policy=policy,
    )
    return body_of(made)


def own_request(
    intent: DeploymentIntent, found: WholeRequest | None
) -> tuple[WholeRequest | None, Problem | None]:
    """The request found under the wanted name, if it is the wanted one."""
    if found is None:
        return None, None
    reference = found.stored.spec.intent_ref
    of_intent = reference is not None and reference.name == intent.metadata.name
    if of_intent and found.stored.spec.evidence_digest == evidence_digest(intent.spec):
        return found, None
    return None, Problem("RequestNameTaken", texts.name_taken(found.name))


def next_window(around: Surroundings) -> datetime | None:
    """The next moment at which a window of an approval condition or of an exception opens or
    closes, an approval ends, or a freeze begins or ends, if there is one."""
    moments = [
        moment
        for request in around.requests
        for condition in request.standing.conditions
        for moment in (condition.not_before, condition.not_after)
    ]
    moments += [valid_until(request.standing) for request in around.requests]
    for exception in around.exceptions:
        moments += window_edges(exception.constraints)
    moments.append(next_edge(around.known_freezes, around.labels, around.ring, around.now))
    return min((each for each in moments if each is not None and each > around.now), default=None)


def readiness(intent: DeploymentIntent, problem: Problem | None, around: Surroundings) -> Readiness:
    """Whether every target of an intent would be admitted now."""
    if problem is None:
        problem = _not_gated(intent, around.kinds)
    if problem is not None:
        return Readiness(False, problem.reason, problem.message, problem.stalled)
    known = {request.name: request.beside(intent) for request in around.requests}
    requests = [request.standing for request in known.values()]
    freezes = around.freezes()
    decisions = []
    for target in intent.spec.targets:
        runs = Workload.of(target) in around.running
        decisions.append(
            decide(
                *(_rollout(intent, target), around.ring, requests, around.exceptions),
                *(around.now, around.machines),
                template_required=around.template_required,
                freezes=() if runs else freezes,
                ran_since=EARLIEST if runs else None,
                # What is approved waits for the ring before at its rollout alone: no intent says
                # what its containers do, by which a ring is asked.
                earlier_rings=WAIVED,
            )
        )
    denied = [decision for decision in decisions if not decision.allowed]
    # What waiting does not help against is told first, and speaks for all.
    stalled = [decision for decision in denied if _is_stalled(decision, around.now)]
    shown = (stalled or denied or decisions)[0]
    message = shown.message
    if len(decisions) > 1:
        message += f" ({len(decisions) - len(denied)} of {len(decisions)} targets admitted)"
    older = [decision.basis.request for decision in decisions if decision.allowed]
    admitting = {request.metadata.name for request in older if request is not None}
    names = {name for name in admitting if has_other_evidence(known[name].stored, intent)}
    if names:
        message = sentence(message) + texts.on_other_evidence(
            sorted(names)[:3], wanted_name(intent)
        )
    return Readiness(
        ready=not denied,
        reason=shown.reason.value,
        message=message,
        stalled=bool(stalled),
        exception=_exception_name(shown),
        freeze=shown.basis.freeze if shown.reason is Reason.FROZEN else None,
        kept_back=any(decision.kept_back for decision in denied),
    )


def _rollout(intent: DeploymentIntent, target: Target) -> Rollout:
    """What a target declares, rolled out. Where it does not say what the containers do, they do
    something that no approval names."""
    return Rollout(
        intent.metadata.namespace,
        Workload.of(target),
        tuple(target.images),
        template=Template(target.template or ""),
    )


def _not_gated(intent: DeploymentIntent, kinds: Sequence[GatedKind]) -> Problem | None:
    """That a target covers nothing, whatever becomes of the others."""
    problems = target_problems(intent.spec.targets, kinds)
    if not problems:
        return None
    return Problem(RefusalReason.TARGET_NOT_GATED.value, texts.not_gated(intent, problems))


def _is_stalled(decision: GateVerdict, now: datetime) -> bool:
    """Whether waiting does not help against a denial."""
    request, violated = decision.basis.request, decision.basis.violation
    if violated is not None:
        return violated.opens is None
    if decision.reason is not Reason.OUTSIDE_WINDOW or request is None:
        return decision.reason in STALLED
    # A window that is to open is worth waiting for; one that has closed stays so.
    return closed_for_good(request, now)


def _exception_name(decision: GateVerdict) -> str:
    exception = decision.basis.exception
    return "" if exception is None else exception.metadata.name


def comes_to_ask(
    intent: DeploymentIntent | None, request: CABRequest, own: Iterable[CABRequest]
) -> bool:
    """Whether an intent comes to ask for its present request: its status does not tell of that yet,
    and of its `own` requests another one was asked for later. One that is the latest already is
    left as it is: what is stopped before it tells would note it anew for ever. An older release
    left out when it came to."""
    if intent is None:
        return False
    asked = request.status.asked_at
    if asked is None:
        return True
    current = intent.status.request_name == request.metadata.name
    later = (each.status.asked_at for each in own if each.metadata.name != request.metadata.name)
    return not current and any(moment is not None and moment > asked for moment in later)


def status_of_intent(
    raw: Object,
    intent: DeploymentIntent,
    request: RequestStanding | None,
    ready: Readiness,
    now: datetime,
) -> dict[str, Any]:
    """The status to write."""
    digest = evidence_digest(intent.spec)
    wanted = wanted_name(intent)
    status: dict[str, Any] = copy.deepcopy(raw.get("status") or {})
    for shown in ("score", "gate", "state", "frozen"):
        status.pop(shown, None)
    status["observedGeneration"] = intent.metadata.generation
    status["requestName"] = wanted if request is None else request.metadata.name
    status["evidenceDigest"] = digest
    status["correlationID"] = correlation_id(intent, digest)
    status["targets"] = listed_targets(intent.spec.targets)
    if request is not None:
        status["correlationID"] = request.spec.correlation_id
        status["score"] = request.spec.assessment.score
        status["gate"] = request.spec.assessment.gate.value
        status["state"] = request.state.value
    if ready.freeze is not None:
        frozen = FrozenBy(
            name=ready.freeze.name, since=ready.freeze.since, until=ready.freeze.until
        )
        status["frozen"] = frozen.to_dict()
    waiting = not ready.ready and not ready.stalled
    status["conditions"] = merge_conditions(
        status.get("conditions", []),
        [
            Wanted("Ready", ready.ready, ready.reason, ready.message),
            # Tools that go by kstatus show the message of these two alone.
            Wanted("Reconciling", waiting, ready.reason, ready.message if waiting else ""),
            Wanted("Stalled", ready.stalled, ready.reason, ready.message if ready.stalled else ""),
        ],
        intent.metadata.generation,
        now,
    )
    return status


_REASONS = {RequestState.SUBMITTED: "ReviewNeeded"}

_WARNINGS = frozenset(
    {RequestState.REJECTED, RequestState.REVOKED, RequestState.EXCEPTION_REQUIRED}
)


def news_of_approval(request: WholeRequest, intent: DeploymentIntent) -> News | None:
    """What the reviewer of an approval is told: that its intent declares other evidence for the
    same images, which it still admits. None for what nobody has to be told of."""
    stored, standing = request.stored, request.standing
    if standing.state not in BY_PEOPLE or not has_other_evidence(stored, intent):
        return None
    asked = wanted_name(intent)
    message = texts.still_admits(standing, asked)
    return News("OtherEvidenceDeclared", message, (stored.metadata.uid, asked), warning=True)


def news_of_intent(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    request: WholeRequest | None,
    ready: Readiness,
    machines: Machines = SERVICE_ACCOUNTS,
    held: Sequence[Floor] = (),
) -> News | None:
    """What to tell of a change of an intent's status; None if it is not worth an Event.

    It rests on the stored status alone, so that what a crash kept from being told is told at the
    next start, and nothing else is.
    """
    if _shown_fields(old) == _shown_fields(new):
        return None
    if request is None:
        return News(ready.reason, ready.message, (str(new.get("requestName")),), warning=True)
    state = request.standing.state
    identity = (
        request.stored.metadata.uid,
        state.value,
        str(len(request.stored.status.decisions)),
        ready.exception,
        str(new.get("observedGeneration")),
    )
    if state is RequestState.EXCEPTION_REQUIRED:
        if ready.reason == Reason.EXCEPTION_ENDED.value:
            return None  # told with the exception's end
        if ready.exception:
            active = ready.ready
            return News(ready.reason, ready.message, identity, warning=not active)
    if ready.reason == Reason.FROZEN.value:
        # By the freeze too: the next one is news again.
        return News(ready.reason, ready.message, (*identity, sha256_hex([ready.message])[:12]))
    if old.get("state") == new.get("state") and old.get("evidenceDigest") == new.get(
        "evidenceDigest"
    ):
        return None
    message = texts.about_request(request.standing, state, machines, held)
    return News(_REASONS.get(state, state.value), message, identity, state in _WARNINGS)


def _shown_fields(status: Mapping[str, Any]) -> tuple[Any, ...]:
    ready = [c.get("reason") for c in status.get("conditions", []) if c.get("type") == "Ready"]
    return (status.get("evidenceDigest"), status.get("state"), ready)
