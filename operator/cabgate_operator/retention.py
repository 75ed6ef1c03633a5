# SPDX-License-Identifier: Apache-2.0
"""Removes requests that nobody needs any more, once the ledger holds what they decided."""

import logging

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest
from cabgate.logs import fields
from cabgate.retention import removable
from cabgate_operator.apiserver import EXCEPTIONS, INTENTS, REQUESTS
from cabgate_operator.context import Context, parsed
from cabgate_operator.ledger import Ledger
from cabgate_operator.reports import did

log = logging.getLogger(__name__)


async def reconcile_retention(context: Context, ledger: Ledger, namespace: str, kept: int) -> None:
    """Remove what `cabgate.retention` says may go from a namespace.

    A request whose decisions the ledger lacks stays until the next sweep.
    """
    api = context.api
    raws = {raw["metadata"]["name"]: raw for raw in await api.list(REQUESTS, namespace)}
    exceptions = [parsed(CABException, raw) for raw in await api.list(EXCEPTIONS, namespace)]
    intents = [parsed(DeploymentIntent, raw) for raw in await api.list(INTENTS, namespace)]
    requests = [parsed(CABRequest, raw) for raw in raws.values()]
    by_name = {intent.metadata.name: intent for intent in intents}
    for request in removable(requests, exceptions, by_name, context.clock(), kept):
        name = request.metadata.name
        raw = raws[name]
        held = await ledger.holds(context, raw)
        about = fields(
            kind="request",
            namespace=namespace,
            object=name,
            reason="Removed" if held else "NotInLedger",
            correlationID=request.spec.correlation_id,
        )
        if not held:
            log.warning("request %s/%s: not in the ledger yet", namespace, name, extra=about)
            continue
        await api.delete(REQUESTS, raw)
        log.info("request %s/%s: removed by retention", namespace, name, extra=about)
        did(f"request {name}", "Removed")
