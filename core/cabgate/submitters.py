# SPDX-License-Identifier: Apache-2.0
"""Who submitted: the list that the webhook keeps in intents and exceptions."""

from collections.abc import Collection, Iterable

from cabgate.api.intent import DeploymentIntent
from cabgate.api.types import MAX_SUBMITTERS, Submitter
from cabgate.identity import User, is_service_account
from cabgate.lifecycle import DECIDED_STATES
from cabgate.refusal import Refusal, RefusalReason

_DECIDED = frozenset(state.value for state in DECIDED_STATES)


def submitters_of_update(
    old: DeploymentIntent, new: DeploymentIntent, user: User
) -> list[Submitter]:
    """The submitters of an intent after an update.

    An update that changes nothing in the spec adds nobody. The list starts anew with the first
    change after a decided request. Raises `Refusal` when there is no room for another.
    """
    if _content(old) == _content(new):
        return list(old.spec.submitted_by)
    before = [] if is_decided(old) else list(old.spec.submitted_by)
    return added(before, user)


def added(before: Iterable[Submitter], user: User) -> list[Submitter]:
    """A list of submitters with one more, unless it is there already.

    Raises `Refusal` when there is no room.
    """
    submitters = list(before)
    me = Submitter(username=user.username, uid=user.uid)
    if any(known.username == me.username for known in submitters):
        return submitters
    if len(submitters) >= MAX_SUBMITTERS:
        raise Refusal(
            RefusalReason.INVALID,
            f"{MAX_SUBMITTERS} users changed this intent since its last decided request; "
            "have the request decided, or create the intent anew",
            "spec.submittedBy",
        )
    return [*submitters, me]


def _content(intent: DeploymentIntent) -> dict[str, object]:
    return intent.spec.model_copy(update={"submitted_by": []}).to_dict()


def is_decided(intent: DeploymentIntent) -> bool:
    """Whether the status of an intent tells that its present content has been decided on.

    A status of an older generation says nothing of the present one.
    """
    status = intent.status
    return status.observed_generation == intent.metadata.generation and status.state in _DECIDED


def machines_alone(submitters: Iterable[Submitter], requesters: Collection[str]) -> bool:
    """Whether no person is known to have submitted or asked."""
    return not requesters and all(is_service_account(s.username) for s in submitters)
