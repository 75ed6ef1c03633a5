# SPDX-License-Identifier: Apache-2.0
"""Types that more than one kind uses."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from cabgate.api.base import (
    EvidenceDigest,
    Image,
    LongText,
    Model,
    ObjectName,
    TargetName,
    Timestamp,
    cel,
    replaced_whole,
    validations,
)
from cabgate.api.rationale import Rationale
from cabgate.api.values import MAX_GROUP_NAME as MAX_GROUP_NAME
from cabgate.api.values import MAX_GROUPS as MAX_GROUPS
from cabgate.api.values import MAX_LISTED as MAX_LISTED
from cabgate.api.values import Attestation as Attestation
from cabgate.api.values import AuthorType as AuthorType
from cabgate.api.values import SubmitterType as SubmitterType
from cabgate.api.values import Tier as Tier
from cabgate.api.values import has_to_be_attested, left_to_people

MAX_DECLARED_TARGETS = 20
"""Targets that an intent may declare: each is a list that a decision on its requests reads."""

MAX_TARGETS = 50
"""Targets that a request or a record may name: so many an older release let in."""

MAX_IMAGES = 50
"""Images that one target may run."""

MAX_TEMPLATE_FIELDS = 64
"""Parts of a pod template whose digests a target names one by one."""

MAX_REVOKED_IMAGES = 100
"""Images that one revocation may name one by one."""

ALL_IMAGES = "*"
"""What a revocation names that is about every image of its request."""

MAX_SUBMITTERS = 100
"""People and machines that one intent may collect between two decided requests."""

MAX_REQUESTERS = 100
"""Requesters that one intent may hold; `cabgate.review.submitters` lets fewer come in."""

MAX_REQUESTER = 256
"""Longest name of a requester that may come in, in characters."""

MAX_CHECKED = 3 * MAX_SUBMITTERS + 2
"""People that one review is checked against: those of the request, of the intent and of the
exception."""

MAX_LIFTS = 64
"""Requests that one approval may name whose refusals it lifts."""

MAX_OVERRIDES = 8
"""Freezes and promotions that one approval may override."""

MAX_DECISIONS = 256
"""Entries of `status.decisions`."""

MAX_CONDITIONS_OF_APPROVAL = 16
"""Conditions that one conditional approval may carry."""


ReleaseName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", min_length=1, max_length=63
    ),
]
"""Name of a release unit, the same in each namespace that it is rolled out to; a label value."""

Listed = Annotated[str, StringConstraints(max_length=MAX_LISTED)]
"""What a list shows in a column."""

Username = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""User name as the API server knows it."""


TemplateDigest = Annotated[
    str, StringConstraints(pattern=r"^t1:sha256:[0-9a-f]{64}$", max_length=74)
]
"""Digest of the normal form of a pod template."""

TemplateField = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9.#=\[\]-]+$", min_length=1, max_length=128),
]
"""Path of a part of a pod template, `=`, and the beginning of its digest."""


class TemplateForm(Model):
    """What the containers of a workload do, written out. It decides nothing: reviewers are shown by
    it what the digest stands for."""

    template: TemplateDigest
    """The digest, as a target has it."""
    form: Annotated[str, StringConstraints(min_length=2, max_length=64 * 1024)]
    """The normal form as JSON, values of variables hashed; 16 KiB at most."""


TemplateForms = Annotated[
    list[TemplateForm],
    Field(
        max_length=MAX_DECLARED_TARGETS,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    ),
]
"""What the containers of several workloads do, each digest once."""


class Target(Model):
    """A workload of the intent's own namespace and the images that its rollout may run."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!self.name.contains('*') || (self.kind in ['Job', 'Pod']"
                " && self.name.matches('^[^*]+[*]$'))",
                "a name with * is for a Job or a Pod with a generated name: its generateName"
                " and one * at the end",
            )
        )
    )

    api_version: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """API version of the workload, such as apps/v1; the gate compares group, kind and name."""
    kind: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Kind of the workload, such as Deployment."""
    name: TargetName
    """Name of the workload. A Job or a Pod with a generated name is named by its generateName and
    `*`."""
    images: Annotated[
        list[Image],
        Field(
            min_length=1,
            max_length=MAX_IMAGES,
            json_schema_extra=replaced_whole("self", "duplicate image: name it once"),
        ),
    ]
    """Every image that the pod template may name, init containers and image volumes included,
    compared exactly, character by character; prefer digests."""
    template: TemplateDigest | None = None
    """Digest of what the containers do: command, variables, volumes, securityContext and the like,
    in the normal form t1; written by `cabgate intent --template`. The rollout has to have the same.
    Absent: the approval covers the images, whatever the containers do with them."""
    template_fields: Annotated[
        list[TemplateField],
        Field(
            max_length=MAX_TEMPLATE_FIELDS,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = Field(default_factory=list)
    """Parts of that with the first 8 hexadecimal digits of their digests, so that a denial can name
    what differs; written by `cabgate intent --template`. Nothing is decided by them."""


def targets_field(*rules: dict[str, str], at_most: int = MAX_TARGETS) -> Any:
    """The field settings of a list of targets, with further CEL rules. The schema takes `at_most`
    of them; what is stored already and holds more is read all the same."""
    whole = replaced_whole(
        "self.map(t, [t.apiVersion, t.kind, t.name])",
        "duplicate workload: name it once, with all its images",
        *rules,
    )
    return Field(
        min_length=1, max_length=MAX_TARGETS, json_schema_extra={**whole, "maxItems": at_most}
    )


class Submitter(Model):
    """An authenticated user who wrote or changed the spec."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """User name as the API server authenticated it."""
    uid: Annotated[str, StringConstraints(max_length=256)] = ""
    """User id as the API server authenticated it; empty where the authenticator gives none."""
    type: SubmitterType | None = None
    """Person or Machine, by the groups and the name that the user had then; absent in what an older
    release stamped, and decided by the name there."""


SubmittedBy = Annotated[
    list[Submitter],
    Field(
        max_length=MAX_SUBMITTERS,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["username"],
        },
    ),
]
"""Who wrote or changed a spec; kept by the webhook, never taken from the client."""

RequestedBy = Annotated[
    list[Username],
    Field(max_length=MAX_REQUESTERS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]
"""Who was named as the requester; kept by the webhook, never taken from the client."""


class Checked(Model):
    """What a review was checked against: nobody named here could give it, and of what was refused
    before an approval was given in knowledge of this."""

    submitted_by: Annotated[
        list[Username],
        Field(max_length=MAX_CHECKED, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """User names of who submitted, in the request, in its live intent and in the exception."""
    requested_by: Annotated[
        list[Username],
        Field(max_length=MAX_CHECKED, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """Who was named as requester, in the request and in its live intent."""
    intent_generation: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Generation of the live intent; 0 where there was none."""
    refusals: Annotated[int, Field(ge=0, le=2**31)] | None = None
    """Of an approval: how many requests stood rejected or revoked whose refusal it is about to
    lift. Absent in those of older releases, which lift what was refused before them."""
    lifts: Annotated[
        list[ObjectName],
        Field(max_length=MAX_LIFTS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """Names of these requests, the one that was refused last first: what is not named here, the
    approval does not lift."""


ConditionName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", min_length=1, max_length=63
    ),
]
"""Name of an approval condition, which stands in commands: letters, digits, and - _ . within."""


class ApprovalCondition(Model):
    """Something that holds for an approval to be good."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.notBefore) || !has(self.notAfter) || self.notBefore < self.notAfter",
                "notBefore must be earlier than notAfter",
            )
        )
    )

    name: ConditionName
    """Short name of the approval condition, unique within the approval."""
    description: LongText
    """What has to be done or kept."""
    not_before: Timestamp | None = None
    """From when on rollouts are admitted; enforced by the gate."""
    not_after: Timestamp | None = None
    """From when on rollouts are admitted no more; enforced by the gate."""
    attestation: Attestation | None = None
    """Required: the gate waits until somebody attests the approval condition. Absent is
    NotRequired."""

    @property
    def needs_attestation(self) -> bool:
        """Whether the gate waits for somebody to attest it."""
        return has_to_be_attested(self.attestation)

    @property
    def is_obligation(self) -> bool:
        """Whether the gate cannot see to it, so that each rollout is told of it."""
        return left_to_people(self.attestation, self.not_before, self.not_after)


ApprovalConditions = Annotated[
    list[ApprovalCondition],
    Field(
        max_length=MAX_CONDITIONS_OF_APPROVAL,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
]
"""The conditions of a conditional approval."""

RevokedImages = Annotated[
    list[Image],
    Field(
        max_length=MAX_REVOKED_IMAGES,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    ),
]
"""Images that a revocation is about, or `*` alone for every image of the request."""


Overrides = Annotated[
    list[ObjectName],
    Field(max_length=MAX_OVERRIDES, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
]
"""What an approval overrides: ChangeFreezes by their names, rings as `promotion.ring-3`."""


class Author(Model):
    """Who made an entry of `status.decisions`."""

    type: AuthorType
    """System (the operator) or Person."""
    username: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """User name as the API server authenticated it."""
    uid: Annotated[str, StringConstraints(max_length=256)] = ""
    """User id as the API server authenticated it; empty where the authenticator gives none."""
    groups: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_GROUP_NAME)]],
        Field(max_length=MAX_GROUPS, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """Groups as the API server authenticated them, the first 64; of people only."""
    credential_id: Annotated[
        str, StringConstraints(max_length=256), Field(alias="credentialID")
    ] = ""
    """Identifier of the credential that was used, where the API server gives one, such as the
    fingerprint of a certificate; of people only."""


class Signature(Model):
    """The webhook's Ed25519 signature of a person's decision, made when it was admitted."""

    key_id: Annotated[
        str, StringConstraints(pattern=r"^[0-9a-f]{16}$", max_length=16), Field(alias="keyID")
    ]
    """Which key: the first 16 hexadecimal digits of the SHA-256 of the public key (DER)."""
    value: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$", max_length=88)]
    """The signature, base64."""
    form: Annotated[int, Field(ge=2, le=2)] | None = None
    """2: signed is the entry as the ledger shortens it, with the digest of what it cuts; absent:
    the whole entry."""


class DecisionEntry(Model):
    """What every entry of `status.decisions` says, whatever its subject."""

    sequence: Annotated[int, Field(ge=1, le=MAX_DECISIONS)]
    """Position in the list, from 1, without gaps."""
    author: Author
    """Who decided."""
    at: Timestamp
    """When, by the webhook's clock for people and the operator's for the system."""
    rationale: Rationale = ""
    """Why."""
    evidence_digest: EvidenceDigest
    """Digest of the evidence that was decided on."""
    checked: Checked | None = None
    """Who could not give this decision, as it was checked, and which refusals it lifts; of
    people's decisions only, absent in those of older releases."""
    signature: Signature | None = None
    """The webhook's signature of a person's decision; the system's have none."""


DECISION_VALIDATIONS = validations(cel("self == oldSelf", "a decision cannot be changed"))
"""An entry that stands is never rewritten."""


def decisions_field() -> Any:
    """The field settings of `status.decisions`: a list by sequence number, without gaps."""
    return Field(
        max_length=MAX_DECISIONS,
        default_factory=list,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["sequence"],
            **validations(
                cel(
                    "self.all(d, d.sequence <= size(self))",
                    "decisions are numbered from 1 without gaps",
                )
            ),
        },
    )


APPEND_ONLY = cel(
    "!has(oldSelf.status) || !has(oldSelf.status.decisions) || size(oldSelf.status.decisions) == 0"
    " || (has(self.status) && has(self.status.decisions)"
    " && size(self.status.decisions) >= size(oldSelf.status.decisions))",
    "status.decisions is append-only: an entry is never removed",
)
"""At the root, because a transition rule on a field is skipped when its parent is patched away."""

SPEC_IMMUTABLE = cel(
    "self.spec == oldSelf.spec", "spec never changes: create another object instead"
)
"""At the root, for the same reason."""
