# SPDX-License-Identifier: Apache-2.0
"""Who submitted, and who is said to have asked: the lists that the webhook keeps in intents and
exceptions."""

from collections.abc import Iterable

from cabgate.api.intent import DeploymentIntent
from cabgate.api.types import MAX_REQUESTER, MAX_SUBMITTERS, Submitter, SubmitterType
from cabgate.lifecycle.limits.capacity import MAX_NAMES_BYTES, stored_bytes
from cabgate.lifecycle.state.states import DECIDED_STATES
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines, User
from cabgate.review.requesters import requester_problem
from cabgate.text.refusal import Refusal, RefusalReason

REQUESTERS_KEPT = 20
"""Requesters that an intent may name between two decided requests. Everybody is named again in each
decision."""

_DECIDED = frozenset(state.value for state in DECIDED_STATES)


def submitters_of_update(
    old: DeploymentIntent,
    new: DeploymentIntent,
    user: User,
    machines: Machines = SERVICE_ACCOUNTS,
) -> list[Submitter]:
    """The submitters of an intent after an update.

    An update that changes nothing in the spec adds nobody. The list starts anew with the first
    change after a decided request. Raises `Refusal` when there is no room for another.
    """
    if not changes_spec(old, new):
        return list(old.spec.submitted_by)
    before = [] if is_decided(old) else list(old.spec.submitted_by)
    return added(before, user, machines)


def requesters_of_update(old: DeploymentIntent | None, new: DeploymentIntent) -> list[str]:
    """Everybody whom an intent names as its requester, or named since its last decided request;
    `old` is None for a new one.

    Kept as the submitters are: whoever is taken out of `spec.requester` stays in the list. Raises
    `Refusal` when there is no room for another.
    """
    if old is not None and not changes_spec(old, new):
        return list(old.spec.requested_by)
    before: list[str] = []
    if old is not None and not is_decided(old):
        # What an older release stored has no list.
        named = [old.spec.requester] if old.spec.requester else []
        before = list(dict.fromkeys([*old.spec.requested_by, *named]))
    requester = new.spec.requester
    if not requester or requester in before:
        return before
    unchanged = old is not None and old.spec.requester == requester
    if len(requester) > MAX_REQUESTER and not unchanged:
        raise Refusal(
            RefusalReason.INVALID,
            f"has {len(requester)} characters; allowed: {MAX_REQUESTER}",
            "spec.requester",
        )
    after = [*before, requester]
    if len(before) >= REQUESTERS_KEPT or stored_bytes(after) > MAX_NAMES_BYTES:
        raise Refusal(
            RefusalReason.INVALID,
            f"{len(before)} requesters were named since the last decided request, and no more fit "
            f"({REQUESTERS_KEPT} at most, in {MAX_NAMES_BYTES} bytes); have the request decided, "
            "or create the intent anew",
            "spec.requester",
        )
    return after


def added(
    before: Iterable[Submitter], user: User, machines: Machines = SERVICE_ACCOUNTS
) -> list[Submitter]:
    """A list of submitters with one more, unless it is there already. Who is a machine now stays
    one.

    Raises `Refusal` when there is no room.
    """
    submitters = list(before)
    machine = machines.include(user.username, user.groups)
    kind = SubmitterType.MACHINE if machine else SubmitterType.PERSON
    for place, known in enumerate(submitters):
        if known.username == user.username:
            if known.type is not SubmitterType.MACHINE:
                submitters[place] = known.model_copy(update={"type": kind})
            return submitters
    after = [*submitters, Submitter(username=user.username, uid=user.uid, type=kind)]
    size = stored_bytes([each.to_dict() for each in after])
    if len(after) > MAX_SUBMITTERS or (submitters and size > MAX_NAMES_BYTES):
        raise Refusal(
            RefusalReason.INVALID,
            f"{len(submitters)} users changed this intent since its last decided request, and no "
            f"more fit ({MAX_SUBMITTERS} at most, in {MAX_NAMES_BYTES} bytes); have the request "
            "decided, or create the intent anew",
            "spec.submittedBy",
        )
    return after


def changes_spec(old: DeploymentIntent, new: DeploymentIntent) -> bool:
    """Whether an update changes what an intent says."""
    return _content(old) != _content(new)


def _content(intent: DeploymentIntent) -> dict[str, object]:
    return intent.spec.model_copy(update={"submitted_by": [], "requested_by": []}).to_dict()


def is_decided(intent: DeploymentIntent) -> bool:
    """Whether the status of an intent tells that its present content has been decided on.

    A status of an older generation says nothing of the present one.
    """
    status = intent.status
    return status.observed_generation == intent.metadata.generation and status.state in _DECIDED


def check_requester(
    old: DeploymentIntent | None,
    new: DeploymentIntent,
    submitters: Iterable[Submitter],
    machines: Machines,
) -> None:
    """Raise `Refusal` if an intent names a requester anew who is no person."""
    name = new.spec.requester
    if name is None or (old is not None and old.spec.requester == name):
        return
    problem = requester_problem(name, submitters, machines)
    if problem is not None:
        raise Refusal(RefusalReason.INVALID, problem, "spec.requester")
