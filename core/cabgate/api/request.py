# SPDX-License-Identifier: Apache-2.0
"""`CABRequest`: one rollout with frozen evidence, scored and decided; created by the operator."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from cabgate.api.base import (
    Decimal2,
    EvidenceDigest,
    LongText,
    Model,
    ObjectMeta,
    ObjectName,
    Ratio,
    ShortText,
    Timestamp,
    cel,
    validations,
)
from cabgate.api.changepolicy import Verb
from cabgate.api.conditions import Conditions
from cabgate.api.evidence import Evidence
from cabgate.api.intent import CorrelationID
from cabgate.api.rationale import SAYS_WHY, Rationale
from cabgate.api.signer import Section
from cabgate.api.terms import MAX_VERBS, Terms
from cabgate.api.types import (
    DECISION_VALIDATIONS,
    ApprovalConditions,
    ConditionName,
    DecisionEntry,
    Listed,
    Overrides,
    RequestedBy,
    RevokedImages,
    SubmittedBy,
    Target,
    Tier,
    Username,
    decisions_field,
    targets_field,
)
from cabgate.api.values import RequestState as RequestState
from cabgate.api.values import RequestVerdict as RequestVerdict

KIND = "CABRequest"
PLURAL = "cabrequests"


class RequestReviewVerdict(StrEnum):
    """What a reviewer may say of a request."""

    UNDER_REVIEW = "UnderReview"
    APPROVED = "Approved"
    CONDITIONALLY_APPROVED = "ConditionallyApproved"
    REJECTED = "Rejected"
    REVOKED = "Revoked"
    ATTESTED = "Attested"


class IntentRef(Model):
    """The intent that a request was made from."""

    name: ObjectName
    """Name of the intent, in the same namespace."""
    uid: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Its uid: a re-created intent has another."""
    generation: Annotated[int, Field(ge=0, le=2**53)]
    """Its generation when the request was opened."""
    applied_by: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """The tool that applied it then, such as Flux: messages name Git, where it is edited."""


class BreakGlass(Model):
    """A rollout that went past the gate in an incident, and is reviewed afterwards."""

    ticket: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """The ticket, as the annotation cabgate.dev/break-glass names it."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Why, as the annotation says."""
    by: Annotated[str, StringConstraints(max_length=512)] = ""
    """User name of who broke the glass, as the API server authenticated it; empty where it is
    longer than 512 characters, and then nobody who may break the glass decides."""
    uid: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """Uid of the workload."""
    id: Annotated[str, StringConstraints(max_length=128)] = ""
    """Tells the breaks of one workload apart: its resource, its generation before the write (new:
    its creation), and whether that changed the pod template."""


class Factor(Model):
    """What one factor of the risk model contributes to the score."""

    name: ShortText
    """Name of the factor."""
    weight: Ratio
    """Weight of the factor; all weights together are 1."""
    observed: ShortText
    """What the evidence says."""
    risk: Ratio
    """Risk from 0 to 1."""
    contribution: Decimal2
    """Points that the factor adds to the score: 100 x weight x risk."""
    explanation: LongText
    """Why the risk is what it is."""


class Floor(Model):
    """A rule that asks for at least a certain gate, whatever the score."""

    name: ShortText
    """Name of the floor."""
    gate: Tier
    """The least that it asks for."""
    explanation: LongText
    """Why it applies."""


class RiskModelRef(Model):
    """The risk model that a request was scored with."""

    name: ObjectName
    """Name of the model."""
    version: ShortText
    """Version of the model."""
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]
    """Digest of the model's content."""


class ProvenanceState(StrEnum):
    """Whether somebody speaks for a part of the evidence beside the team."""

    VERIFIED = "Verified"
    DECLARED = "Declared"
    CONTRADICTED = "Contradicted"


class Provenance(Model):
    """Who speaks for a part of the evidence."""

    section: Section
    """The part."""
    state: ProvenanceState
    """Verified: a signer that is trusted signed the same. Contradicted: signed another thing.
    Declared: nobody who may signed it, so that it is the team's word."""
    signer: ObjectName | None = None
    """The EvidenceSigner."""
    # A text: CEL compares specs, and for good fails at a date that it cannot read.
    created_at: Annotated[str, StringConstraints(max_length=32)] | None = None
    """When it was signed, as what is signed says: RFC 3339, UTC."""
    commit: Annotated[str, StringConstraints(max_length=64)] | None = None
    """The commit that was built, as what is signed says."""
    path: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Of Contradicted: the field that differs."""
    why: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Why it is not Verified."""


class Assessment(Model):
    """Score and gate of the evidence, with the reasons."""

    score: Decimal2
    """Risk score, 0.00 (none) to 100.00."""
    gate: Tier
    """AutoApprove, ManualReview or ExceptionRequired, by the thresholds of the model and its
    floors."""
    factors: Annotated[list[Factor], Field(max_length=32, min_length=1)]
    """The factors, in the order of the model."""
    floors: Annotated[list[Floor], Field(max_length=32)] = Field(default_factory=list)
    """The floors that applied."""
    missing: Annotated[list[ShortText], Field(max_length=64)] = Field(default_factory=list)
    """Field paths of the evidence that is missing."""
    provenance: Annotated[list[Provenance], Field(max_length=8)] = Field(default_factory=list)
    """Who speaks for each part of the evidence; empty where nothing is signed, so that all of it is
    declared."""
    risk_model: RiskModelRef
    """The model that was used."""


Requirement = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][-A-Za-z0-9]*$", min_length=1, max_length=63)
]
"""Word for a rule."""


class CABRequestSpec(Model):
    """What is to be decided; never changes."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.intentRef) != has(self.breakGlass)",
                "a request is made from an intent or for a broken glass: exactly one of intentRef "
                "and breakGlass",
            )
        )
    )

    intent_ref: IntentRef | None = None
    """The intent that this request was made from."""
    break_glass: BreakGlass | None = None
    """The broken glass that this request was made for: its rollout runs already."""
    targets: Annotated[list[Target], targets_field()]
    """The workloads and images that an approval covers."""
    summary: LongText | None = None
    """What the rollout changes, in the team's words."""
    correlation_id: Annotated[CorrelationID, Field(alias="correlationID")]
    """Identifier that ties the rollout to records elsewhere."""
    submitted_by: SubmittedBy = Field(default_factory=list)
    """Who submitted; they may not approve."""
    requester: Username | None = None
    """The person who asked, as claimed; may not approve."""
    requested_by: RequestedBy = Field(default_factory=list)
    """Everybody who was named as the one who asked; they may not approve."""
    ring: Annotated[int, Field(ge=0, le=4)]
    """Ring of the namespace when the request was opened, or that of the write that broke the glass;
    informational, the gate uses the live one."""
    evidence: Evidence = Field(default_factory=Evidence)
    """Frozen copy of the evidence."""
    evidence_digest: EvidenceDigest
    """Digest of targets, images and evidence."""
    assessment: Assessment
    """Score and gate, with the reasons."""
    terms: Terms | None = None
    """Who has to approve, by the change policy of the namespace; absent where it has none: one
    approval."""
    requires: Annotated[
        list[Requirement],
        Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """Rules that this request rests on and that older releases do not know, a word each; a webhook
    that does not know one of them denies, and says so."""


_NEEDS_CONDITIONS = cel(
    "self.verdict != 'ConditionallyApproved'"
    " || (has(self.conditions) && size(self.conditions) > 0)",
    "a conditional approval needs conditions: status.review.conditions, each with name and "
    "description",
)
_NEEDS_CONDITION = cel(
    "(self.verdict == 'Attested') == has(self.condition)",
    "Attested, and no other verdict, names the condition: status.review.condition",
)
_NEEDS_RATIONALE = cel(
    "!(self.verdict in ['ConditionallyApproved', 'Rejected', 'Revoked'])"
    " || (has(self.rationale) && self.rationale.trim() != '')",
    "this verdict needs a rationale: status.review.rationale",
)


_OVERRIDES = cel(
    "!has(self.overrides) || self.verdict in ['Approved', 'ConditionallyApproved']",
    "only an approval names freezes and promotions that it overrides: status.review.overrides",
)
_NAMES_IMAGES = cel(
    "!has(self.images) || self.verdict == 'Revoked'",
    "only Revoked names images: status.review.images",
)


class RequestReview(Model):
    """The reviewer's slot: what is written here becomes an entry of `decisions` in the same
    write."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            _NEEDS_CONDITIONS,
            _NEEDS_CONDITION,
            _NEEDS_RATIONALE,
            _NAMES_IMAGES,
            _OVERRIDES,
            SAYS_WHY,
        )
    )

    verdict: RequestReviewVerdict
    """UnderReview, Approved, ConditionallyApproved, Rejected, Revoked or Attested."""
    rationale: Rationale = ""
    """Why."""
    conditions: ApprovalConditions = Field(default_factory=list)
    """The approval conditions of ConditionallyApproved."""
    condition: ConditionName | None = None
    """Name of the approval condition that Attested is about."""
    images: RevokedImages = Field(default_factory=list)
    """The images of the request that Revoked is about, or `*` for all of them. Needed where
    another approval in force covers one of them; absent is all of them."""
    overrides: Overrides = Field(default_factory=list)
    """ChangeFreezes into which an approval lets the rollout all the same; its author holds the verb
    override on each. `promotion.ring-3` lets it into ring 3 before its promotion; its author holds
    override on the change policy. A request that is approved already takes such an approval beside
    that."""
    evidence_digest: EvidenceDigest | None = None
    """Digest that the reviewer looked at; refused if it is not the request's."""


class RequestDecision(DecisionEntry):
    """An entry of a request's decisions."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *DECISION_VALIDATIONS["x-kubernetes-validations"],
            _NEEDS_CONDITIONS,
            _NEEDS_CONDITION,
            _NEEDS_RATIONALE,
            _NAMES_IMAGES,
            _OVERRIDES,
        )
    )

    verdict: RequestVerdict
    """What was decided."""
    conditions: ApprovalConditions = Field(default_factory=list)
    """The approval conditions of ConditionallyApproved."""
    condition: ConditionName | None = None
    """Name of the approval condition that Attested is about."""
    verbs: Annotated[
        list[Verb],
        Field(max_length=MAX_VERBS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """Of an approval where terms ask for several: those of the verbs in the terms that its author
    held at that moment, as the API server's authorizers said, sorted."""
    images: RevokedImages = Field(default_factory=list)
    """The images that Revoked is about, `*` for all of the request; absent is all of them, as in
    what an earlier release wrote."""
    overrides: Overrides = Field(default_factory=list)
    """ChangeFreezes into which an approval lets the rollout, and rings as `promotion.ring-3`; its
    author held the verb override on each, or on the change policy, at that moment, as the API
    server's authorizers said."""


class CABRequestStatus(Model):
    """What became of the request."""

    state: RequestState | None = None
    """Where the request stands; derived from spec and decisions, shown here for people."""
    review: RequestReview | None = None
    """What a reviewer writes; the webhook makes an entry of `decisions` of it in the same write."""
    decisions: Annotated[list[RequestDecision], decisions_field()]
    """Every decision, in order; append-only."""
    targets: Listed | None = None
    """Kinds and names of the targets, counted; shown in lists."""
    submitters: Listed | None = None
    """Who submitted, and for whom; shown in lists."""
    approvals: Listed | None = None
    """How many of the approvals that its terms ask for are in, such as `1/2`; shown in lists."""
    taken_at: Timestamp | None = None
    """When a reviewer took the request, if one did."""
    decided_at: Timestamp | None = None
    """When the request was decided; it was opened at metadata.creationTimestamp."""
    asked_at: Timestamp | None = None
    """When its intent last began to ask for this content; retention goes by it."""
    conditions: Conditions = Field(default_factory=list)
    """Decided: whether a verdict has been given, and what to do next."""


class CABRequest(Model):
    """One rollout with frozen evidence, scored and decided. Created by the operator only; it is a
    record and outlives its intent."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: CABRequestSpec
    status: CABRequestStatus = Field(default_factory=CABRequestStatus)
