# SPDX-License-Identifier: Apache-2.0
"""Whether an approval that overrides freezes or promotions does something."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.lifecycle.limits.freezes import overridden_already, read_freezes
from cabgate.lifecycle.limits.promotion import overridden_ring
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.text.refusal import Refusal, RefusalReason

FIELD = "status.review.overrides"


def check_overrides_more(
    names: Sequence[str],
    request: RequestStanding,
    freezes: Iterable[Mapping[str, Any]],
    namespace_labels: Mapping[str, str],
    now: datetime,
) -> None:
    """Raise `Refusal` for another approval of what is approved that overrides nothing: decisions
    have a bound, and whoever revokes needs room. `freezes` are all that there are, as the API
    server has them."""
    if not request.is_approved:
        return
    known = read_freezes(freezes)
    done = set(overridden_already(known, namespace_labels, request.overrides, now))
    done |= {name for name in request.overrides if overridden_ring(name) is not None}
    if set(names) <= done:
        last = max(request.overrides[name] for name in names)
        raise Refusal(
            RefusalReason.ILLEGAL_TRANSITION,
            f"{request.metadata.name} is {request.state}, and overrides {', '.join(names)} "
            f"already, since {rfc3339(last)}; a later interval of a freeze is overridden anew",
            FIELD,
        )
