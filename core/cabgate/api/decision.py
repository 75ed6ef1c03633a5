# SPDX-License-Identifier: Apache-2.0
"""`CABDecision`: one record of the ledger, written by the operator, never changed."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import (
    Decimal2,
    EvidenceDigest,
    Model,
    ObjectMeta,
    ObjectName,
    Ratio,
    ShortText,
    Timestamp,
    cel,
)
from cabgate.api.changepolicy import MAX_VOTES, Verb
from cabgate.api.exception import Constraints
from cabgate.api.intent import CorrelationID
from cabgate.api.rationale import Rationale
from cabgate.api.request import IntentRef, RiskModelRef
from cabgate.api.terms import MAX_VERBS, Terms
from cabgate.api.types import (
    MAX_DECISIONS,
    MAX_REQUESTERS,
    MAX_SUBMITTERS,
    MAX_TARGETS,
    ApprovalConditions,
    Author,
    Checked,
    Overrides,
    RevokedImages,
    Signature,
    Target,
    Tier,
    Username,
)
from cabgate.api.values import SubjectKind as SubjectKind

KIND = "CABDecision"
PLURAL = "cabdecisions"

DIGITS = 8
"""Digits of the position in a record's name."""

MAX_SEQUENCE = 10**DIGITS - 1
"""Longest chain, in records."""

RecordDigest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
"""Digest of a record of the ledger."""


FORMAT = 2
"""Format of the records that this release writes; those of before have none."""

OPENED = "Opened"
"""Verdict of the record of a request on which nothing was decided yet."""

ASKED = "Asked"
"""Verdict of the record of an exception on which nothing was decided yet."""

ClippedText = Annotated[str, StringConstraints(max_length=4096)]
"""A text, or its beginning: then `cut` has the digest of all of it."""


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


class Cut(Model):
    """A field that is too long for a record, and what all of it was."""

    field: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z]+$", max_length=32)]
    """Name of the field of this spec."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
    """SHA-256 of all of it: of a text as UTF-8, of anything else as RFC 8785 JSON."""
    size: Annotated[int, Field(ge=0, le=2**31)]
    """How long all of it was: a text in characters, a list in entries, anything else in bytes."""


class RecordedFactor(Model):
    """What a factor of the risk model contributed to the score."""

    name: ShortText
    """Name of the factor."""
    risk: Ratio
    """Risk from 0 to 1."""
    contribution: Decimal2
    """Points that the factor added to the score."""


class RecordedFloor(Model):
    """A floor that applied."""

    name: ShortText
    """Name of the floor."""
    gate: Tier
    """The least that it asked for."""
    explanation: ClippedText = ""
    """Why it applied."""


class RecordedException(Model):
    """What an exception says."""

    request_name: ObjectName
    """Name of the CABRequest that it is for."""
    reason: ClippedText = ""
    """Why the rollout could not wait."""
    compensating_controls: Annotated[list[ClippedText], Field(max_length=32)] = Field(
        default_factory=list
    )
    """What kept the risk in hand."""
    duration_days: Annotated[int, Field(ge=1, le=90)]
    """How long it was to last, in days from its creation."""
    constraints: Constraints | None = None
    """What it was to admit no rollout beyond."""
    approvals_needed: Annotated[int, Field(ge=2, le=MAX_VOTES)] | None = None
    """How many different people had to approve it; absent: one."""
    submitted_by: Annotated[list[Username], Field(max_length=MAX_SUBMITTERS)] = Field(
        default_factory=list
    )
    """User names of who wrote it."""


class RecordedBreakGlass(Model):
    """The broken glass that a request reviews."""

    ticket: Annotated[str, StringConstraints(max_length=64)]
    """The ticket."""
    reason: ClippedText = ""
    """Why."""
    by: Annotated[str, StringConstraints(max_length=512)] = ""
    """User name of who broke the glass; empty where nobody knows."""


class CABDecisionSpec(Model):
    """What was decided, by whom, when and on what; never changes."""

    format: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Format of the record; absent is 1, as in what an earlier release wrote."""
    subject: DecisionSubject
    """The object that was decided on."""
    targets: Annotated[list[Target], Field(max_length=MAX_TARGETS)] = Field(default_factory=list)
    """The workloads and images that the decision is about; absent where they are too long, and then
    `workloads` names the first workloads and `cut` has digest and count."""
    workloads: Annotated[
        list[Annotated[str, StringConstraints(max_length=512)]], Field(max_length=MAX_TARGETS)
    ] = Field(default_factory=list)
    """The first workloads of targets that are too long for a record: apiVersion, kind and name."""
    evidence_digest: EvidenceDigest
    """Digest of the evidence that was decided on."""
    score: Decimal2 | None = None
    """Risk score of the request, 0.00 to 100.00."""
    gate: Tier | None = None
    """What the score asked for."""
    risk_model: RiskModelRef | None = None
    """The risk model that the request was scored with."""
    terms: Terms | None = None
    """Who had to approve, by the change policy of the namespace; absent where it had none."""
    correlation_id: Annotated[CorrelationID | None, Field(alias="correlationID")] = None
    """Identifier that ties the rollout to records elsewhere."""
    opened: Timestamp | None = None
    """When the request was opened or the exception asked for: its creation."""
    taken: Timestamp | None = None
    """When a reviewer took the request, if one had by then."""
    ring: Annotated[int, Field(ge=0, le=4)] | None = None
    """Ring of the namespace when the request was opened."""
    intent: IntentRef | None = None
    """The intent that the request was made from."""
    submitted_by: Annotated[list[Username], Field(max_length=MAX_SUBMITTERS)] = Field(
        default_factory=list
    )
    """User names of who submitted, as the request says."""
    requester: Username | None = None
    """The person who asked, as claimed."""
    requested_by: Annotated[list[Username], Field(max_length=MAX_REQUESTERS)] = Field(
        default_factory=list
    )
    """Everybody who was named as the one who asked."""
    factors: Annotated[list[RecordedFactor], Field(max_length=32)] = Field(default_factory=list)
    """How the score came about."""
    floors: Annotated[list[RecordedFloor], Field(max_length=32)] = Field(default_factory=list)
    """The floors that applied."""
    summary: ClippedText | None = None
    """What the rollout changes, in the team's words."""
    exception: RecordedException | None = None
    """What the exception says that was decided on."""
    break_glass: RecordedBreakGlass | None = None
    """The broken glass that the request reviews."""
    verdict: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)]
    """What was decided; Opened or Asked where nothing was as yet."""
    author: Author
    """Who decided."""
    at: Timestamp
    """When, by the webhook's clock for people and the operator's for the system."""
    rationale: Rationale = ""
    """Why."""
    conditions: ApprovalConditions = Field(default_factory=list)
    """The approval conditions of ConditionallyApproved."""
    condition: ShortText | None = None
    """Name of the approval condition that Attested is about."""
    constraints: Constraints | None = None
    """What the reviewer of an exception tightened it to."""
    verbs: Annotated[list[Verb], Field(max_length=MAX_VERBS)] = Field(default_factory=list)
    """Of an approval that terms ask for: those of their verbs that its author held."""
    overrides: Overrides = Field(default_factory=list)
    """The freezes and promotions that an approval overrode, whose author held the verb for each."""
    checked: Checked | None = None
    """Who could not give this decision, as it was checked, and which refusals it lifts; of
    people's decisions only."""
    images: RevokedImages = Field(default_factory=list)
    """The images that Revoked is about, `*` for all of the request; absent is all of them, as in
    what an earlier release wrote."""
    signature: Signature | None = None
    """The webhook's signature; absent for the system, and for what was written past the webhook."""
    cut: Annotated[list[Cut], Field(max_length=32)] = Field(default_factory=list)
    """Fields that are shortened here, and the digest of all that each of them said."""
    entry: Annotated[int, Field(ge=0, le=MAX_DECISIONS)]
    """Position of the decision in its subject's status.decisions, from 1; 0 of Opened and Asked."""
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
