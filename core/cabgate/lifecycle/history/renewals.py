# SPDX-License-Identifier: Apache-2.0
"""The exceptions that came before one for the same workloads: each was to be the last."""

from collections.abc import Iterable

from cabgate.api.stored import StoredException
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    standings_of_exceptions,
)
from cabgate.rollout.targets import Workload


def renewed(
    request: RequestStanding,
    requests: Iterable[RequestStanding],
    exceptions: Iterable[StoredException],
    looked_at: str = "",
) -> list[ExceptionStanding]:
    """The exceptions of a namespace that somebody approved and that are for a workload of a
    request, the oldest first: for whoever decides on another one.

    `requests` are the requests of the namespace, or those that name one of its workloads;
    `looked_at` is the name of the exception that is decided, which is not one of them. An approval
    that was taken back was none. One whose request is gone is not found: nobody knows its workloads
    then.
    """
    workloads = _workloads(request)
    names = {each.metadata.name for each in requests if not workloads.isdisjoint(_workloads(each))}
    names.add(request.metadata.name)
    found = [
        each
        for each in standings_of_exceptions(exceptions)
        if each.approval is not None
        and each.metadata.name != looked_at
        and each.spec.request_ref.name in names
    ]
    return sorted(found, key=lambda each: (each.expires_at, each.metadata.name))


def _workloads(request: RequestStanding) -> set[Workload]:
    return {Workload.of(target) for target in request.spec.targets}
