# SPDX-License-Identifier: Apache-2.0
"""Whether an approval may override the freezes and promotions that it names, and does something."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.changefreeze import OVERRIDE
from cabgate.api.selectable import name_of, names_of
from cabgate.api.stored import Declared
from cabgate.gate.commands import LIST_FREEZES, may_i, show_request
from cabgate.lifecycle.limits.freezes import overridden_already, read_freezes
from cabgate.lifecycle.limits.promotion import overridden_ring, override_name
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.text.refusal import Refusal, RefusalReason

FIELD = "status.review.overrides"


def check_freezes_there(names: Iterable[str], freezes: Sequence[Mapping[str, Any]]) -> None:
    """Raise `Refusal` for names of freezes of which one is not there; `freezes` are all that there
    are, as the API server has them."""
    unknown = sorted(set(names) - set(map(name_of, freezes)))
    if unknown:
        raise Refusal(
            RefusalReason.INVALID,
            f"there is no ChangeFreeze {', '.join(unknown)}; there are: {names_of(freezes)}; "
            f"see: {LIST_FREEZES}",
            FIELD,
        )


def check_promotions_asked(names: Iterable[str], request: Declared) -> None:
    """Raise `Refusal` for names of promotions of which the terms of a request do not ask one."""
    terms = request.spec.terms
    needs = terms.promotion.needs if terms is not None and terms.promotion is not None else []
    asked = {override_name(need.ring) for need in needs}
    unknown = sorted(set(names) - asked)
    if unknown:
        raise Refusal(
            RefusalReason.INVALID,
            f"request {request.metadata.name} asks for no {', '.join(unknown)}; it asks for: "
            f"{', '.join(sorted(asked)) or 'none'}; see: {show_request(request)} -o yaml",
            FIELD,
        )


def check_held(lacking: Sequence[str], plural: str, namespace: str, username: str) -> None:
    """Raise `Refusal` for whoever lacks the verb that overrides some objects of cabgate's kinds, by
    their names."""
    if lacking:
        resource = f"{plural}.cabgate.dev"
        raise Refusal(
            RefusalReason.NOT_AUTHORIZED,
            f"{username} lacks the RBAC verb {OVERRIDE!r} on {resource} {', '.join(lacking)} in "
            "this namespace; ask someone who has it, or approve without overriding. Whether you "
            f"have it says: {may_i(OVERRIDE, f'{resource}/{lacking[0]}', namespace)}",
            FIELD,
        )


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
