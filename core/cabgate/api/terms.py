# SPDX-License-Identifier: Apache-2.0
"""What a change policy asked of a request when it was opened, as it is frozen into it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import Decimal2, Model, ObjectName, ShortText
from cabgate.api.changepolicy import (
    HIGHEST_LEVEL,
    MAX_NAMESPACES,
    MAX_PROMOTIONS,
    MAX_RULES,
    MAX_STEPS,
    MAX_VOTES,
    FurtherVerb,
    Verb,
)
from cabgate.api.types import ReleaseName
from cabgate.api.values import MAX_DURATION_DAYS, Limit


class PolicyRef(Model):
    """The change policy that a request was opened under."""

    name: ObjectName
    """Name of the ChangePolicy."""
    version: ShortText
    """Its version."""
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
    """Digest of its content, so that another policy of the same name is told apart."""


class ApprovalNeed(Model):
    """So many different people, each with a verb, have to approve."""

    count: Annotated[int, Field(ge=1, le=MAX_VOTES)]
    """How many."""
    verb: Verb
    """RBAC verb on cabrequests.cabgate.dev that each of them holds when they approve."""
    valid_for_seconds: Annotated[int, Field(ge=1, le=9999 * 3600)] | None = None
    """How long the approval of the request admits a new rollout, in seconds from the moment at
    which it was approved; absent: for ever."""


MAX_VERBS = MAX_RULES + MAX_STEPS
"""Verbs that the terms of one request name."""


class EscalationStep(Model):
    """What changes once the request has waited for so long."""

    after_seconds: Annotated[int, Field(ge=0, le=9999 * 3600)]
    """How long, in seconds: since it was opened, or opened again."""
    level: Annotated[int, Field(ge=1, le=HIGHEST_LEVEL)]
    """Level that is reached then."""
    also_decides: FurtherVerb | None = None
    """RBAC verb on cabrequests.cabgate.dev whose holders decide as well from then on; their
    approval counts for each of the approvals."""


class ExceptionNeed(Model):
    """What an exception for this request needs before it admits anything."""

    count: Annotated[int, Field(ge=1, le=MAX_VOTES)]
    """How many different people have to approve it."""
    max_days: Annotated[int, Field(ge=1, le=MAX_DURATION_DAYS)]
    """Most days that its durationDays may say."""
    require: Annotated[
        list[Limit],
        Field(max_length=len(Limit), json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = Field(default_factory=list)
    """Constraints that it has to carry."""


class PromotionNeed(Model):
    """What has to have become of the release in one ring before it is rolled out into the next."""

    ring: Annotated[int, Field(ge=1, le=4)]
    """Ring that is rolled out into, and each above it that no other entry is about."""
    from_: Annotated[int, Field(ge=0, le=3, alias="from")]
    """Ring in which the same images have to have run before."""
    soak_seconds: Annotated[int, Field(ge=0, le=9999 * 3600)]
    """How long they have to have run there without a break, in seconds."""
    success_percent: Decimal2
    """How many of the Pods there must not have failed, in percent."""
    min_pods: Annotated[int, Field(ge=1, le=1000)]
    """How many Pods, at least, have to have been ready there at one time."""
    incidents: Annotated[int, Field(ge=0, le=64)]
    """How many incidents, at most, may have been reported there."""
    namespaces: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=63)]],
        Field(max_length=MAX_NAMESPACES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """The namespaces whose outcomes count, sorted; absent: all that are of the ring."""


class Promotion(Model):
    """What has to have become of the release in the rings before."""

    release: ReleaseName | None = None
    """The release unit that the intent named when the request was opened; absent: none, and nothing
    is known of the rings before."""
    needs: Annotated[
        list[PromotionNeed],
        Field(max_length=MAX_PROMOTIONS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """An entry for each ring that something is asked for."""


class Terms(Model):
    """What the change policy of the namespace asked of this request when it was opened. A later
    policy changes nothing of it."""

    policy: PolicyRef
    """The policy."""
    approvals: Annotated[
        list[ApprovalNeed],
        Field(max_length=MAX_RULES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """The approvals that are needed, all of them; none is one approval, as without a policy."""
    escalation: Annotated[
        list[EscalationStep],
        Field(max_length=MAX_STEPS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """What changes while it waits; none where no approvals are asked for."""
    exceptions: ExceptionNeed | None = None
    """What an exception for it needs; absent where its score asks for none, or the policy said
    nothing."""
    promotion: Promotion | None = None
    """What has to have become of the release in the rings before; absent where nothing is asked."""
