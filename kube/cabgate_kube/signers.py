# SPDX-License-Identifier: Apache-2.0
"""Who speaks for the evidence of an intent, as operator and webhook ask: where an intent is
written, and where its request is opened or approved by score. A rollout asks for none of this."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import Provenance
from cabgate.risk.provenance import provenance_of
from cabgate_kube.resources import Object

LabelsAndSigners = tuple[Mapping[str, str], Sequence[Object]]
"""The labels of a namespace, and every EvidenceSigner of the cluster."""


async def speaking_for(
    intent: DeploymentIntent | None,
    now: datetime,
    read: Callable[[str], Awaitable[LabelsAndSigners]],
) -> Sequence[Provenance]:
    """Who speaks for each part of the evidence of an intent; empty where nothing is signed, and
    nothing is read then. `read` takes the namespace; what it raises comes through."""
    if intent is None or not intent.spec.evidence.attestations:
        return ()
    labels, signers = await read(intent.metadata.namespace)
    return provenance_of(intent, labels, signers, now)
