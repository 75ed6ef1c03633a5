# SPDX-License-Identifier: Apache-2.0
"""Which requests are no longer needed: what they decided is in the ledger by then."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, RequestState, RequestVerdict
from cabgate.lifecycle.history.revocations import (
    Pair,
    approvals_of,
    lifting,
    pairs_of,
    refused_pairs,
)
from cabgate.lifecycle.limits.budget import within
from cabgate.lifecycle.limits.capacity import KIB, stored_bytes
from cabgate.lifecycle.requests.opening import is_current
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    WholeRequest,
    exception_admits,
    may_have_admitted,
)
from cabgate.lifecycle.state.states import (
    APPROVED_STATES,
    age_of,
    is_retrospective,
)
from cabgate.rollout.earlier import named_sets
from cabgate.rollout.targets import Workload

DEFAULT_KEPT = 10
"""Approved requests of each target that stay: so many releases a rollback can go back, by when
each was last asked for."""

KEPT_FOR = timedelta(days=7)
"""How long a request stays after it was superseded, or after its intent is gone."""

KEPT_BYTES = 320 * KIB
"""What those of one target take together that stay for their number, approved or superseded; the
rest of what one workload may have is for what waits and for what was refused."""

LEAST_KEPT = 3
"""How many of them stay however large they are."""

INTENT_GONE = "IntentGone"
"""Condition of an approved request whose intent is gone, and since when."""

_REMOVABLE = (APPROVED_STATES, frozenset({RequestState.SUPERSEDED}))


def removable(
    requests: Sequence[CABRequest],
    exceptions: Sequence[ExceptionStanding],
    intents: Mapping[str, DeploymentIntent],
    now: datetime,
    kept: int = DEFAULT_KEPT,
    sizes: Mapping[str, int] | None = None,
) -> list[CABRequest]:
    """The requests of a namespace that retention may remove, the oldest first.

    Of each target the `kept` approved requests stay that were asked for or decided last, and as
    many superseded ones, fewer if they are large; none of them more than 7 days after it was
    superseded, or after its intent is gone. Of the approved ones that which was asked for last
    before the present one stays in any case: it is what ran until then, and the first that anybody
    would go back to. Whatever is undecided, Rejected, Revoked, under a live exception, opened for a
    broken glass, or asked for by its live intent (`intents`, by name) stays, and so does the
    approval by which a person lifted a refusal. A request with several targets goes when none of
    them needs it. `sizes` are the bytes of each, by name: without them the requests are to hold
    their evidence.
    """
    if sizes is None:
        sizes = {request.metadata.name: _size(request) for request in requests}
    found: list[WholeRequest] = []
    known = [WholeRequest.of(request) for request in requests]
    needed_approvals = _lifting([each.standing for each in known])
    present = {r.metadata.name for r in requests if _is_asked_for(r, intents)}
    for states in _REMOVABLE:
        # A broken glass is a way back to nothing, and takes no approval's place.
        among = [w for w in known if w.standing.state in states and not is_retrospective(w.stored)]
        fresh = [r for r in among if not outlived(r, now)]
        needed = _newest_of_each_target(fresh, present, kept, sizes)
        found += [each for each in among if each.name not in needed]
    free = [
        each
        for each in found
        if each.stored.spec.intent_ref is not None
        and each.name not in needed_approvals
        and each.name not in present
        and not _names_a_replica_set(each.standing)
        and not any(exception_admits(e, each.standing, now) for e in exceptions)
    ]
    return [each.stored for each in sorted(free, key=last_asked)]


def _names_a_replica_set(request: RequestStanding) -> bool:
    """Whether a request names a ReplicaSet, and may have admitted it: as long as the request is
    there, that was made by people, and proves no rollback."""
    return bool(named_sets(may_have_admitted([request])))


def last_asked(request: WholeRequest) -> tuple[float, int, str]:
    """What sorts requests by when somebody last wanted what they are for, the oldest first.

    An approval that was given long ago and gone back to is none of the oldest.
    """
    known = (request.standing.decided_at, request.stored.status.asked_at)
    moments = [moment for moment in known if moment is not None]
    return age_of(request.stored, max(moments, default=None))


def outlived(request: WholeRequest, now: datetime) -> bool:
    """Whether the time is over for which a request stays that was superseded, or is approved and
    has lost its intent."""
    since: datetime | None = None
    if request.standing.state is RequestState.SUPERSEDED:
        decisions = request.stored.status.decisions
        ends = [e.at for e in decisions if e.verdict is RequestVerdict.SUPERSEDED]
        since = max(ends, default=None)
    elif request.standing.is_approved:
        since = gone_since(request.stored)
    return since is not None and now - since >= KEPT_FOR


def gone_since(request: CABRequest) -> datetime | None:
    """Since when an approved request has no intent, as its status says; None if it has one."""
    marks = [c for c in request.status.conditions if c.type == INTENT_GONE and c.status == "True"]
    return marks[0].last_transition_time if marks else None


def _lifting(requests: Sequence[RequestStanding]) -> set[str]:
    """The last approvals by people of images that were refused: without them the refusal would
    stand again, also for what others approved since."""
    refusals: list[tuple[Pair, RequestStanding, datetime]] = []
    for request in requests:
        verdict = request.verdict if request.is_refused else None
        if verdict is not None:
            pairs = refused_pairs(request, verdict, pairs_of(request.spec.targets))
            refusals += [(pair, request, verdict.at) for pair in pairs]
    approvals = approvals_of(requests, {pair for pair, _, _ in refusals}) if refusals else {}
    names: set[str] = set()
    for pair, refused, at in refusals:
        found = lifting(pair, refused, at, approvals)
        names.update(name for _, name in sorted((e.at, r.metadata.name) for r, e in found)[-1:])
    return names


def _newest_of_each_target(
    requests: Iterable[WholeRequest],
    present: Collection[str],
    kept: int,
    sizes: Mapping[str, int],
) -> set[str]:
    of_target: dict[Workload, list[WholeRequest]] = defaultdict(list)
    for request in requests:
        for target in request.stored.spec.targets:
            of_target[Workload.of(target)].append(request)
    needed: set[str] = set()
    for found in of_target.values():
        order = [r.name for r in sorted(found, key=last_asked, reverse=True)]
        newest = order[:kept]
        needed.update(within(newest, [sizes[name] for name in newest], KEPT_BYTES, LEAST_KEPT))
        before = [name for name in order if name not in present]
        if len(before) < len(order):
            needed.update(before[:1])
    return needed


def _size(request: CABRequest) -> int:
    return stored_bytes([request.spec.to_dict(), request.status.to_dict()])


def _is_asked_for(request: CABRequest, intents: Mapping[str, DeploymentIntent]) -> bool:
    reference = request.spec.intent_ref
    return reference is not None and is_current(request, intents.get(reference.name))
