# SPDX-License-Identifier: Apache-2.0
"""`CABException`: leave to roll out in spite of the score, for a limited time."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from cabgate.api.base import (
    DeclaredTime,
    EvidenceDigest,
    LongText,
    Model,
    ObjectMeta,
    ObjectName,
    Timestamp,
    cel,
    validations,
)
from cabgate.api.changepolicy import MAX_VOTES
from cabgate.api.conditions import Conditions
from cabgate.api.rationale import SAYS_WHY, Rationale
from cabgate.api.types import (
    DECISION_VALIDATIONS,
    DecisionEntry,
    SubmittedBy,
    decisions_field,
)
from cabgate.api.values import DEFAULT_DURATION_DAYS as DEFAULT_DURATION_DAYS
from cabgate.api.values import MAX_DURATION_DAYS as MAX_DURATION_DAYS
from cabgate.api.values import ExceptionState as ExceptionState
from cabgate.api.values import ExceptionVerdict as ExceptionVerdict

KIND = "CABException"
PLURAL = "cabexceptions"

PLACEHOLDER = "TODO:"
"""How a text begins that somebody still has to write; such an exception is refused."""


class ExceptionReviewVerdict(StrEnum):
    """What a security reviewer may say of an exception."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    REVOKED = "Revoked"


class RequestRef(Model):
    """The request that an exception is for."""

    name: ObjectName
    """Name of the CABRequest, in the same namespace; its name holds its evidence digest, so new
    images need a new exception."""


class Interval(Model):
    """From a moment until another."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel("self.from < self.until", "from must be earlier than until", ".from")
        )
    )

    from_: Annotated[DeclaredTime, Field(alias="from")]
    """The first moment."""
    until: DeclaredTime
    """The first moment after it."""


MAX_WINDOWS = 5
"""Each is repeated in the record of a decision, which has a bound."""


class Constraints(Model):
    """What an exception admits no rollout beyond; each part that is set has to hold, and one at
    least is."""

    # What is mistyped is dropped before it is counted: an approval without limits is not meant.
    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.maxReplicas) || has(self.maxRing)"
                " || has(self.until) || has(self.windows)",
                "set maxReplicas, maxRing, until or windows; a field of another name is dropped",
            )
        )
    )

    max_replicas: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Most replicas that the object may have when it is rolled out, `spec.replicas`; a kind that
    has none is denied. Scaling later is not stopped, and reported as not covered."""
    max_ring: Annotated[int, Field(ge=2, le=4)] | None = None
    """Highest ring that it admits in, 2 to 4."""
    until: DeclaredTime | None = None
    """When it ends, if that is before durationDays are over; to the second."""
    windows: Annotated[list[Interval], Field(min_length=1, max_length=MAX_WINDOWS)] = Field(
        default_factory=list
    )
    """It admits within one of these alone; none: at any time until its end."""


class CABExceptionSpec(Model):
    """Why, for how long and under which controls; never changes."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                f"!self.reason.startsWith('{PLACEHOLDER}')"
                f" && !self.compensatingControls.exists(c, c.startsWith('{PLACEHOLDER}'))",
                f"reason and compensatingControls: replace what begins with {PLACEHOLDER}",
            )
        )
    )

    request_ref: RequestRef
    """The request that the exception is for."""
    reason: LongText
    """Why the rollout cannot wait for better evidence."""
    compensating_controls: Annotated[list[LongText], Field(min_length=1, max_length=32)]
    """What keeps the risk in hand meanwhile; at least one, none blank."""
    duration_days: Annotated[int, Field(ge=1, le=MAX_DURATION_DAYS)] = DEFAULT_DURATION_DAYS
    """How long the exception lasts, in days from its creation, 1 to 90."""
    constraints: Constraints | None = None
    """What it admits no rollout beyond; a reviewer may tighten it in the review."""
    approvals_needed: Annotated[int, Field(ge=2, le=MAX_VOTES)] | None = None
    """How many different people have to approve it, by the terms of its request; absent: one.
    Stamped by the webhook: what a client sends here is replaced."""
    submitted_by: SubmittedBy = Field(default_factory=list)
    """Who wrote it; stamped by the webhook: what a client sends here is replaced."""


_NEEDS_RATIONALE = cel(
    "self.verdict == 'Expired' || (has(self.rationale) && self.rationale.trim() != '')",
    "a decision on an exception needs a rationale: status.review.rationale",
)


class ExceptionReview(Model):
    """The reviewer's slot: what is written here becomes an entry of `decisions` in the same
    write."""

    model_config = ConfigDict(json_schema_extra=validations(_NEEDS_RATIONALE, SAYS_WHY))

    verdict: ExceptionReviewVerdict
    """Approved, Rejected or Revoked."""
    rationale: Rationale = ""
    """Why."""
    evidence_digest: EvidenceDigest | None = None
    """Digest that the reviewer looked at; refused if it is not the request's."""
    constraints: Constraints | None = None
    """Of an approval: what it admits no rollout beyond, beside the constraints of the spec; both
    have to hold."""


class ExceptionDecision(DecisionEntry):
    """An entry of an exception's decisions."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *DECISION_VALIDATIONS["x-kubernetes-validations"], _NEEDS_RATIONALE
        )
    )

    verdict: ExceptionVerdict
    """What was decided."""
    constraints: Constraints | None = None
    """What the reviewer tightened it to, beside the constraints of the spec."""


class CABExceptionStatus(Model):
    """What became of the exception."""

    state: ExceptionState | None = None
    """Where the exception stands; derived from spec, decisions and time, shown here for people."""
    expires_at: Timestamp | None = None
    """When it ends: creation plus durationDays, or the earliest `until` of its constraints. Shown
    only; the gate computes it."""
    review: ExceptionReview | None = None
    """What a reviewer writes; the webhook makes an entry of `decisions` of it in the same write."""
    decisions: Annotated[list[ExceptionDecision], decisions_field()]
    """Every decision, in order; append-only."""
    conditions: Conditions = Field(default_factory=list)
    """Active: whether the exception admits rollouts now, and what to do next. ConstraintViolated:
    whether what was let in under it is beyond its constraints by now, once anything was."""


class CABException(Model):
    """Permission to roll out in spite of the score, for a limited time and with compensating
    controls; written by the team, decided by a security reviewer."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: CABExceptionSpec
    status: CABExceptionStatus = Field(default_factory=CABExceptionStatus)
