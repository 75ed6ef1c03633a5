# SPDX-License-Identifier: Apache-2.0
"""Which change policy holds for a namespace, and what it asks of a request."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from cabgate.api.changepolicy import (
    NAME_LABEL,
    ApprovalRule,
    ChangePolicy,
    EscalationRule,
    PromotionRule,
    When,
)
from cabgate.api.request import Floor
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import (
    NoneHolds,
    RawObject,
    SpecProblem,
    default_label_problems,
    select,
)
from cabgate.api.terms import (
    ApprovalNeed,
    EscalationStep,
    ExceptionNeed,
    PolicyRef,
    Promotion,
    PromotionNeed,
    Terms,
)
from cabgate.api.types import Tier

_SECONDS = {"s": 1, "m": 60, "h": 3600}

HIGHEST_SCORE = Decimal(100)
"""No request has a higher one."""

CHANGE_POLICY = "ChangePolicy"
"""Name of the floor under what a change policy wants people to approve, whatever its score."""


def choose_policy(
    namespace_labels: Mapping[str, str] | None, policies: Sequence[RawObject]
) -> ChangePolicy | NoneHolds | None:
    """The policy that a namespace names in its label, else the one that is marked default; None
    where there is neither: one approval is enough there.

    `policies` are all the ChangePolicies that there are, as the API server has them. One that says
    more than this release knows is a doubt.
    """
    return select(ChangePolicy, namespace_labels, policies, _unknown_of)


def _unknown_of(raw: RawObject, policy: ChangePolicy) -> str | None:
    unknown = sorted(unknown_fields(raw["spec"], policy.spec.to_dict(), "spec"))
    if not unknown:
        return None
    return (
        f"this release of cabgate does not know {', '.join(unknown[:5])}, and would ask for less "
        "than it says; upgrade cabgate"
    )


def unknown_fields(raw: object, known: object, path: str) -> list[str]:
    """The paths of what an object says and a model of it does not."""
    if isinstance(raw, Mapping) and isinstance(known, Mapping):
        found: list[str] = []
        for key, value in raw.items():
            if key in known:
                found += unknown_fields(value, known[key], f"{path}.{key}")
            elif value not in (None, [], {}, ""):
                found.append(f"{path}.{key}")
        return found
    if isinstance(raw, list) and isinstance(known, list) and len(raw) == len(known):
        return [
            each
            for number, pair in enumerate(zip(raw, known, strict=True))
            for each in unknown_fields(*pair, f"{path}[{number}]")
        ]
    return [] if raw == known or _same_number(raw, known) else [path]


def _same_number(raw: object, known: object) -> bool:
    """Whether two values are one number, such as 05.00 and 5.00."""
    try:
        return Decimal(str(raw)) == Decimal(str(known))
    except InvalidOperation:
        return False


def policy_problems(policy: ChangePolicy) -> list[SpecProblem]:
    """What is wrong with a policy that its schema cannot say; empty if it may be used."""
    return [
        *default_label_problems(policy),
        *_twice("spec.approvals", policy.spec.approvals),
        *_twice("spec.escalation", policy.spec.escalation),
        *_of_one_ring(policy.spec.promotion),
        *_by_name_alone(policy.spec.promotion),
    ]


def policy_warnings(policy: ChangePolicy) -> list[str]:
    """What whoever writes a policy should know of it, although it may be used."""
    return [
        f"spec.promotion[{number}]: names no namespaces (namespaceSelector), so what runs in any "
        f"of ring {rule.from_} counts, in one that a team made for it as well; whoever names the "
        "release in an intent makes the list longer that is read, and one that is too long is a "
        "denial"
        for number, rule in enumerate(policy.spec.promotion)
        if rule.namespace_selector is None
    ]


def _of_one_ring(rules: Sequence[PromotionRule]) -> list[SpecProblem]:
    """That two rows are about one ring: nobody would know which one counts."""
    rings = [rule.ring for rule in rules]
    return [
        SpecProblem(f"spec.promotion[{number}].ring", f"a row for ring {ring} stands there already")
        for number, ring in enumerate(rings)
        if ring in rings[:number]
    ]


def _by_name_alone(rules: Sequence[PromotionRule]) -> list[SpecProblem]:
    """That a row selects namespaces by something else than a list of names, as the schema of a
    cluster refuses: whoever creates a namespace would choose what counts."""
    terms = [
        (f"spec.promotion[{number}].namespaceSelector", term)
        for number, rule in enumerate(rules)
        if rule.namespace_selector is not None
        for term in rule.namespace_selector.match_expressions
    ]
    return [
        SpecProblem(path, f"allowed: {NAME_LABEL}, In, and names of namespaces")
        for path, term in terms
        if (term.key, term.operator) != (NAME_LABEL, "In")
    ]


def _twice(path: str, rules: Sequence[object]) -> list[SpecProblem]:
    return [
        SpecProblem(f"{path}[{number}]", "stands there already")
        for number, rule in enumerate(rules)
        if rule in rules[:number]
    ]


def rules_for(policy: ChangePolicy, score: Decimal, ring: int) -> list[ApprovalRule]:
    """The rules of a policy that are about a score in a ring."""
    return [rule for rule in policy.spec.approvals if _is_about(rule.when, score, ring)]


def _is_about(when: When | None, score: Decimal, ring: int) -> bool:
    if when is None:
        return True
    scored = when.score_from is None or score >= when.score_from
    return scored and (when.ring_from is None or ring >= when.ring_from)


def terms_for(
    policy: ChangePolicy,
    score: Decimal,
    ring: int,
    tier: Tier = Tier.MANUAL_REVIEW,
    release: str | None = None,
) -> Terms:
    """What a policy asks of a request of a score in a ring, as it is frozen into it: of each verb
    the most that a rule asks for; and of an exception where its tier is the one of exceptions.
    `release` is the one that its intent names."""
    approvals = _needs(rules_for(policy, score, ring))
    return Terms(
        policy=PolicyRef(name=policy.name, version=policy.spec.version, digest=policy.digest),
        approvals=approvals,
        escalation=_steps(policy, score, ring) if approvals else [],
        exceptions=_exceptions(policy) if tier is Tier.EXCEPTION_REQUIRED else None,
        promotion=_promotion(policy, release),
    )


def _exceptions(policy: ChangePolicy) -> ExceptionNeed | None:
    rule = policy.spec.exceptions
    if rule is None:
        return None
    return ExceptionNeed(count=rule.count, max_days=rule.max_days, require=rule.require)


def _promotion(policy: ChangePolicy, release: str | None) -> Promotion | None:
    """All that a policy asks of the rings before, whatever the ring of the namespace is: at each
    rollout the ring counts that it has then, by the label of the workload too."""
    if not policy.spec.promotion:
        return None
    return Promotion(release=release, needs=list(map(promotion_need, policy.spec.promotion)))


def promotion_need(rule: PromotionRule) -> PromotionNeed:
    """A row of promotion as it is frozen into a request."""
    selector = rule.namespace_selector
    terms = [] if selector is None else selector.match_expressions
    return PromotionNeed(
        ring=rule.ring,
        from_=rule.from_,
        soak_seconds=_seconds(rule.soak),
        success_percent=f"{rule.success_percent:.2f}",
        min_pods=rule.min_pods,
        incidents=rule.incidents,
        namespaces=sorted({name for term in terms for name in term.values}),
    )


def escalation_for(policy: ChangePolicy, score: Decimal, ring: int) -> list[EscalationRule]:
    """What of the escalation of a policy is about a score in a ring."""
    return [each for each in policy.spec.escalation if _is_about(each.when, score, ring)]


def _steps(policy: ChangePolicy, score: Decimal, ring: int) -> list[EscalationStep]:
    return [
        EscalationStep(
            after_seconds=_seconds(rule.after),
            level=rule.level,
            also_decides=rule.also_decides,
        )
        for rule in escalation_for(policy, score, ring)
    ]


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def needs_in_ring(policy: ChangePolicy, ring: int) -> list[ApprovalNeed]:
    """The most that a policy may ask of a request in a ring, whatever its score."""
    return _needs(rules_for(policy, HIGHEST_SCORE, ring))


def _needs(rules: Iterable[ApprovalRule]) -> list[ApprovalNeed]:
    """What some rules ask for: of each verb the most people, and the shortest validity."""
    by_verb: dict[str, list[ApprovalRule]] = {}
    for rule in rules:
        by_verb.setdefault(rule.verb, []).append(rule)
    return [
        ApprovalNeed(
            count=max(each.count for each in of_verb),
            verb=verb,
            valid_for_seconds=min(
                (_seconds(each.valid_for) for each in of_verb if each.valid_for is not None),
                default=None,
            ),
        )
        for verb, of_verb in by_verb.items()
    ]


def floor_of(policy: ChangePolicy, score: Decimal, ring: int, model: RiskModel) -> Floor | None:
    """The floor under a request that a policy wants people to approve although its score, or a
    lower one, would ask for nobody."""
    limit = model.spec.auto_approve_up_to
    rules = rules_for(policy, score, ring)
    if not any(each.when is None or (each.when.score_from or 0) <= limit for each in rules):
        return None
    asked = terms_for(policy, score, ring).approvals
    people = " and ".join(f"{each.count} with the verb {each.verb}" for each in asked)
    return Floor(
        name=CHANGE_POLICY,
        gate=Tier.MANUAL_REVIEW,
        explanation=f"change policy {policy.name} {policy.spec.version} asks for people to approve "
        f"it: {people}",
    )
