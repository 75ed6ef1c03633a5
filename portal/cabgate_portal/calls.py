# SPDX-License-Identifier: Apache-2.0
"""What every operation of the API shares: who calls, and how long it may wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.openapi.models import HTTPBearer
from fastapi.params import Query as QueryParameter
from fastapi.security.base import SecurityBase

from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate_kube.clock import Clock, utc_now
from cabgate_kube.transport import Connections
from cabgate_portal.client import Caller, Room
from cabgate_portal.limits import CallLimits, Waits
from cabgate_portal.metrics import Metrics
from cabgate_portal.names import CorrelationId, Id, Namespace, id_of
from cabgate_portal.problems import Problem
from cabgate_portal.reading import Reader
from cabgate_portal.tokens import token_of

POLL_SECONDS = 2.0
"""Between two looks while a call waits."""

MAX_WAIT_SECONDS = 60
"""Longest that a call waits."""

MAX_FAILURES = 2
"""Looks in a row that may fail while a call waits."""

SEVERAL = frozenset({"image"})
"""Query parameters that may be given more than once."""

_PASSING = frozenset({429, 503, 504})
"""Statuses of the API server that pass, so that who waits goes on waiting."""

T = TypeVar("T")


@dataclass(frozen=True)
class Portal:
    """What the operations work with: of no caller, and without any credentials."""

    connections: Connections
    metrics: Metrics
    limits: CallLimits
    clock: Clock = utc_now
    machines: Machines = SERVICE_ACCOUNTS
    poll_seconds: float = POLL_SECONDS
    room: Room = field(default_factory=Room)
    waits: Waits = field(default_factory=Waits)
    stopping: Callable[[], bool] = lambda: False
    """Whether the process is about to end: then nothing waits any more."""


class BearerToken(SecurityBase):
    """The caller, by their bearer token: the API server says whose it is and what they may."""

    def __init__(self) -> None:
        self.model = HTTPBearer(
            description="A token that the API server takes: an OIDC token, or one of "
            "`kubectl create token`."
        )
        self.scheme_name = "bearer"

    async def __call__(self, request: Request) -> AsyncIterator[Reader]:
        """Read for the caller for as long as the call lasts. Raises `Problem`."""
        portal: Portal = request.app.state.portal
        token = token_of(request.scope["headers"])
        with portal.limits.taken(token):
            _check_parameters(request)

            def called(method: str, code: int) -> None:
                portal.metrics.api_calls.labels(method, str(code)).inc()

            caller = Caller(portal.connections, token, called, portal.room)
            try:
                yield Reader(caller, portal.clock, portal.machines)
            finally:
                caller.close()


def _check_parameters(request: Request) -> None:
    """Refuse what no operation reads: a misspelt `dryRun` would be a write."""
    params = get_flat_params(request.scope["route"].dependant)
    known = {each.alias for each in params if isinstance(each.field_info, QueryParameter)}
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise Problem(
                400, "UnknownParameter", f"a parameter that is not known; allowed: {allowed}"
            )
        if given.count(name) > 1 and name not in SEVERAL:
            raise Problem(400, "ParameterTwice", f"{name} is given more than once", field=name)


@dataclass(frozen=True)
class Wait:
    """How long a call waits, and who for."""

    request: Request
    seconds: float

    async def until(
        self, reader: Reader, read: Callable[[], Awaitable[T]], done: Callable[[T], bool]
    ) -> T:
        """What is read once it is done, or as it was read last when the time is up, the caller is
        gone, or the process is about to end. Raises `Problem`."""
        found = await read()
        if done(found) or not self.seconds:
            return found
        portal: Portal = self.request.app.state.portal
        end, failures, pause = time.monotonic() + self.seconds, 0, portal.poll_seconds
        with portal.waits.taken():
            while not done(found) and (left := end - time.monotonic()) > 0:
                reader.api.let_go()
                await asyncio.sleep(min(pause, left))
                if portal.stopping() or await self.request.is_disconnected():
                    break
                try:
                    found, failures, pause = await read(), 0, portal.poll_seconds
                except Problem as problem:
                    failures += 1
                    if problem.status not in _PASSING or failures > MAX_FAILURES:
                        raise
                    pause = max(portal.poll_seconds, _retry_after(problem))
        return found


def _retry_after(problem: Problem) -> float:
    given = problem.headers.get("Retry-After", "")
    return float(given) if given.isdigit() else 0.0


def _wait_of(
    request: Request,
    wait: Annotated[
        str,
        Query(
            pattern=r"^[0-9]{0,2}s?$",
            description=f"Seconds to wait until it is decided, at most {MAX_WAIT_SECONDS}: `30` or "
            "`30s`.",
        ),
    ] = "",
) -> Wait:
    seconds = float(wait.removesuffix("s") or 0)
    if seconds > MAX_WAIT_SECONDS:
        raise Problem(400, "Invalid", f"at most {MAX_WAIT_SECONDS} seconds", field="wait")
    return Wait(request, seconds)


def _is_dry_run(
    dry_run: Annotated[
        str | None,
        Query(
            alias="dryRun",
            pattern="^(true|false|All|)$",
            description="Judge it and store nothing: `true`.",
        ),
    ] = None,
) -> bool:
    return dry_run is not None and dry_run != "false"


def _id(id: str) -> Id:
    return id_of(id)


BEARER = BearerToken()
AsCaller = Annotated[Reader, Depends(BEARER)]
"""Reads and writes as the caller."""
Waiting = Annotated[Wait, Depends(_wait_of)]
"""How long to wait."""
DryRun = Annotated[bool, Depends(_is_dry_run)]
"""Whether nothing is to be stored."""
Everywhere = Annotated[
    Namespace | None, Query(description="Of this namespace; of all if it is not given.")
]
"""The namespace that is looked in, or all."""
Correlation = Annotated[
    CorrelationId | None,
    Query(alias="correlationID", description="What belongs to one record elsewhere."),
]
"""What belongs to one record elsewhere."""
ObjectId = Annotated[Id, Depends(_id)]
"""What a path names."""
