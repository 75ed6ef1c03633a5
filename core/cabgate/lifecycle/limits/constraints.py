# SPDX-License-Identifier: Apache-2.0
"""Whether a rollout keeps to what its exception is limited to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionReview, ExceptionReviewVerdict
from cabgate.api.stored import StoredConstraints
from cabgate.rollout.rollout import Rollout
from cabgate.text.refusal import Refusal, RefusalReason

WINDOWS = "windows"
"""The constraint that time alone meets, or does not."""


@dataclass(frozen=True)
class Violation:
    """What of an exception a rollout does not keep."""

    field: str
    """Such as `maxReplicas`."""
    admits: str
    """What the exception admits, and what this is, for people."""
    opens: datetime | None = None
    """Of windows: when they next admit; None where they never will."""


def violation(
    constraints: Sequence[StoredConstraints],
    rollout: Rollout,
    ring: int | None,
    now: datetime,
    end: datetime,
) -> Violation | None:
    """The first constraint that a rollout does not keep; None if it keeps all.

    Each of `constraints`, those of the spec and those of the review, has to hold; `end` is that of
    the exception. Of a rollout whose replicas or ring were not asked, those are not looked at.
    """
    for each in constraints:
        found = _replicas(each, rollout) or _ring(each, ring)
        if found is not None:
            return found
    return _window(constraints, now, end)


def tightened(review: ExceptionReview, now: datetime) -> dict[str, Any]:
    """What the review of an exception adds to its entry. Raises `Refusal` for constraints of what
    is no approval, or that leave no time."""
    path = "status.review.constraints"
    if review.constraints is None:
        return {}
    if review.verdict is not ExceptionReviewVerdict.APPROVED:
        raise Refusal(RefusalReason.INVALID, "an approval alone is given under constraints", path)
    check_future(review.constraints, path, now)
    return {"constraints": review.constraints.to_dict()}


def check_future(constraints: StoredConstraints, path: str, now: datetime) -> None:
    """Raise `Refusal` for constraints at a path that admit nothing from now on."""
    if constraints.until is not None and constraints.until <= now:
        ended = f"is over: it is {rfc3339(now)} now"
        raise Refusal(RefusalReason.INVALID, ended, f"{path}.until")
    windows = constraints.windows
    if windows and all(each.until <= now for each in windows):
        ended = f"are all over: it is {rfc3339(now)} now"
        raise Refusal(RefusalReason.INVALID, ended, f"{path}.windows")


def _replicas(constraints: StoredConstraints, rollout: Rollout) -> Violation | None:
    most, scale = constraints.max_replicas, rollout.scale
    if most is None or scale is None:
        return None
    if scale.replicas is not None and 0 <= scale.replicas <= most:
        return None
    allowed = _counted(most)
    if scale.replicas is None:
        kind = rollout.workload.kind
        says = f"at most {allowed}, and this {kind} says no spec.replicas"
    else:
        says = f"at most {allowed}, and this has {scale.replicas}"
    return Violation("maxReplicas", says)


def _ring(constraints: StoredConstraints, ring: int | None) -> Violation | None:
    highest = constraints.max_ring
    if highest is None or ring is None or ring <= highest:
        return None
    return Violation("maxRing", f"up to ring {highest}, and this is ring {ring}")


def _window(
    constraints: Sequence[StoredConstraints], now: datetime, end: datetime
) -> Violation | None:
    if _open(constraints, now):
        return None
    edges = sorted(edge for edge in window_edges(constraints) if now < edge < end)
    opens = next((edge for edge in edges if _open(constraints, edge)), None)
    if opens is None:
        says = "within its windows alone, none of which opens before it ends"
        return Violation(WINDOWS, f"{says}, at {rfc3339(end)}")
    says = f"within its windows alone, the next of which opens at {rfc3339(opens)}"
    return Violation(WINDOWS, says, opens)


def _open(constraints: Iterable[StoredConstraints], moment: datetime) -> bool:
    return all(
        not each.windows or any(w.from_ <= moment < w.until for w in each.windows)
        for each in constraints
    )


def window_edges(constraints: Iterable[StoredConstraints]) -> Iterator[datetime]:
    """The moments at which a window opens or closes."""
    for each in constraints:
        for window in each.windows:
            yield from (window.from_, window.until)


def limits_of(constraints: StoredConstraints | None) -> list[str]:
    """What an exception admits no rollout beyond, a line each."""
    if constraints is None:
        return []
    found: list[str] = []
    if constraints.max_replicas is not None:
        found.append(f"at most {_counted(constraints.max_replicas)}")
    if constraints.max_ring is not None:
        found.append(f"up to ring {constraints.max_ring}")
    if constraints.until is not None:
        found.append(f"until {rfc3339(constraints.until)}")
    found += [f"from {rfc3339(w.from_)} until {rfc3339(w.until)}" for w in constraints.windows]
    return found


def _counted(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"
