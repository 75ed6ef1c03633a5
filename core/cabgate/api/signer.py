# SPDX-License-Identifier: Apache-2.0
"""`EvidenceSigner`: whose signature makes evidence more than a claim; written by cluster admins."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from cabgate.api.base import Model, ObjectMeta, Timestamp

KIND = "EvidenceSigner"
PLURAL = "evidencesigners"


class Section(StrEnum):
    """A part of the evidence that somebody may speak for."""

    ARTIFACTS = "artifacts"
    TEST_RESULTS = "testResults"
    SCAN_RESULTS = "scanResults"
    MANUAL_TESTING = "manualTesting"
    ROLLBACK_PLAN = "rollbackPlan"
    DEPLOYMENT_PLAN = "deploymentPlan"
    SCOPE = "scope"


PublicKeyPem = Annotated[
    str,
    StringConstraints(
        pattern=r"^-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----[\r\n]*$",
        max_length=1024,
    ),
]
"""One public key, as PEM."""


class SignerKey(Model):
    """A key, and when it holds: who rotates keys has two for a while."""

    key: PublicKeyPem
    """Public key as PEM, Ed25519 or ECDSA on P-256; which of them decides how signatures are
    checked."""
    not_before: Timestamp | None = None
    """It does not hold before."""
    not_after: Timestamp | None = None
    """It does not hold after that, whenever something was signed."""


class SelectorOperator(StrEnum):
    """How a label is asked for."""

    IN = "In"
    EXISTS = "Exists"


class SelectorTerm(Model):
    """What a label of the namespace has to be."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    """Name of the label; kubernetes.io/metadata.name is the name of the namespace, which nobody can
    change."""
    operator: SelectorOperator
    """In or Exists."""
    values: Annotated[
        list[Annotated[str, StringConstraints(max_length=63)]],
        Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """Of In: the values that are allowed."""


class NamespaceSelector(Model):
    """The namespaces that a signer speaks in."""

    match_expressions: Annotated[
        list[SelectorTerm],
        Field(min_length=1, max_length=10, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """All of these have to hold; at least one."""


class EvidenceSignerSpec(Model):
    """Which keys, for what, where, and for how long."""

    public_keys: Annotated[
        list[SignerKey],
        Field(min_length=1, max_length=8, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """The keys, of which any signs. To revoke one, take it out."""
    speaks_for: Annotated[
        list[Section],
        Field(min_length=1, max_length=7, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ]
    """The parts of the evidence that it may speak for; what else it signs counts as declared."""
    namespace_selector: NamespaceSelector
    """Where it speaks."""
    max_age: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}[mhd]$", max_length=5)]
    """For how long what it signed may be used to open a request, such as 24h; m, h or d."""


class EvidenceSigner(Model):
    """Whose signature makes evidence more than a claim of the team: keys of pipelines, the parts of
    the evidence that they speak for, and the namespaces where they do."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: EvidenceSignerSpec
