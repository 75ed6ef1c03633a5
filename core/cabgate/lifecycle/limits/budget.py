# SPDX-License-Identifier: Apache-2.0
"""What one team may make others pay: each review reads the requests for its workloads, and a denial
the exceptions for a request, so that there may not be any number of them.

Whoever asks for more is refused it, and nobody else. What is there already goes on to admit what it
admitted, and can be decided, revoked and taken back: what reads it has room for that.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from cabgate.api.exception import CABException, ExceptionState
from cabgate.api.request import CABRequest
from cabgate.lifecycle.limits.capacity import KIB, stored_bytes
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import is_retrospective, state_of
from cabgate.rollout.targets import Workload
from cabgate.text.refusal import Refusal, RefusalReason

MAX_OF_WORKLOAD_BYTES = 640 * KIB
"""What the requests that name one workload may take together, as they are stored, for another one
to be opened. A rollout of the workload reads them all in one answer, of 1 MiB without waiting: the
rest is for what is decided on them."""

MAX_OF_REQUEST_BYTES = 2048 * KIB
"""The same for all workloads of one request together: what a review of it reads."""

MAX_WAITING = 5
"""Exceptions that may wait to be decided for one request."""

MAX_OF_REQUEST = 20
"""Exceptions that may be there for one request, whatever became of them."""

MAX_OF_NAMESPACE_BYTES = 640 * KIB
"""What the exceptions of a namespace may take together, as they are stored, for another one to be
asked for: a denial of a rollout that several requests cover reads them all in one answer, of 1 MiB
without waiting. The rest is for what is decided on them."""

Weighed = tuple[RequestStanding, int]
"""A request, and the bytes that it takes in a list."""

M = TypeVar("M")


def check_opening(request: CABRequest, others: Sequence[Weighed]) -> None:
    """Raise `Refusal` if a new request would make a review of one of its workloads read too much.

    `others` are the requests of the namespace that name one of these, among others. Those that
    review a broken glass do not count: each break leaves one, and nothing removes it, so that
    nobody whose workload was broken often could make room.
    """
    own = stored_bytes(request.to_dict())
    others = [each for each in others if not is_retrospective(each[0])]
    workloads = sorted({Workload.of(target) for target in request.spec.targets})
    others = [each for each in others if any(_names(each[0], named) for named in workloads)]
    for workload in workloads:
        named = [weighed for weighed in others if _names(weighed[0], workload)]
        total = own + sum(size for _, size in named)
        if total > MAX_OF_WORKLOAD_BYTES:
            raise _used_up(f"those that name {workload}", total, named, MAX_OF_WORKLOAD_BYTES)
    total = own + sum(size for _, size in others)
    if total > MAX_OF_REQUEST_BYTES:
        raise _used_up("those for its workloads", total, others, MAX_OF_REQUEST_BYTES)


def check_asking(
    exception: CABException, others: Iterable[CABException], stored: int, now: datetime
) -> None:
    """Raise `Refusal` if there are too many exceptions for a request, or in its namespace, to ask
    for another one.

    `others` are those of the namespace that name its request, `stored` is the bytes that all of the
    namespace take.
    """
    check_growth(stored, stored_bytes(exception.to_dict()))
    name = exception.spec.request_ref.name
    found = [each for each in others if each.metadata.name != exception.metadata.name]
    waiting = [e.metadata.name for e in found if state_of(e, now) is ExceptionState.PENDING]
    if len(waiting) >= MAX_WAITING:
        raise Refusal(
            RefusalReason.BUDGET_USED_UP,
            f"{len(waiting)} exceptions wait for request {name}, and no more than {MAX_WAITING} "
            f"may: {', '.join(sorted(waiting)[:MAX_WAITING])}. Delete one that nobody needs, or "
            "have it decided",
            "spec.requestRef.name",
        )
    if len(found) >= MAX_OF_REQUEST:
        raise Refusal(
            RefusalReason.BUDGET_USED_UP,
            f"there are {len(found)} exceptions for request {name}, and no more than "
            f"{MAX_OF_REQUEST} may be there. Delete those that ended or were rejected: the ledger "
            "keeps what was decided",
            "spec.requestRef.name",
        )


def check_growth(stored: int, growth: int) -> None:
    """Raise `Refusal` if the exceptions of a namespace, which take `stored` bytes, may not take
    `growth` more."""
    total = stored + growth
    if growth > 0 and total > MAX_OF_NAMESPACE_BYTES:
        raise Refusal(
            RefusalReason.BUDGET_USED_UP,
            f"with this write, the exceptions of this namespace come to {total} bytes, of "
            f"{MAX_OF_NAMESPACE_BYTES} that they may have. Delete those that ended or were "
            "rejected: the ledger keeps what was decided. What is approved still admits",
        )


def within(items: Sequence[M], sizes: Sequence[int], limit: int, least: int) -> list[M]:
    """The first of some items that take no more than `limit` together, `least` of them anyhow."""
    kept: list[M] = []
    total = 0
    for item, size in zip(items, sizes, strict=True):
        total += size
        if total > limit and len(kept) >= least:
            break
        kept.append(item)
    return kept


def _names(request: RequestStanding, workload: Workload) -> bool:
    return any(Workload.of(target) == workload for target in request.spec.targets)


def _used_up(what: str, total: int, found: Sequence[Weighed], limit: int) -> Refusal:
    largest = max(found, key=lambda weighed: weighed[1], default=None)
    named = "" if largest is None else f", the largest {largest[0].metadata.name}"
    return Refusal(
        RefusalReason.BUDGET_USED_UP,
        f"with this request, {what} come to {total} bytes; the limit is {limit}{named}. "
        "What is approved still admits. Declare shorter evidence; have what waits decided; delete "
        "intents for the same workload that nobody needs, whose requests go after 7 days",
        "spec",
    )
