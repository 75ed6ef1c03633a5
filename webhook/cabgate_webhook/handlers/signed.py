# SPDX-License-Identifier: Apache-2.0
"""Who speaks for the evidence of an intent. Asked where an intent is written, and where its request
is opened or approved by score; a rollout asks for none of this."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from cabgate.api import DeploymentIntent
from cabgate.api.request import Provenance
from cabgate.api.signer import PLURAL
from cabgate.risk.provenance import provenance_of
from cabgate_webhook.client.apiserver import ApiServer


async def speaking_for(
    intent: DeploymentIntent | None, api: ApiServer, now: datetime
) -> Sequence[Provenance]:
    """Who speaks for each part of the evidence of an intent. Signers are read where something is
    signed, and nowhere else."""
    if intent is None or not intent.spec.evidence.attestations:
        return ()
    labels, signers = await asyncio.gather(
        api.namespace_labels(intent.metadata.namespace), api.cluster_wide(PLURAL)
    )
    return provenance_of(intent, labels, signers, now)
