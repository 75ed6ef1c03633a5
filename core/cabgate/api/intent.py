# SPDX-License-Identifier: Apache-2.0
"""`DeploymentIntent`: a rollout and its evidence, written by the team."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import (
    Decimal2,
    EvidenceDigest,
    LongText,
    Model,
    ObjectMeta,
    ObjectName,
    Timestamp,
    cel,
    validations,
)
from cabgate.api.conditions import Conditions
from cabgate.api.evidence import MOMENT, NO_IMAGE_CHARACTER, Evidence
from cabgate.api.kinds import BUILT_IN
from cabgate.api.types import (
    MAX_DECLARED_TARGETS,
    MAX_REQUESTER,
    Listed,
    ReleaseName,
    RequestedBy,
    SubmittedBy,
    Target,
    TemplateForms,
    Tier,
    Username,
    targets_field,
)
from cabgate.api.values import CORRELATION_ID, MAX_CORRELATION_ID

KIND = "DeploymentIntent"
PLURAL = "deploymentintents"

MAX_NAME = 200
"""Longest name of an intent, in characters: its requests are named after it, with a suffix."""

CorrelationID = Annotated[
    str, StringConstraints(pattern=CORRELATION_ID, min_length=1, max_length=MAX_CORRELATION_ID)
]
"""Identifier that ties the rollout to records elsewhere, such as a ticket."""


# In the schema alone: what an older release stored has to stay readable.
_SHOWN = validations(
    cel(
        r"self.matches('[\\p{L}\\p{N}]')"
        r" && !self.matches('[\\p{C}\\p{Zl}\\p{Zp}\\x{115f}\\x{1160}\\x{2800}\\x{3164}\\x{ffa0}]')",
        "names a person: with a letter or a digit, and no character that nobody sees",
    ),
    cel(f"size(self) <= {MAX_REQUESTER}", f"names a person: in {MAX_REQUESTER} characters"),
)

WITHOUT_DEFINITION = {
    group: tuple(sorted(each.kind for each in BUILT_IN if each.group == group))
    for group in ("apps", "batch", "")
}
"""The kinds that are gated, of the groups that Kubernetes keeps for itself: definitions of custom
kinds have a group with a dot in it."""


def _one_of(kinds: tuple[str, ...]) -> str:
    return f"t.kind in [{', '.join(map(repr, kinds))}]"


_IMAGE = "an image is named in ASCII and without blanks"

_MATCHES = (
    cel(
        "self.all(t, t.apiVersion.contains('.')"
        f" || t.apiVersion.startsWith('apps/') && {_one_of(WITHOUT_DEFINITION['apps'])}"
        f" || t.apiVersion.startsWith('batch/') && {_one_of(WITHOUT_DEFINITION['batch'])}"
        f" || !t.apiVersion.contains('/') && {_one_of(WITHOUT_DEFINITION[''])})",
        "a target of a kind that is never gated; allowed: of apps/v1 "
        f"{', '.join(WITHOUT_DEFINITION['apps'])}, of batch/v1 "
        f"{', '.join(WITHOUT_DEFINITION['batch'])}, of v1 "
        f"{', '.join(WITHOUT_DEFINITION[''])}, and custom kinds",
    ),
    cel(
        "self.all(t, t.name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')"
        " || t.kind in ['Job', 'Pod'] && t.name.matches('^[a-z0-9][-a-z0-9.]*[*]$'))",
        "a target with a name that no object has; allowed: lower-case letters, digits, - and ., "
        "beginning and ending with a letter or digit; of a Job or a Pod, its generateName and *",
    ),
    cel(
        f"self.all(t, t.images.all(i, !i.matches('{NO_IMAGE_CHARACTER}')))",
        _IMAGE,
    ),
)
"""Rules of an intent's targets that hold with the webhook gone; `cabgate.rollout.gated_targets` and
`cabgate.rollout.image_names` say more. Requests have none of them: those that were opened before
are still to be read and decided."""

_TIME = "is not a time; allowed: RFC 3339 in capitals, such as 2026-01-31T12:00:00Z"
_READABLE = validations(
    cel(
        "!has(self.manualTesting) || !has(self.manualTesting.at)"
        f" || self.manualTesting.at.matches(r'{MOMENT}')",
        _TIME,
        ".manualTesting.at",
    ),
    cel(
        "!has(self.artifacts) || self.artifacts.all(a, !has(a.images)"
        f" || a.images.all(i, !i.matches('{NO_IMAGE_CHARACTER}')))",
        _IMAGE,
        ".artifacts",
    ),
    cel(
        "!has(self.attestations) || self.attestations.all(a, has(a.payloadType) && has(a.payload)"
        " && has(a.signatures) && size(a.signatures) == 1 && !has(a.sha256))",
        "an attestation is an envelope with payloadType, payload and one signature, without sha256",
        ".attestations",
    ),
)
"""Rules of an intent's evidence, of which the same holds."""


class DeploymentIntentSpec(Model):
    """What is to be rolled out, and why it is safe."""

    targets: Annotated[list[Target], targets_field(*_MATCHES, at_most=MAX_DECLARED_TARGETS)]
    """The workloads of this namespace that the rollout changes, 1 to 20."""
    summary: LongText | None = None
    """What the rollout changes, in a sentence or two, for the reviewer."""
    correlation_id: Annotated[CorrelationID | None, Field(alias="correlationID")] = None
    """Identifier that ties the rollout to records elsewhere; derived if absent."""
    release: ReleaseName | None = None
    """The release unit that its workloads belong to, the same in each namespace that it is rolled
    out to, such as shop: by it a ring asks what became of the images in the ring before. No digest
    covers it."""
    evidence: Annotated[Evidence, Field(json_schema_extra=_READABLE)] = Field(
        default_factory=Evidence
    )
    """What the team shows for its rollout."""
    template_forms: TemplateForms = Field(default_factory=list)
    """What `targets[].template` stands for, written out, so that reviewers see which command
    changes; written by `cabgate intent --template`. Nothing is decided by it, no digest covers it,
    and what is larger than 16 KiB is left out."""
    requester: Annotated[Username | None, Field(json_schema_extra=_SHOWN)] = None
    """The person who asked, where another identity applies the intent. It only adds to those who
    may not approve, and is recorded as claimed."""
    submitted_by: SubmittedBy = Field(default_factory=list)
    """Who wrote or changed the spec since its last decided request; kept by the webhook from the
    authenticated user: what a client sends here is replaced."""
    requested_by: RequestedBy = Field(default_factory=list)
    """Who was named as requester since the last decided request; kept by the webhook: what a client
    sends here is replaced. None of them may approve."""


class FrozenBy(Model):
    """A ChangeFreeze that keeps a rollout back."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Its name."""
    since: Timestamp
    """When it began, or was declared if that was later."""
    until: Timestamp | None = None
    """When it ends; absent where no end is known."""


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
    gate: Tier | None = None
    """What the score asks for."""
    state: Annotated[str, StringConstraints(max_length=64)] | None = None
    """State of the request."""
    targets: Listed | None = None
    """Kinds and names of the targets, counted; shown in lists."""
    noticed_approval: Annotated[str, StringConstraints(max_length=80)] | None = None
    """The approval of an exception that the operator noticed last: uid of the exception, and the
    position of the decision."""
    frozen: FrozenBy | None = None
    """The freeze that keeps back what is approved; absent where none does."""
    conditions: Conditions = Field(default_factory=list)
    """Ready (the rollout would be admitted now), Reconciling and Stalled, as kstatus reads them."""


class FieldManager(Model):
    """The part of an entry of `metadata.managedFields` that cabgate reads."""

    manager: str = ""


class IntentMeta(ObjectMeta):
    """The part of the metadata of an intent that cabgate reads."""

    managed_fields: list[FieldManager] = Field(default_factory=list)


class DeploymentIntent(Model):
    """A rollout and its evidence, written by the team; normally one long-lived intent for each
    release unit, updated at each release."""

    metadata: IntentMeta = Field(default_factory=IntentMeta)
    spec: DeploymentIntentSpec
    status: DeploymentIntentStatus = Field(default_factory=DeploymentIntentStatus)
