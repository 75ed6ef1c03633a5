# SPDX-License-Identifier: Apache-2.0
"""Room for what has yet to be said of a request or an exception: places in its list of decisions,
and bytes of what etcd stores in one object.

What ends an approval, takes it back, rejects or revokes finds room whatever was said before: what
begins something, such as an approval or a reopening, leaves what its end will need.
"""

import json
from collections.abc import Sequence
from typing import Any

from cabgate.api.exception import CABException, ExceptionState, ExceptionVerdict
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, RequestDecision, RequestState, RequestVerdict
from cabgate.api.types import ALL_IMAGES, MAX_DECISIONS, MAX_DECLARED_TARGETS, AuthorType
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import APPROVED_STATES
from cabgate.text.refusal import Refusal, RefusalReason

KIB = 1024

MAX_BYTES = 768 * KIB
"""Spec and status of a request or an exception, as they are stored: half of what etcd takes. The
other half is for what anybody may add to the metadata, and for managed fields."""

RESERVED_BYTES = 224 * KIB
"""Bytes that stay free for the end: an approval taken back, the request superseded, and a
revocation with the longest rationale, by an author in as many groups as are recorded."""

RESERVED_FOR_PEOPLE_BYTES = 128 * KIB
"""Bytes that the system leaves free beside that, so that people can decide."""

MAX_SPEC_BYTES = 64 * KIB
"""The spec of an intent, as it is stored: a request holds a copy of it. 20 workloads with five
images each, and evidence that names them, take a quarter of it."""

MAX_EXCEPTION_BYTES = 32 * KIB
"""The spec of an exception, as it is stored."""

MAX_NAMES_BYTES = 16 * KIB
"""The submitters of an intent, and its requesters, as they are stored: both stand in each decision,
those of the request and those of the intent."""

RESERVED_FOR_PEOPLE = 32
"""Entries of `status.decisions` that the system leaves free when it opens or approves something, so
that however often an intent goes back and forth, a person's verdict and the end of it find room."""

_S = RequestState

_PLACES: dict[str, int] = {
    _S.SUBMITTED: 2,  # superseded; revoked, if it was approved before
    _S.UNDER_REVIEW: 2,
    _S.EXCEPTION_REQUIRED: 2,
    _S.SUPERSEDED: 1,  # revoked, if it was approved before
    _S.AUTO_APPROVED: 2,  # ended; revoked
    _S.APPROVED: 3,  # taken back; superseded, or expired; revoked
    _S.CONDITIONALLY_APPROVED: 3,
    ExceptionState.PENDING: 2,  # expired, or decided; revoked
}
"""Places that what may follow in a state needs, one after the other."""

_ENDS = frozenset({"Superseded", "Rejected", "Revoked", "Expired"})

Subject = CABRequest | CABException


def stored_bytes(value: Any) -> int:
    """How many bytes a value takes as the API server stores it: JSON, with what HTML and
    JavaScript would act on escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    escaped = sum(map(text.count, "<>&\u2028\u2029"))
    return len(text.encode(errors="surrogatepass")) + 5 * escaped


def lacking(after: Subject, before: str, following: str) -> str:
    """What the last entry of a request or an exception leaves too little room of, in words; empty
    if there is enough. `before` is the state that it was made in, `following` the one it led to."""
    entry = after.status.decisions[-1]
    system = entry.author.type is AuthorType.SYSTEM
    ends = _ends(entry.verdict, before)
    needed = 0 if ends else max(_places(after, following), RESERVED_FOR_PEOPLE if system else 0)
    if len(after.status.decisions) + needed > MAX_DECISIONS:
        return (
            f"its list of decisions takes {MAX_DECISIONS} entries, of which {needed} are kept for "
            f"what may follow {entry.verdict}"
        )
    limit = MAX_BYTES
    if ends:
        # Never refused for its size, but where it repeats what can be said shorter.
        if not isinstance(entry, RequestDecision) or set(entry.images) <= {ALL_IMAGES}:
            return ""
    else:
        limit -= RESERVED_BYTES + (RESERVED_FOR_PEOPLE_BYTES if system else 0)
    found = stored_bytes(_content(after))
    if found <= limit:
        return ""
    return (
        f"it would come to {found} bytes, of {limit} that it may have"
        f"{'' if ends else ', so that it can be revoked whatever comes'}"
    )


def check_room(after: Subject, before: str, following: str) -> None:
    """Raise `Refusal` if a person's decision, the last entry, leaves too little room."""
    why = lacking(after, before, following)
    if not why:
        return
    if isinstance(after.status.decisions[-1], RequestDecision) and _ends(
        after.status.decisions[-1].verdict, before
    ):
        advice = f"revoke {ALL_IMAGES!r}, or name fewer images"
    else:
        advice = (
            "shorten rationale and conditions; if that does not help, change any value of the "
            "evidence, such as a uri, which opens another request"
        )
    raise Refusal(RefusalReason.INVALID, f"{after.metadata.name}: {why}; {advice}", "status.review")


def check_size(
    old: DeploymentIntent | CABException | None, new: DeploymentIntent | CABException
) -> None:
    """Raise `Refusal` for a spec that is too large: its request holds a copy, and everything that
    is decided on it. What an older release stored larger may change, and become no larger."""
    if isinstance(new, DeploymentIntent):
        _check_targets(old, new)
    limit = MAX_SPEC_BYTES if isinstance(new, DeploymentIntent) else MAX_EXCEPTION_BYTES
    spec = new.spec.to_dict()
    found = stored_bytes(spec)
    if found <= limit:
        return
    if old is not None and found <= stored_bytes(old.spec.to_dict()):
        return
    largest = max(spec, key=lambda name: stored_bytes(spec[name]))
    advice = "Shorten it"
    if isinstance(new, DeploymentIntent):
        advice += ", or make several of it, each for some of the workloads"
        if new.spec.template_forms:
            advice += ", or leave templateForms out: it decides nothing"
    raise Refusal(
        RefusalReason.INVALID,
        f"comes to {found} bytes as it is stored, most of it in {largest}; allowed: {limit}. "
        f"{advice}",
        "spec",
    )


def _check_targets(old: DeploymentIntent | CABException | None, new: DeploymentIntent) -> None:
    # The schema says the same, and lets stay what an older release stored and nobody changes.
    before = len(old.spec.targets) if isinstance(old, DeploymentIntent) else 0
    found = len(new.spec.targets)
    if found > max(MAX_DECLARED_TARGETS, before):
        raise Refusal(
            RefusalReason.INVALID,
            f"has {found} workloads; allowed: {MAX_DECLARED_TARGETS}. Make several intents of it, "
            "each for some of them",
            "spec.targets",
        )


def _ends(verdict: RequestVerdict | ExceptionVerdict, before: str) -> bool:
    """Whether a verdict ends something: what is denied by it is to be denied whatever it takes."""
    if verdict.value == RequestVerdict.REOPENED:
        return before in APPROVED_STATES
    return verdict.value in _ENDS


def _places(after: Subject, following: str) -> int:
    places = _PLACES.get(following, 0)
    if isinstance(after, CABRequest) and following == _S.CONDITIONALLY_APPROVED:
        places += len(standing_of(after).unattested)
    return places


def _content(subject: Subject) -> Sequence[Any]:
    return [subject.spec.to_dict(), subject.status.to_dict()]
