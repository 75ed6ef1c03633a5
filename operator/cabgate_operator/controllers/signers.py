# SPDX-License-Identifier: Apache-2.0
"""Who speaks for the evidence of an intent."""

from collections.abc import Mapping, Sequence

from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import Provenance
from cabgate.risk.provenance import provenance_of
from cabgate_kube.resources import SIGNERS
from cabgate_operator.work.context import Context


async def speaking_for(
    context: Context, intent: DeploymentIntent, labels: Mapping[str, str]
) -> Sequence[Provenance]:
    """Who speaks for each part of the evidence of an intent, in a namespace with these labels. The
    signers are read where something is signed, and nowhere else."""
    if not intent.spec.evidence.attestations:
        return ()
    signers = await context.api.list(SIGNERS, "")
    return provenance_of(intent, labels, signers, context.clock())
