# SPDX-License-Identifier: Apache-2.0
"""What a change policy asks of a request, before there is one."""

from dataclasses import dataclass
from decimal import Decimal

from cabgate.api.changepolicy import APPROVE, ApprovalRule, ChangePolicy
from cabgate.api.riskmodel import RiskModel
from cabgate.api.types import Tier
from cabgate.lifecycle.limits.promotion import length_text, need_for
from cabgate.lifecycle.requests.terms import escalation_for, floor_of, rules_for, terms_for
from cabgate.lifecycle.state.quorum import people_of
from cabgate.risk.scoring import gate_for_score, stricter
from cabgate.rollout.rings import GATED_FROM


@dataclass(frozen=True, slots=True)
class AskedApproval:
    """So many different people, each with a verb, have to approve."""

    count: int
    verb: str


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What a request of a score in a ring needs."""

    policy: str
    """Name and version of the policy; empty where none holds."""
    risk_model: str
    """Name and version of the model whose thresholds were taken."""
    score: str
    ring: int
    gate: str
    """What the score asks for, with the floor that the policy puts under it."""
    rules: tuple[str, ...]
    """The rules that are about it."""
    approvals: tuple[AskedApproval, ...]
    """Who has to approve; none where nobody has to, or where no approval is enough."""
    needs: str
    """The same in words."""
    escalation: tuple[str, ...]
    """What changes while it waits."""
    promotion: str = ""
    """What has to have become of its release in the ring before; empty where nothing."""


def policy_answer(
    policy: ChangePolicy | None, model: RiskModel, score: Decimal, ring: int
) -> PolicyAnswer:
    """What a request needs whose score has no floor beside that of its policy."""
    rules = [] if policy is None else rules_for(policy, score, ring)
    gate = gate_for_score(score, model)
    floor = None if policy is None else floor_of(policy, score, ring, model)
    if floor is not None:
        gate = stricter(gate, floor.gate)
    terms = [] if policy is None else terms_for(policy, score, ring).approvals
    asked: list[AskedApproval] = []
    if gate is Tier.MANUAL_REVIEW:
        asked = [AskedApproval(each.count, each.verb) for each in terms]
        asked = asked or [AskedApproval(1, APPROVE)]
    return PolicyAnswer(
        policy="" if policy is None else f"{policy.name} {policy.spec.version}",
        risk_model=f"{model.metadata.name} {model.spec.version}",
        score=f"{score:.2f}",
        ring=ring,
        gate=gate.value,
        rules=tuple(map(rule_text, rules)),
        approvals=tuple(asked),
        needs=_needs(gate, asked, policy),
        escalation=_escalation(policy, score, ring) if asked and terms else (),
        promotion="" if policy is None else promotion_in(policy, ring),
    )


def promotion_in(policy: ChangePolicy, ring: int) -> str:
    """What a policy asks of the ring before for a rollout into a ring, in words; empty where it
    asks nothing, or nobody is ever stopped there."""
    need = need_for(terms_for(policy, Decimal(0), ring), ring)
    if need is None or ring < GATED_FROM:
        return ""
    percent, pods = need.success_percent, need.min_pods
    of = f", in {', '.join(need.namespaces)}" if need.namespaces else ""
    return (
        f"ring {need.from_} for {length_text(need.soak_seconds)} without a break{of}: at least "
        f"{pods} {'Pod' if pods == 1 else 'Pods'}, {percent} % of them without a failure, and at "
        f"most {need.incidents} {'incident' if need.incidents == 1 else 'incidents'}"
    )


def _escalation(policy: ChangePolicy | None, score: Decimal, ring: int) -> tuple[str, ...]:
    rules = [] if policy is None else escalation_for(policy, score, ring)
    return tuple(
        f"to level {rule.level} after {rule.after}"
        + (f": who holds {rule.also_decides} decides as well" if rule.also_decides else "")
        for rule in rules
    )


def _exception(policy: ChangePolicy | None) -> str:
    """What an exception needs, as a sentence says it."""
    rule = None if policy is None else policy.spec.exceptions
    if rule is None:
        return "an exception, which one security reviewer decides"
    deciding = "one security reviewer decides"
    if rule.count > 1:
        deciding = f"{rule.count} different security reviewers approve"
    limits = f", with {', '.join(rule.require)}" if rule.require else ""
    return f"an exception of at most {rule.max_days} days{limits}, which {deciding}"


def _needs(gate: Tier, asked: list[AskedApproval], policy: ChangePolicy | None) -> str:
    if gate is Tier.AUTO_APPROVE:
        return "nobody: cabgate approves it by its score"
    if gate is Tier.EXCEPTION_REQUIRED:
        return f"{_exception(policy)}; no number of approvals is enough"
    return f"{people_of(asked)}, none of whom submitted it"


def rule_text(rule: ApprovalRule) -> str:
    """A rule as a sentence says it."""
    valid = f", valid for {rule.valid_for}" if rule.valid_for is not None else ""
    return people_of([rule]) + about_text(rule) + valid


def about_text(rule: ApprovalRule) -> str:
    """What a rule is about: ` from a score of 65.00 in ring 4`; empty where it is everything."""
    when = rule.when
    if when is None:
        return ""
    scored = f" from a score of {when.score_from}" if when.score_from is not None else ""
    ringed = f" from ring {when.ring_from}" if when.ring_from is not None else ""
    return scored + ringed
