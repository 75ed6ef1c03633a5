# SPDX-License-Identifier: Apache-2.0
"""`DeploymentIntent`: a rollout and its evidence, written by the team."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import Decimal2, EvidenceDigest, LongText, Model, ObjectMeta, ObjectName
from cabgate.api.evidence import Evidence
from cabgate.api.types import Conditions, Gate, SubmittedBy, Target, targets_field

KIND = "DeploymentIntent"
PLURAL = "deploymentintents"

MAX_NAME = 200
"""Longest name of an intent, in characters: its requests are named after it, with a suffix."""

CorrelationID = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", min_length=1, max_length=128)
]
"""Identifier that ties the rollout to records elsewhere, such as a ticket."""

Username = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""User name as the API server knows it."""


class DeploymentIntentSpec(Model):
    """What is to be rolled out, and why it is safe."""

    targets: Annotated[list[Target], targets_field()]
    """The workloads of this namespace that the rollout changes, 1 to 50."""
    summary: LongText | None = None
    """What the rollout changes, in a sentence or two, for the reviewer."""
    correlation_id: Annotated[CorrelationID | None, Field(alias="correlationID")] = None
    """Identifier that ties the rollout to records elsewhere; derived if absent."""
    evidence: Evidence = Field(default_factory=Evidence)
    """What the team shows for its rollout."""
    requester: Username | None = None
    """The person who asked, where another identity applies the intent. It only adds to those who
    may not approve, and is recorded as claimed."""
    submitted_by: SubmittedBy = Field(default_factory=list)
    """Who wrote or changed the spec since its last decided request; kept by the webhook from the
    authenticated user: what a client sends here is replaced."""


class DeploymentIntentStatus(Model):
    """What became of the intent; written by the operator."""

    observed_generation: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Generation of the intent that this status was computed from."""
    request_name: ObjectName | None = None
    """Name of the CABRequest for the present content."""
    evidence_digest: EvidenceDigest | None = None
    """Digest of targets, images and evidence."""
    correlation_id: Annotated[CorrelationID | None, Field(alias="correlationID")] = None
    """Identifier that ties the rollout to records elsewhere."""
    score: Decimal2 | None = None
    """Risk score, 0.00 to 100.00."""
    gate: Gate | None = None
    """What the score asks for."""
    state: Annotated[str, StringConstraints(max_length=64)] | None = None
    """State of the request."""
    conditions: Conditions = Field(default_factory=list)
    """Ready (the rollout would be admitted now), Reconciling and Stalled, as kstatus reads them."""


class DeploymentIntent(Model):
    """A rollout and its evidence, written by the team; normally one long-lived intent for each
    release unit, updated at each release."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: DeploymentIntentSpec
    status: DeploymentIntentStatus = Field(default_factory=DeploymentIntentStatus)
