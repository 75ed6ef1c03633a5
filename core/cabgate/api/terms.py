# SPDX-License-Identifier: Apache-2.0
"""What a change policy asked of a request when it was opened, as it is frozen into it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import Model, ObjectName, ShortText
from cabgate.api.changepolicy import (
    HIGHEST_LEVEL,
    MAX_RULES,
    MAX_STEPS,
    MAX_VOTES,
    FurtherVerb,
    Verb,
)
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
