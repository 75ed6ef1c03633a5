# SPDX-License-Identifier: Apache-2.0
"""What is known of a reason: one record each, from which every table of reasons is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cabgate.api.request import RequestState
from cabgate.api.types import Tier
from cabgate.gate.verdict import Basis, Look, Reason
from cabgate.lifecycle.history.revocations import Revocation
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.lifecycle.limits.promotion import UNKNOWN, EarlierRings, PriorRing
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding
from cabgate.review.identity import Machines
from cabgate.rollout.rollout import Rollout


@dataclass(frozen=True)
class Covering:
    """A request that names the workload and every image of a rollout, and what else speaks."""

    rollout: Rollout
    request: RequestStanding
    others: Sequence[RequestStanding]
    """Requests that name the workload as well and hold the very same content."""
    exceptions: Sequence[ExceptionStanding]
    revocations: Sequence[Revocation]
    """Those that deny an image of the rollout."""
    now: datetime
    ring: int | None = None
    """That of the rollout; None where that was not asked."""
    template_required: bool = False
    """Whether an approval has to say what the containers do."""
    template_decided: bool = False
    """Whether a request that says it of these images was decided."""
    freezes: Sequence[FreezeInForce] = ()
    """Those that hold for the rollout now."""
    earlier_rings: EarlierRings = UNKNOWN
    """What is known of the rings before."""

    ran_since: datetime | None = None
    """Since when its workload ran, at some time, what it is to run now; None where that is not
    known."""

    @property
    def state(self) -> RequestState:
        """State of the request."""
        return self.request.state


@dataclass(frozen=True)
class Situation:
    """What a message tells of."""

    tried: str
    """Reason code, workload, namespace and ring, as each message begins."""
    rollout: Rollout
    basis: Basis
    now: datetime
    machines: Machines

    @property
    def request(self) -> RequestStanding:
        """The request that the decision rests on. Raises `ValueError` where it rests on none."""
        if self.basis.request is None:
            raise ValueError(f"{self.tried}: rests on no request")
        return self.basis.request

    @property
    def exception(self) -> ExceptionStanding:
        """The exception that it rests on. Raises `ValueError` where it rests on none."""
        if self.basis.exception is None:
            raise ValueError(f"{self.tried}: rests on no exception")
        return self.basis.exception

    @property
    def prior(self) -> PriorRing:
        """The ring before that keeps it back. Raises `ValueError` where none does."""
        if self.basis.prior is None:
            raise ValueError(f"{self.tried}: no ring comes first")
        return self.basis.prior

    @property
    def head(self) -> str:
        """How a message that tells of a request begins."""
        return f"{self.tried}: request {self.request.metadata.name}"

    @property
    def approved(self) -> str:
        """How a message begins that tells why something approved is kept back all the same."""
        given = self.basis.exception
        under = "is approved" if given is None else f"is under exception {given.metadata.name}"
        return f"{self.head} {under}"


PASSES_ALL_THE_SAME = (
    "What ran here before rolls back all the same; scaling, restarts and deletion pass."
)
"""What is never kept back with something approved."""


Parts = tuple[str, list[str], str]
"""Head, details and next step of a message."""


class ArgoHealth(StrEnum):
    """How Argo CD shows an intent whose rollout is decided so."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    SUSPENDED = "Suspended"
    DEGRADED = "Degraded"


@dataclass(frozen=True)
class Record:
    """All that there is to a reason but the check that finds it."""

    reason: Reason
    message: Callable[[Situation], Parts]
    """What whoever rolls out is told."""
    line: Callable[[Look, Rollout, datetime], str] | None = None
    """Why a request says so, in one line of `cabgate explain`; None where no request does."""
    warnings: Callable[[Situation], tuple[str, ...]] = lambda _: ()
    """What to tell whoever rolls out, although the rollout is admitted."""
    admits: bool = False
    in_force: bool = False
    """Whether something approves the images, be it under conditions that are not met now."""
    kept_back: bool = False
    """Whether something approved is kept back that what ran before passes, or what met what is
    asked of it: whoever decides looks at that before a rollout is denied."""
    order: int | None = None
    """Before which requests one that says so is gone by, the smallest first; None: by its state."""
    order_in: frozenset[RequestState] = frozenset(RequestState)
    """The states of the request in which `order` counts."""
    after_waiting: bool = False
    """Whether one that says so, though approved, is gone by after those that wait for an approval:
    nothing but another request admits the rollout."""
    decidable: bool = True
    """Whether somebody here can decide a request that says so: of several in the same state, those
    are told first."""
    health: ArgoHealth = ArgoHealth.PROGRESSING
    """What Argo CD shows of an intent; DEGRADED where waiting does not help: it is Stalled."""
    decided_by_cabgate: Tier | None = None
    """The gate of requests that cabgate itself decides: of those it shows PROGRESSING instead."""
    says: str = ""
    """What it says, for the table of the docs; empty where nobody reads it as a denial."""
    to_do: str = ""
    """What to do about it, for the same table."""
