# SPDX-License-Identifier: Apache-2.0
"""What stands beside a request that a review is about: other requests, and exceptions."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from cabgate.api import CABRequest
from cabgate.lifecycle.state.standing import RequestStanding, takes_exception
from cabgate.rollout.targets import Workload
from cabgate.writes.revoking import Surroundings
from cabgate_webhook.client.ahead import Ahead
from cabgate_webhook.client.apiserver import LiveReads


async def others_naming(
    request: CABRequest, api: LiveReads, around: Surroundings | None
) -> Sequence[RequestStanding]:
    """The requests that name a workload of a request."""
    named = [Workload.of(target) for target in request.spec.targets]
    if around is None:
        return await api.requests_naming(request.metadata.namespace, named)
    return around.requests


async def surroundings_of(request: CABRequest, api: LiveReads, now: datetime) -> Surroundings:
    """What the gate compares a decision on a request with: the requests for the same workloads,
    and the exceptions for those."""
    namespace = request.metadata.namespace
    named = [Workload.of(target) for target in request.spec.targets]
    async with Ahead(partial(api.listed_exceptions, namespace)) as listed:
        requests = await api.requests_naming(namespace, named)
        names = [each.metadata.name for each in requests if takes_exception(each)]
        # Its own too, whatever it takes: its decisions come one after the other.
        names.append(request.metadata.name)
        # However many there are for others: they are to stop no revocation.
        exceptions = await api.exceptions_for(
            namespace, names, however_many=True, listed=await listed.found()
        )
    return Surroundings(requests, exceptions, now)
