# SPDX-License-Identifier: Apache-2.0
"""The one place that says whether a rollout is admitted."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cabgate.api.request import RequestState
from cabgate.gate.checks import CHECKS, RECORDS, covered, frozen, gated, promoted, template
from cabgate.gate.messages import texts_of
from cabgate.gate.record import Covering
from cabgate.gate.verdict import Basis, GateVerdict, Look, Reason
from cabgate.lifecycle.history.revocations import standing_revocations
from cabgate.lifecycle.history.same_content import by_content
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.lifecycle.limits.promotion import UNKNOWN, EarlierRings
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding
from cabgate.lifecycle.state.states import REFUSED_STATES, age_of, is_retrospective
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload


def decide(
    rollout: Rollout,
    ring: int,
    requests: Sequence[RequestStanding],
    exceptions: Sequence[ExceptionStanding],
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
    *,
    template_required: bool = False,
    freezes: Sequence[FreezeInForce] = (),
    ran_since: datetime | None = None,
    earlier_rings: EarlierRings = UNKNOWN,
) -> GateVerdict:
    """Whether a rollout is admitted.

    It is admitted below ring 2, under an approved request that covers every image, or under an
    exception that is active now for a request that covers every image. The conditions of an
    approval hold at each rollout. A request that was opened for a broken glass admits none: it
    reviews what went past the gate, and no later rollout. A revocation denies each of its images,
    in whatever set and under every request, until a person approves that image again. An approval
    counts for nothing where the very same content was refused no later. `requests` are those of the
    rollout's namespace that may name its workload, `exceptions` those of the namespace that may
    name one of the requests; what names something else is passed over. `template_required` says
    whether an approval has to say what the containers do; where one says so, the rollout has to do
    the same in any case. `freezes` are those that hold for it now, and that it is no rollback of
    before: what is approved waits for their end, unless an approval overrides them. `ran_since` is
    since when its workload ran, at some time, what it is to run: an approval that has ended since
    still admits that. `earlier_rings` say what became of the release in the rings before, which the
    terms of a request may ask for.
    `machines` are told of in the message alone.
    """
    reason, basis, kept_back = _judge(
        *(rollout, ring, requests, exceptions, now),
        template_required=template_required,
        freezes=freezes,
        ran_since=ran_since,
        earlier_rings=earlier_rings,
    )
    message, warnings = texts_of(rollout, ring, reason, basis, now, machines)
    return GateVerdict(RECORDS[reason].admits, reason, message, basis, warnings, kept_back)


def covering(rollout: Rollout, requests: Iterable[RequestStanding]) -> list[RequestStanding]:
    """The requests that name the workload and every image of a rollout, the newest first."""
    return [
        request
        for request in _of_workload(rollout, requests)
        if covered.check(rollout, request) is None
    ]


def candidates(
    rollout: Rollout,
    requests: Iterable[RequestStanding],
    exceptions: Sequence[ExceptionStanding],
    now: datetime,
    *,
    ring: int | None = None,
    template_required: bool = False,
    freezes: Sequence[FreezeInForce] = (),
    ran_since: datetime | None = None,
    earlier_rings: EarlierRings = UNKNOWN,
) -> list[Look]:
    """What each request that names the workload says to a rollout, the newest first: what
    `decide` chooses from. `ring` is that of the rollout; None keeps to no ring's constraint, and
    asks for no ring before."""
    named = _of_workload(rollout, requests)
    revocations = standing_revocations(rollout, named)
    same = by_content(named)
    decided = template_required and template.is_decided(rollout, named)
    return [
        covered.check(rollout, request)
        or _look(
            Covering(
                rollout=rollout,
                request=request,
                others=same[request.spec.evidence_digest],
                exceptions=exceptions,
                revocations=revocations,
                now=now,
                ring=ring,
                template_required=template_required,
                template_decided=decided,
                freezes=freezes,
                ran_since=ran_since,
                earlier_rings=earlier_rings,
            )
        )
        for request in named
    ]


def _look(found: Covering) -> Look:
    """What a request that covers a rollout says to it: what the first check finds, or that what
    admits it is kept back by a freeze, or by the ring before."""
    look = next(look for check in CHECKS if (look := check(found)) is not None)
    if not RECORDS[look.reason].admits:
        return look
    return frozen.keeps_back(found, look) or promoted.keeps_back(found, look) or look


def _judge(
    rollout: Rollout,
    ring: int,
    requests: Sequence[RequestStanding],
    exceptions: Sequence[ExceptionStanding],
    now: datetime,
    *,
    template_required: bool,
    freezes: Sequence[FreezeInForce],
    ran_since: datetime | None,
    earlier_rings: EarlierRings,
) -> tuple[Reason, Basis, bool]:
    free = gated.check(rollout, ring)
    if free is not None:
        return free, Basis(), False
    found = candidates(
        *(rollout, requests, exceptions, now),
        ring=ring,
        template_required=template_required,
        freezes=freezes,
        ran_since=ran_since,
        earlier_rings=earlier_rings,
    )
    if not found:
        return Reason.NO_REQUEST, Basis(), False
    nearest = min(found, key=_rank)
    request = nearest.refused or nearest.request
    basis = Basis(
        request,
        nearest.exception,
        nearest.uncovered,
        nearest.differing,
        nearest.revocation,
        nearest.violation,
        nearest.freeze,
        nearest.prior,
        nearest.awaited,
    )
    admits = RECORDS[nearest.reason].admits
    kept_back = not admits and any(RECORDS[look.reason].kept_back for look in found)
    return nearest.reason, basis, kept_back


def _rank(look: Look) -> tuple[int, float]:
    """Which of the requests to go by, the smallest first: what admits, what covers the rollout
    and comes nearest to admitting it, what names other images."""
    record = RECORDS[look.reason]
    if record.order is not None and look.state in record.order_in:
        return 0, record.order
    if record.after_waiting:
        return 1, _TOLD_FIRST.index(RequestState.EXCEPTION_REQUIRED) + 0.5
    if look.reason is Reason.TEMPLATE_NOT_COVERED:
        # Nearer than one that names other images, whatever became of it.
        return 2, int(look.state in (*REFUSED_STATES, RequestState.SUPERSEDED))
    covers = not look.uncovered
    state = look.state if look.refused is None else look.refused.state
    if is_retrospective(look.request) and state not in REFUSED_STATES:
        # After every request of an intent that is as near: one of those can still admit it.
        return (2, 2) if covers else (3, 2)
    if covers and look.revocation is not None:
        # After the revoked request itself, where that covers the rollout too.
        return 1, _TOLD_FIRST.index(RequestState.REVOKED) + 0.5
    if covers and state in _TOLD_FIRST:
        # After those of the same state that somebody here can decide.
        decidable = look.refused is None and record.decidable
        return 1, _TOLD_FIRST.index(state) + (0.0 if decidable else 0.25)
    return 2 if covers else 3, int(state is RequestState.SUPERSEDED)


_TOLD_FIRST = (
    RequestState.SUBMITTED,
    RequestState.UNDER_REVIEW,
    RequestState.EXCEPTION_REQUIRED,
    RequestState.REVOKED,
    RequestState.REJECTED,
    RequestState.SUPERSEDED,
)


def _of_workload(rollout: Rollout, requests: Iterable[RequestStanding]) -> list[RequestStanding]:
    """Requests that name the workload, the newest first."""
    named = [
        request
        for request in requests
        if request.metadata.namespace == rollout.namespace
        and any(Workload.of(target) in rollout.workloads for target in request.spec.targets)
    ]
    return sorted(named, key=age_of, reverse=True)
