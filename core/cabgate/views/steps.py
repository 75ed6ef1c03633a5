# SPDX-License-Identifier: Apache-2.0
"""What brings a request on: which verb of `kubectl cab` on what."""

from collections.abc import Sequence
from dataclasses import dataclass

from cabgate.api.exception import CABException
from cabgate.api.request import RequestState
from cabgate.lifecycle.state.standing import WholeRequest, takes_exception
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.text.inert import inert
from cabgate.views.deciders import TEAM_REQUESTER


@dataclass(frozen=True, slots=True)
class NextStep:
    """What somebody can do next."""

    verb: str
    """A command of `kubectl cab`, such as `approve`."""
    exception: str
    """The exception that it is about; empty where it is about the request."""
    condition: str
    """The condition that is to be attested; empty for another verb."""


def next_steps(
    request: WholeRequest,
    waiting: Sequence[CABException],
    active: Sequence[CABException],
    needed: str,
    outdated: str,
) -> tuple[NextStep, ...]:
    """What brings it on, for whoever is needed; with the exceptions for it that wait and those
    that admit what it asks for, and with why nobody can approve it any more."""
    standing = request.standing
    stale = bool(outdated) and not is_retrospective(request.stored)
    if waiting or active:
        verbs = ["revoke"]
        if waiting:
            approvable = not stale and needed != TEAM_REQUESTER and takes_exception(standing)
            verbs = ["approve", "reject"] if approvable else ["reject"]
        names = [inert(each.metadata.name) for each in waiting or active]
        return tuple(NextStep(verb, name, "") for name in names for verb in verbs)
    if stale:
        return ()
    if standing.state in (RequestState.SUBMITTED, RequestState.UNDER_REVIEW):
        verbs = ["reject"] if needed == TEAM_REQUESTER else ["approve", "reject"]
        return tuple(NextStep(verb, "", "") for verb in verbs)
    if standing.unattested:
        return tuple(NextStep("attest", "", inert(each.name)) for each in standing.unattested)
    if needed and takes_exception(standing):
        return (NextStep("exception", "", ""),)
    return (NextStep("revoke", "", ""),) if standing.is_approved else ()


def command_of(step: NextStep, request: WholeRequest) -> str:
    """A step as it is typed."""
    subject = f"cabex/{step.exception}" if step.exception else inert(request.name)
    condition = f" --condition {step.condition}" if step.condition else ""
    namespace = inert(request.stored.metadata.namespace)
    return f"kubectl cab {step.verb} {subject} -n {namespace}{condition}"
