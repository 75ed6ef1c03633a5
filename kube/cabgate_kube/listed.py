# SPDX-License-Identifier: Apache-2.0
"""Requests and exceptions as a list of what waits reads them: without the models, which take longer
to import than all else that the queue does, and several times the memory.

The types have the fields that the models have, with the same names, defaults and kinds of value,
which a test holds them to, and leave out what no row depends on. What they do not take is left to
the models, with what those say to it.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from cabgate.api.values import (
    DEFAULT_DURATION_DAYS,
    MAX_DURATION_DAYS,
    Attestation,
    AuthorType,
    ExceptionVerdict,
    Limit,
    RequestVerdict,
    SubmitterType,
    Tier,
    bare_digest,
    has_to_be_attested,
    left_to_people,
)
from cabgate.rollout.rings import HIGHEST

Moment = Annotated[datetime, Meta(tz=True)]
"""A moment with its time zone, RFC 3339."""


class ListedMeta(Struct, rename="camel"):
    """Metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    creation_timestamp: Moment | None = None


class ListedTarget(Struct, rename="camel"):
    """A workload with its images."""

    api_version: str
    kind: str
    name: str
    images: list[str]


class ListedIntentRef(Struct, rename="camel"):
    """The intent that a request was made from."""

    name: str
    uid: str
    generation: int
    applied_by: str | None = None


class ListedBreak(Struct):
    """A broken glass."""

    ticket: str
    reason: str


class ListedSubmitter(Struct, frozen=True):
    """Who submitted; two that are equal are one."""

    username: str
    uid: str = ""
    type: SubmitterType | None = None


class ListedReport(Struct):
    """Test or scan results, as far as they are no figures."""

    uri: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            self.sha256 = bare_digest(self.sha256)


class ListedEvidence(Struct, rename="camel"):
    """The reports of the evidence."""

    test_results: ListedReport | None = None
    scan_results: ListedReport | None = None


class ListedFactor(Struct):
    """A factor of an assessment."""

    name: str
    weight: str
    observed: str
    risk: str


class ListedFloor(Struct):
    """A floor that applied."""

    name: str
    gate: Tier
    explanation: str


class ListedRiskModel(Struct):
    """The risk model of an assessment."""

    digest: str


class ListedAssessment(Struct, rename="camel", kw_only=True):
    """Score and gate."""

    score: str
    gate: Tier
    factors: list[ListedFactor]
    floors: list[ListedFloor] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    risk_model: ListedRiskModel


class ListedNeed(Struct, rename="camel"):
    """So many different people, each with a verb, have to approve."""

    count: int
    verb: str
    valid_for_seconds: int | None = None


class ListedEscalation(Struct, rename="camel"):
    """What changes once a request has waited for so long."""

    after_seconds: int
    level: int
    also_decides: str | None = None


class ListedExceptionNeed(Struct, rename="camel"):
    """What an exception for a request needs."""

    count: int
    max_days: int
    require: list[Limit] = field(default_factory=list)


class ListedPromotionNeed(Struct, rename="camel", kw_only=True):
    """What has to have become of a release in one ring before it is rolled out into the next."""

    ring: int
    from_: int = field(name="from")
    soak_seconds: int
    success_percent: str
    min_pods: int
    incidents: int
    namespaces: list[str] = field(default_factory=list)


class ListedPromotion(Struct):
    """What has to have become of a release in the rings before."""

    release: str | None = None
    needs: list[ListedPromotionNeed] = field(default_factory=list)


class ListedTerms(Struct):
    """What a change policy asks of a request."""

    approvals: list[ListedNeed] = field(default_factory=list)
    escalation: list[ListedEscalation] = field(default_factory=list)
    exceptions: ListedExceptionNeed | None = None
    promotion: ListedPromotion | None = None


class ListedRequestSpec(Struct, rename="camel", kw_only=True):
    """What is to be decided."""

    intent_ref: ListedIntentRef | None = None
    break_glass: ListedBreak | None = None
    targets: list[ListedTarget]
    summary: str | None = None
    correlation_id: str = field(name="correlationID")
    submitted_by: list[ListedSubmitter] = field(default_factory=list)
    requester: str | None = None
    requested_by: list[str] = field(default_factory=list)
    ring: Annotated[int, Meta(ge=0, le=HIGHEST)]
    evidence: ListedEvidence = field(default_factory=ListedEvidence)
    evidence_digest: str
    assessment: ListedAssessment
    terms: ListedTerms | None = None
    requires: list[str] = field(default_factory=list)


class ListedAuthor(Struct):
    """Who decided."""

    type: AuthorType
    username: str
    uid: str = ""


class ListedCondition(Struct, rename="camel"):
    """A condition of an approval."""

    name: str
    description: str
    not_before: Moment | None = None
    not_after: Moment | None = None
    attestation: Attestation | None = None

    @property
    def needs_attestation(self) -> bool:
        """Whether the gate waits for somebody to attest it."""
        return has_to_be_attested(self.attestation)

    @property
    def is_obligation(self) -> bool:
        """Whether the gate cannot see to it."""
        return left_to_people(self.attestation, self.not_before, self.not_after)


class ListedChecked(Struct):
    """What an approval was given in knowledge of."""

    refusals: int | None = None
    lifts: list[str] = field(default_factory=list)


class ListedEntry(Struct, rename="camel", kw_only=True):
    """An entry of the decisions of a request."""

    sequence: int
    author: ListedAuthor
    at: Moment
    rationale: str = ""
    evidence_digest: str
    checked: ListedChecked | None = None
    verdict: RequestVerdict
    conditions: list[ListedCondition] = field(default_factory=list)
    condition: str | None = None
    verbs: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)


class ListedStatusCondition(Struct):
    """A condition of a status."""

    type: str
    status: Literal["True", "False", "Unknown"]


class ListedStatus(Struct):
    """What became of a request."""

    decisions: list[ListedEntry] = field(default_factory=list)
    conditions: list[ListedStatusCondition] = field(default_factory=list)


class RequestListed(Struct, kw_only=True):
    """A request."""

    metadata: ListedMeta = field(default_factory=ListedMeta)
    spec: ListedRequestSpec
    status: ListedStatus = field(default_factory=ListedStatus)


class ListedRequestRef(Struct):
    """The request that an exception is for."""

    name: str


class ListedInterval(Struct):
    """From a moment until another."""

    from_: Moment = field(name="from")
    until: Moment


class ListedConstraints(Struct, rename="camel"):
    """What an exception admits no rollout beyond."""

    max_replicas: int | None = None
    max_ring: int | None = None
    until: Moment | None = None
    windows: list[ListedInterval] = field(default_factory=list)


class ListedExceptionSpec(Struct, rename="camel"):
    """Why, for how long, and how far."""

    request_ref: ListedRequestRef
    reason: str
    duration_days: Annotated[int, Meta(ge=1, le=MAX_DURATION_DAYS)] = DEFAULT_DURATION_DAYS
    constraints: ListedConstraints | None = None
    approvals_needed: int | None = None
    submitted_by: list[ListedSubmitter] = field(default_factory=list)


class ListedExceptionEntry(Struct, rename="camel", kw_only=True):
    """An entry of the decisions of an exception."""

    sequence: int
    author: ListedAuthor
    at: Moment
    evidence_digest: str
    checked: ListedChecked | None = None
    verdict: ExceptionVerdict
    constraints: ListedConstraints | None = None


class ListedExceptionStatus(Struct):
    """What became of an exception."""

    decisions: list[ListedExceptionEntry] = field(default_factory=list)


class ExceptionListed(Struct, kw_only=True):
    """An exception."""

    metadata: ListedMeta = field(default_factory=ListedMeta)
    spec: ListedExceptionSpec
    status: ListedExceptionStatus = field(default_factory=ListedExceptionStatus)
