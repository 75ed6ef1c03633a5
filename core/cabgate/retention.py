# SPDX-License-Identifier: Apache-2.0
"""Which requests are no longer needed: what they decided is in the ledger by then."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, RequestState
from cabgate.lifecycle import (
    APPROVED_STATES,
    REFUSED_STATES,
    age_of,
    decided_at,
    exception_admits,
    is_retrospective,
    state_of,
    verdict_on,
)
from cabgate.requests import is_current
from cabgate.revocations import Pair, approved_since, lifted, refused_pairs
from cabgate.targets import Workload

DEFAULT_KEPT = 10
"""Approved requests of each target that stay: so many releases a rollback can go back."""

_REMOVABLE = (APPROVED_STATES, frozenset({RequestState.SUPERSEDED}))


def removable(
    requests: Sequence[CABRequest],
    exceptions: Sequence[CABException],
    intents: Mapping[str, DeploymentIntent],
    now: datetime,
    kept: int = DEFAULT_KEPT,
) -> list[CABRequest]:
    """The requests of a namespace that retention may remove, the oldest first.

    Of each target the newest `kept` approved requests stay, and as many superseded ones. Whatever
    is undecided, Rejected, Revoked, under a live exception, opened for a broken glass, or asked for
    by its live intent (`intents`, by name) stays, and so does the approval by which a person lifted
    a refusal. A request with several targets goes when none of them needs it.
    """
    found: list[CABRequest] = []
    lifting = _lifting(requests)
    for states in _REMOVABLE:
        # A broken glass is a way back to nothing, and takes no approval's place.
        among = [r for r in requests if state_of(r) in states and not is_retrospective(r)]
        needed = _newest_of_each_target(among, kept)
        found += [request for request in among if request.metadata.name not in needed]
    free = [
        request
        for request in found
        if request.spec.intent_ref is not None
        and request.metadata.name not in lifting
        and not is_current(request, intents.get(request.spec.intent_ref.name))
        and not any(exception_admits(e, request, now) for e in exceptions)
    ]
    return sorted(free, key=_age)


def _lifting(requests: Sequence[CABRequest]) -> set[str]:
    """The last approvals by people of images that were refused: without them the refusal would
    stand again, also for what others approved since."""
    refused: dict[Pair, datetime] = {}
    for request in requests:
        verdict = verdict_on(request)
        if verdict is None or state_of(request) not in REFUSED_STATES:
            continue
        for pair in refused_pairs(request, verdict):
            refused[pair] = min(verdict.at, refused.get(pair, verdict.at))
    newest: dict[Pair, tuple[datetime, str]] = {}
    for request in requests if refused else ():
        approved = approved_since([request])
        for pair in refused.keys() & approved.keys():
            found = approved[pair], request.metadata.name
            if lifted(pair, refused[pair], approved):
                newest[pair] = max(found, newest.get(pair, found))
    return {name for _, name in newest.values()}


def _newest_of_each_target(requests: Iterable[CABRequest], kept: int) -> set[str]:
    of_target: dict[Workload, list[CABRequest]] = defaultdict(list)
    for request in requests:
        for target in request.spec.targets:
            of_target[Workload.of(target)].append(request)
    return {
        request.metadata.name
        for found in of_target.values()
        for request in sorted(found, key=_age, reverse=True)[:kept]
    }


def _age(request: CABRequest) -> tuple[float, int, str]:
    return age_of(request, decided_at(request) or request.metadata.creation_timestamp)
