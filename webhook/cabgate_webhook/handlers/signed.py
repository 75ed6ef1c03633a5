# SPDX-License-Identifier: Apache-2.0
"""Who speaks for the evidence of an intent, by what is read live."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from cabgate.api import DeploymentIntent
from cabgate.api.request import Provenance
from cabgate.api.signer import PLURAL
from cabgate_kube.signers import LabelsAndSigners, speaking_for
from cabgate_webhook.client.apiserver import LiveReads


async def provenance_now(
    intent: DeploymentIntent | None,
    api: LiveReads,
    now: datetime,
    known: LabelsAndSigners | None = None,
) -> Sequence[Provenance]:
    """Who speaks for each part of the evidence of an intent, by what is `known`; None has it read
    here, where something is signed. Raises what `LiveReads` does."""

    async def read(namespace: str) -> LabelsAndSigners:
        if known is not None:
            return known
        labels, signers = await asyncio.gather(
            api.namespace_labels(namespace), api.cluster_wide(PLURAL)
        )
        return labels, signers

    return await speaking_for(intent, now, read)
