# SPDX-License-Identifier: Apache-2.0
"""What one look at an intent has read and found so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, Floor, Provenance
from cabgate.api.riskmodel import RiskModel
from cabgate.api.selectable import NoneHolds
from cabgate.lifecycle.history.precedent import standing_verdict
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding, WholeRequest
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import Object
from cabgate_operator.plans.intents import Problem
from cabgate_operator.work.context import parsed
from cabgate_operator.work.keys import Key


@dataclass
class Work:
    """What one look at an intent has read and done so far."""

    key: Key
    labels: dict[str, str]
    """Labels of the namespace."""
    ring: int
    raw: Object | None
    intent: DeploymentIntent | None
    """The live intent; None if it is absent or being deleted."""
    requests: dict[str, tuple[Object, WholeRequest]]
    exceptions: list[ExceptionStanding] | None = None
    others: list[WholeRequest] = field(default_factory=list)
    """The requests, of whatever intent, that name one of its workloads."""
    refused: WholeRequest | None = None
    """A request of another intent for the very same content that was refused."""
    problem: Problem | None = None
    wanted: str = ""
    model: RiskModel | NoneHolds | None = None
    """By what the wanted request is scored; None if it is there already."""
    policy: ChangePolicy | NoneHolds | None = None
    """Who has to approve the wanted request; None where there is no change policy, or the request
    is there already."""
    provenance: Sequence[Provenance] = ()
    """Who speaks for the evidence of the intent."""
    held: tuple[Floor, ...] = ()
    """What keeps the system from approving the wanted request."""
    full: str = ""
    """Why the wanted request has no room for what the system has to say; empty if it has."""
    unwritten: str = ""
    """What to say of a status of the wanted request that was refused; empty if none was."""
    too_often_until: datetime | None = None
    """Until when the intent waits, since it was changed too often."""
    may_come_back: bool = False
    """Whether the intent is gone, and so lately that it may be about to be created anew."""
    errors: list[ApiError] = field(default_factory=list)

    @property
    def known(self) -> list[WholeRequest]:
        """The requests that matter here, as this look has read or written them last."""
        found = {request.name: request for request in self.others}
        found |= {name: request for name, (_, request) in self.requests.items()}
        return list(found.values())

    @property
    def standings(self) -> list[RequestStanding]:
        """Where these stand."""
        return [request.standing for request in self.known]

    @property
    def request(self) -> WholeRequest | None:
        """The request that stands for the intent's content, if there is one."""
        if self.refused is not None:
            return self.refused
        found = self.requests.get(self.wanted)
        return None if found is None or self.problem is not None else found[1]


def refused_among(digest: str, others: Sequence[WholeRequest]) -> WholeRequest | None:
    """The one of some requests that holds the content of a digest and was refused, if any."""
    found = standing_verdict(digest, [each.standing for each in others])
    return next((each for each in others if each.standing is found), None)


def wanted_as_read(work: Work, found: Object) -> WholeRequest:
    """The wanted request as it was read, if that is the one."""
    raw, known = work.requests.get(work.wanted, (None, None))
    if known is not None and found is raw:
        return known
    return WholeRequest.of(parsed(CABRequest, found))
