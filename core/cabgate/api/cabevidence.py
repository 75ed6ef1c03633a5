# SPDX-License-Identifier: Apache-2.0
"""`CABEvidence`: what a request was opened with and no rollout reads; written by the operator."""

from typing import Annotated

from pydantic import Field

from cabgate.api.base import EvidenceDigest, Model, ObjectMeta
from cabgate.api.evidence import Attestation
from cabgate.api.types import TemplateForms

KIND = "CABEvidence"
PLURAL = "cabevidences"


class CABEvidenceSpec(Model):
    """The envelopes and the normal forms; never changes."""

    evidence_digest: EvidenceDigest
    """Digest of the evidence of the request that it belongs to."""
    attestations: Annotated[
        list[Attestation],
        Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = Field(default_factory=list)
    """The envelopes of the intent. The request has the SHA-256 of each, so that none can be put in
    the place of another."""
    template_forms: TemplateForms = Field(default_factory=list)
    """What the containers do, of the intent. The request has the digest of each, in its targets."""


class CABEvidence(Model):
    """What a request was opened with and no rollout reads: the envelopes that were signed, and what
    the containers are to do, written out. It has the name of its request, is created before it by
    the operator alone, never changes, and goes with it."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: CABEvidenceSpec
