# SPDX-License-Identifier: Apache-2.0
"""Which requests take an exception, what helps those that do not, and who said no before."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException, ExceptionDecision, ExceptionState
from cabgate.api.request import CABRequest, RequestState
from cabgate.api.types import Tier
from cabgate.gate.commands import (
    approve_request,
    edit_intent,
    replace_exception,
    show_request,
    write_exception,
)
from cabgate.gate.composing import MAX_BYTES, WARNING_WIDTH, compose, shortened
from cabgate.gate.phrases import ended, scored
from cabgate.lifecycle.history.precedent import standing_verdict
from cabgate.lifecycle.state.exception_needs import (
    Lacking,
    lacks_in_spec,
    needed_by,
    needed_of,
)
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    takes_exception,
)
from cabgate.lifecycle.state.states import APPROVED_STATES, REFUSED_STATES, state_of
from cabgate.text.refusal import Refusal, RefusalReason, check_all

FIELD = "spec.requestRef.name"

_NO = (ExceptionState.REJECTED, ExceptionState.REVOKED)
_MAX_LINES = 5

_ROOM = MAX_BYTES - len(f"{RefusalReason.EXCEPTION_NOT_ALLOWED}: {FIELD}: ")
"""Bytes of the text, which reason and field stand before."""


def without_exception(
    request: RequestStanding, others: Iterable[RequestStanding] = ()
) -> RequestStanding | None:
    """The request that says why no exception admits what a request asks for: itself, or another one
    for the very same content that was refused; None if an exception may.

    `others` are the requests of the namespace that name one of its workloads.
    """
    if not takes_exception(request):
        return request
    return standing_verdict(request.spec.evidence_digest, others)


def check_takes_exception(request: RequestStanding, others: Iterable[RequestStanding] = ()) -> None:
    """Raise `Refusal` unless an exception may admit what a request asks for; see
    `without_exception`."""
    found = without_exception(request, others)
    if found is not None:
        raise Refusal(RefusalReason.EXCEPTION_NOT_ALLOWED, no_exception(found), FIELD)


def check_within_terms(
    exception: CABException, request: CABRequest, *, stored: bool = True
) -> None:
    """Raise one `Refusal` of all that an exception lacks of what the terms of its request ask
    for, with the command that asks for one which lacks nothing. `stored` says whether it is there
    already, so that nobody can change it."""
    stamped, needed, meta = needed_of(exception.spec), needed_by(request), exception.metadata
    lacks = list(lacks_in_spec(exception.spec, request))
    if not lacks:
        command = replace_exception(meta.namespace, meta.name)
        how = f"Its team asks for it anew, as it is, with: {command}"
    elif stored:
        another = write_exception(request, ExceptionStanding.of(exception))
        how = f"No exception is changed: its team asks for another with: {another}"
    else:
        how = "Ask for it with: " + write_exception(request, name=meta.name)
    if stamped != needed:
        says = (
            f"{stamped}, and the terms of request {request.metadata.name} ask for {needed}: it was "
            "asked for before that request was there, or by another release"
        )
        lacks.append(Lacking("spec.approvalsNeeded", says))
    if lacks:
        last = lacks.pop()
        lacks.append(Lacking(last.field, f"{last.message}. {how}"))
    check_all(*(partial(_refuse, each) for each in lacks))


def _refuse(lack: Lacking) -> None:
    raise Refusal(RefusalReason.EXCEPTION_NOT_ALLOWED, lack.message, lack.field)


def warnings_of_asking_again(
    exception: CABException, others: Iterable[CABException], now: datetime
) -> list[str]:
    """What a reviewer who approves an exception is told: that one for the same request was rejected
    or revoked. Its team may ask again, and the reviewer of before may have had a reason; one that
    was deleted since is in the ledger alone. `others` are those that name one of some requests."""
    found = [
        (entry.at, each.metadata.name, entry)
        for each in others
        if each.metadata.name != exception.metadata.name
        and each.spec.request_ref.name == exception.spec.request_ref.name
        and (state := state_of(each, now)) in _NO
        and (entry := _last(each, state)) is not None
    ]
    found.sort(key=lambda item: item[:2], reverse=True)
    lines = [
        shortened(
            f"exception {name} for the same request was {entry.verdict.lower()} by "
            f"{shortened(entry.author.username, 100)} at {rfc3339(at)}: {entry.rationale}",
            2 * WARNING_WIDTH,
        )
        for at, name, entry in found[:_MAX_LINES]
    ]
    if len(found) > _MAX_LINES:
        lines.append(
            f"{len(found) - _MAX_LINES} more were rejected or revoked, {len(found)} in all"
        )
    return lines


def _last(exception: CABException, state: ExceptionState) -> ExceptionDecision | None:
    """The last entry that says what state an exception is in."""
    of_state = (e for e in exception.status.decisions[::-1] if e.verdict.value == state.value)
    return next(of_state, None)


def no_exception(request: RequestStanding, room: int = _ROOM) -> str:
    """Why a request takes no exception, whom to ask instead, and what is needed, in so many
    bytes."""
    return compose(*_why(request), room)


def _why(request: RequestStanding) -> tuple[str, list[str], str]:
    state, head = request.state, f"request {request.metadata.name}"
    if state in REFUSED_STATES:
        verdict = request.verdict
        who = verdict.author.username if verdict is not None else "a reviewer"
        return (
            f"{head} {ended(request)}.",
            [f"No exception admits it: ask {who} what has to change."],
            "It takes new evidence, in a request of its own: " + edit_intent(request),
        )
    if state in APPROVED_STATES:
        return (
            f"{head} is {state}: it needs no exception.",
            [],
            "See: " + show_request(request),
        )
    by_score = request.spec.assessment.gate is Tier.AUTO_APPROVE
    if state is RequestState.SUPERSEDED:
        asks = "nobody" if by_score else "a CAB member"
        return (
            f"{head} {ended(request)}, and its score asks for {asks} ({scored(request)}), not for "
            "an exception.",
            [],
            "Declare it again, or new evidence: " + edit_intent(request),
        )
    if by_score and state is RequestState.SUBMITTED:
        return (
            f"{head} needs no exception: its score asks for nobody ({scored(request)}).",
            [
                "If it stays Submitted, a floor keeps the system from approving it: its condition "
                "Decided says which."
            ],
            "Then someone who did not submit it approves with: " + approve_request(request),
        )
    return (
        f"{head} waits for a CAB member ({scored(request)}): an exception does not decide in "
        "their place.",
        ["If they reject it, new evidence is needed."],
        "Ask one who did not submit it to approve with: " + approve_request(request),
    )
