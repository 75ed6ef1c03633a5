# SPDX-License-Identifier: Apache-2.0
"""Whether a rollout keeps to what its exception is limited to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.exception import ExceptionReview, ExceptionReviewVerdict
from cabgate.api.stored import StoredConstraints
from cabgate.rollout.rollout import Rollout
from cabgate.text.refusal import Refusal, RefusalReason


@dataclass(frozen=True)
class Violation:
    """What of an exception a rollout does not keep."""

    field: str
    """Such as `maxReplicas`."""
    admits: str
    """What the exception admits, and what this is, for people."""
    opens: datetime | None = None
    """Of windows: when the next one opens; None where all are over."""


def violation(
    constraints: Iterable[StoredConstraints], rollout: Rollout, ring: int | None, now: datetime
) -> Violation | None:
    """The first constraint that a rollout does not keep; None if it keeps all.

    Each of `constraints`, those of the spec and those of the review, has to hold. Of a rollout
    whose replicas or ring were not asked, those are not looked at.
    """
    for each in constraints:
        found = _replicas(each, rollout) or _ring(each, ring) or _window(each, now)
        if found is not None:
            return found
    return None


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
    if most is None or scale is None or (scale.replicas is not None and scale.replicas <= most):
        return None
    allowed = "1 replica" if most == 1 else f"{most} replicas"
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


def _window(constraints: StoredConstraints, now: datetime) -> Violation | None:
    windows = constraints.windows
    if not windows or any(each.from_ <= now < each.until for each in windows):
        return None
    opens = min((each.from_ for each in windows if each.from_ > now), default=None)
    if opens is None:
        ended = rfc3339(max(each.until for each in windows))
        return Violation("windows", f"within its windows alone, the last of which ended at {ended}")
    says = f"within its windows alone, the next of which opens at {rfc3339(opens)}"
    return Violation("windows", says, opens)
