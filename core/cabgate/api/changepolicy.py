# SPDX-License-Identifier: Apache-2.0
"""`ChangePolicy`: how many people have to approve what, and who; written by cluster admins."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, StringConstraints

from cabgate.api.base import Model, ShortText, cel, validations
from cabgate.api.riskmodel import Threshold
from cabgate.api.selectable import Selectable, short_name
from cabgate.api.values import MAX_DURATION_DAYS, Limit

KIND = "ChangePolicy"
PLURAL = "changepolicies"

MAX_RULES = 8
"""Rules of one policy."""

MAX_VOTES = 10
"""Votes that one rule may ask for."""

APPROVE = "approve"
"""The verb that everybody who approves holds."""


Verb = Annotated[
    str,
    StringConstraints(pattern=r"^approve(-[a-z0-9]+)*$", min_length=1, max_length=32),
]
"""RBAC verb on cabrequests."""


Validity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}[smh]$", max_length=5)]
"""How long something holds: a number with s, m or h, such as 720h."""


class When(Model):
    """What a rule is about; without a part, whatever that is."""

    score_from: Threshold | None = None
    """Lowest score that it is about, such as 65.00."""
    ring_from: Annotated[int, Field(ge=0, le=4)] | None = None
    """Lowest ring of the namespace that it is about."""


class ApprovalRule(Model):
    """So many different people, each with a verb, have to approve what it is about."""

    when: When | None = None
    """What it is about; absent: every request."""
    count: Annotated[int, Field(ge=1, le=MAX_VOTES)]
    """How many different people have to approve, 1 to 10."""
    verb: Verb
    """RBAC verb on cabrequests.cabgate.dev that each of them holds: approve, or one that begins
    with `approve-`, such as approve-senior, which RoleBindings give beside it."""
    valid_for: Validity | None = None
    """How long the approval of a request that this rule is about admits a new rollout, from the
    moment at which the request was approved: such as 720h. What the workload ran before that was
    over rolls back all the same. Absent: for ever."""


MAX_STEPS = 8
"""Steps of escalation of one policy."""

HIGHEST_LEVEL = 5
"""Highest level of escalation."""

FurtherVerb = Annotated[
    str,
    StringConstraints(pattern=r"^approve(-[a-z0-9]+)+$", min_length=1, max_length=32),
]
"""RBAC verb on cabrequests beside approve."""

Age = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,3})[smh]$", max_length=5)]
"""How long something has been there: a number with s, m or h, such as 24h."""


class EscalationRule(Model):
    """What changes once a request that it is about has waited for so long."""

    when: When | None = None
    """What it is about; absent: every request that people have to approve by the rules above."""
    after: Age
    """How long the request has waited since it was opened, or opened again: such as 0s, 30m or
    24h."""
    level: Annotated[int, Field(ge=1, le=HIGHEST_LEVEL)]
    """Level that is reached then, 1 to 5; lists and notifications name it."""
    also_decides: FurtherVerb | None = None
    """RBAC verb on cabrequests.cabgate.dev whose holders decide as well from then on, with or
    without approve; their approval counts for every rule. Absent: nobody else decides."""


class ExceptionRule(Model):
    """What an exception needs, for a request whose score asks for one."""

    count: Annotated[int, Field(ge=1, le=MAX_VOTES)] = 1
    """How many different people have to approve it, 1 to 10; absent: one."""
    max_days: Annotated[int, Field(ge=1, le=MAX_DURATION_DAYS)] = MAX_DURATION_DAYS
    """Most days that its durationDays may say, 1 to 90; absent: 90."""
    require: Annotated[
        list[Limit],
        Field(max_length=len(Limit), json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = Field(default_factory=list)
    """Constraints that it has to carry: maxReplicas, maxRing, until, windows."""


NAME_LABEL = "kubernetes.io/metadata.name"
"""Label that the API server gives each namespace: its name, which nobody can change."""

OVERRIDE = "override"
"""RBAC verb on changepolicies of who may let a rollout into a ring before its promotion, and on
changefreezes of who may let one into a freeze."""

MAX_PROMOTIONS = 4
"""Rows of promotion of one policy: one for each ring but 0."""

MAX_NAMESPACES = 32
"""Namespaces that one row of promotion names: each request and each record repeats them."""


class PromotionTerm(Model):
    """What a label of the namespace has to be."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"self.key == '{NAME_LABEL}'",
                f"allowed: {NAME_LABEL}; whoever creates a namespace chooses every other label, "
                "and would have what runs there count",
                ".key",
            ),
            cel(
                "self.operator == 'In'",
                "allowed: In; what a list leaves out would count as soon as somebody creates it",
                ".operator",
            ),
        )
    )

    key: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    """kubernetes.io/metadata.name, the name of the namespace. Whoever creates a namespace chooses
    every other label, and would have what runs there count."""
    operator: Annotated[str, StringConstraints(min_length=1, max_length=16)]
    """In."""
    values: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=63)]],
        Field(
            min_length=1,
            max_length=MAX_NAMESPACES,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """Names of the namespaces."""


class PromotionSelector(Model):
    """The namespaces whose outcomes count."""

    match_expressions: Annotated[
        list[PromotionTerm],
        Field(min_length=1, max_length=1, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """Their names."""


class PromotionRule(Model):
    """What has to have become of a release in one ring before it is rolled out into the next."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel("self.from < self.ring", "from must be a lower ring than ring", ".from"),
            cel(
                "self.from > 1 || has(self.namespaceSelector)",
                "nobody approves what runs in rings 0 and 1, and whoever may create a namespace "
                "there could have what they like count: name the namespaces whose outcomes do",
                ".namespaceSelector",
            ),
        )
    )

    ring: Annotated[int, Field(ge=1, le=4)]
    """Ring that is rolled out into, 1 to 4, and each above it that no row is about. Nothing is
    ever stopped in ring 1: a row for it is shown, and denies nothing."""
    from_: Annotated[int, Field(ge=0, le=3, alias="from")]
    """Ring in which the same images have to have run before, lower than ring."""
    soak: Age
    """How long they have to have run there without a break: such as 30s or 72h."""
    success_percent: Threshold
    """How many of the Pods there must not have failed, in percent: 0.00 to 100.00."""
    min_pods: Annotated[int, Field(ge=1, le=1000)]
    """How many Pods, at least, have to have been ready there at one time, of those that have a
    readiness probe."""
    incidents: Annotated[int, Field(ge=0, le=64)]
    """How many incidents, at most, may have been reported there."""
    namespace_selector: PromotionSelector | None = None
    """The namespaces whose outcomes count, by name; needed where from is 0 or 1. Absent: all that
    are of the ring."""


class ChangePolicySpec(Model):
    """Who has to approve, and what has to have run before; never changes."""

    version: ShortText
    """Version of the policy, for people; requests record it."""
    approvals: Annotated[
        list[ApprovalRule],
        Field(
            min_length=1,
            max_length=MAX_RULES,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """The rules; every one that is about a request has to be met."""
    escalation: Annotated[
        list[EscalationRule],
        Field(max_length=MAX_STEPS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """What changes while a request waits; a level never approves anything, and takes the right to
    decide from nobody."""
    exceptions: ExceptionRule | None = None
    """What an exception needs; absent: one security reviewer, and up to 90 days."""
    promotion: Annotated[
        list[PromotionRule],
        Field(max_length=MAX_PROMOTIONS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """What has to have become of a release in the ring before, a row for each ring; without one for
    a ring or for one below it, nothing."""


class ChangePolicy(Selectable):
    """Who has to approve what. Its spec never changes: another policy is another object, and what
    was opened under the old one stays under it."""

    kind: ClassVar[str] = KIND
    kinds: ClassVar[str] = "ChangePolicies"
    noun: ClassVar[str] = "policy"
    namespace_label: ClassVar[str] = "cabgate.dev/change-policy"
    default_label: ClassVar[str] = "cabgate.dev/default-change-policy"

    spec: ChangePolicySpec


SHORT_NAME = short_name(ChangePolicy.noun)
