# SPDX-License-Identifier: Apache-2.0
"""`CABDecision`: one record of the ledger, written by the operator, never changed."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import (
    Decimal2,
    EvidenceDigest,
    Model,
    ObjectMeta,
    ObjectName,
    ShortText,
    Timestamp,
    cel,
)
from cabgate.api.intent import CorrelationID
from cabgate.api.request import RiskModelRef
from cabgate.api.types import (
    MAX_DECISIONS,
    MAX_TARGETS,
    ApprovalConditions,
    Author,
    Checked,
    Gate,
    Rationale,
    RevokedImages,
    Signature,
    Target,
)

KIND = "CABDecision"
PLURAL = "cabdecisions"

DIGITS = 8
"""Digits of the position in a record's name."""

MAX_SEQUENCE = 10**DIGITS - 1
"""Longest chain, in records."""

RecordDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
"""Digest of a record of the ledger."""


class SubjectKind(StrEnum):
    """What a decision may be about."""

    REQUEST = "CABRequest"
    EXCEPTION = "CABException"


class DecisionSubject(Model):
    """The object that was decided on."""

    kind: SubjectKind
    """CABRequest or CABException."""
    namespace: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Its namespace; each has a chain of its own, which outlives it."""
    name: ObjectName
    """Its name."""
    uid: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Its uid: an object that is created again under the same name has another."""


class CABDecisionSpec(Model):
    """What was decided, by whom, when and on what; never changes."""

    subject: DecisionSubject
    """The object that was decided on."""
    targets: Annotated[list[Target], Field(max_length=MAX_TARGETS)] = Field(default_factory=list)
    """The workloads and images that the decision is about."""
    evidence_digest: EvidenceDigest
    """Digest of the evidence that was decided on."""
    score: Decimal2 | None = None
    """Risk score of the request, 0.00 to 100.00."""
    gate: Gate | None = None
    """What the score asked for."""
    risk_model: RiskModelRef | None = None
    """The risk model that the request was scored with."""
    correlation_id: Annotated[CorrelationID | None, Field(alias="correlationID")] = None
    """Identifier that ties the rollout to records elsewhere."""
    verdict: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)]
    """What was decided."""
    author: Author
    """Who decided."""
    at: Timestamp
    """When, by the webhook's clock for people and the operator's for the system."""
    rationale: Rationale = ""
    """Why."""
    conditions: ApprovalConditions = Field(default_factory=list)
    """The conditions of ConditionallyApproved."""
    condition: ShortText | None = None
    """Name of the condition that Attested is about."""
    checked: Checked | None = None
    """Who could not give this decision, as it was checked; of people's decisions only."""
    images: RevokedImages = Field(default_factory=list)
    """The images that Revoked is about, `*` for all of the request; absent is all of them, as in
    what an earlier release wrote."""
    signature: Signature | None = None
    """The webhook's signature; absent for the system, and for what was written past the webhook."""
    entry: Annotated[int, Field(ge=1, le=MAX_DECISIONS)]
    """Position of the decision in its subject's status.decisions, from 1."""
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]
    """Position of this record in the chain of its namespace, from 1."""
    previous_digest: RecordDigest | None = None
    """Digest of the record before this one; absent in the first."""
    digest: RecordDigest
    """SHA-256 of the RFC 8785 JSON of all the rest of this spec."""


LINKED = cel(
    "(self.spec.sequence == 1) == !has(self.spec.previousDigest)",
    "every record but the first names the digest of the one before it",
)


class CABDecision(Model):
    """One decision in the ledger: who decided what on which evidence, chained to the decision
    before it in the same namespace. Written by the operator only; it outlives what it is about."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: CABDecisionSpec
