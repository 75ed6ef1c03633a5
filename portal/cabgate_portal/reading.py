# SPDX-License-Identifier: Apache-2.0
"""What is shown, read as the caller may read it, and computed by the functions of `kubectl cab`."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from msgspec import convert
from pydantic import ValidationError

from cabgate.api import (
    CABEvidence,
    CABException,
    CABRequest,
    DeploymentIntent,
    RolloutOutcome,
)
from cabgate.api.base import Model, first_problem
from cabgate.api.outcome import RELEASE_LABEL
from cabgate.lifecycle.history.renewals import renewed
from cabgate.lifecycle.limits.promotion import EarlierRings
from cabgate.lifecycle.requests.kept_evidence import kept_templates
from cabgate.lifecycle.state.standing import (
    ExceptionStanding,
    RequestStanding,
    WholeRequest,
    standing_of,
    takes_exception,
)
from cabgate.review.identity import Machines, User
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template
from cabgate.text.inert import inert
from cabgate.views.compare import Comparison, Kept, compare, last_approved, shared_label
from cabgate.views.decided import Decided, exception_decided, request_decided
from cabgate.views.queue import QueueRow, for_requests, of_submitter, queue
from cabgate.views.rings import release_of
from cabgate.views.selectors import APPROVED_REQUESTS, LIVE_EXCEPTIONS, WAITING_REQUESTS
from cabgate.views.show import RequestView, show
from cabgate_kube.clock import Clock
from cabgate_kube.listed import ExceptionListed, RequestListed
from cabgate_kube.process.tasks import gathered
from cabgate_kube.resources import EVIDENCES, EXCEPTIONS, INTENTS, OUTCOMES, REQUESTS, Object
from cabgate_portal.client import Caller, Written, unknown_outcome
from cabgate_portal.names import Id
from cabgate_portal.problems import Problem

M = TypeVar("M", bound=Model)
T = TypeVar("T")

AT_ONCE = 100
"""Objects that are read before others have their turn: some 25 ms."""

NOT_READABLE = frozenset({403, 404})
"""Statuses after which the rest is shown all the same: what is beside a request may be another's to
read, or be gone."""


@dataclass
class Notes:
    """What could not be shown, and why."""

    texts: list[str] = field(default_factory=list)

    async def beside(self, reading: Awaitable[T], otherwise: T, unknown: str) -> T:
        """What stands beside a request, as far as it is there and may be read."""
        try:
            return await reading
        except Problem as problem:
            if problem.status not in NOT_READABLE:
                raise
            if problem.status == 403:
                self.texts.append(f"{unknown}: {inert(problem.detail)}")
            return otherwise


@dataclass(frozen=True)
class Seen:
    """A request, or an exception with its request, as it is shown to somebody."""

    view: RequestView
    decided: Decided
    notes: Sequence[str]
    request: RequestStanding


@dataclass(frozen=True)
class Waiting:
    """What waits, the oldest first."""

    rows: list[QueueRow]
    notes: list[str]
    """What could not be read."""
    under_policy: frozenset[str]
    """Namespaces of requests that were opened under a change policy: freezes may hold there."""
    overrides: Mapping[tuple[str, str], Mapping[str, datetime]]
    """What requests override, by namespace and name, of those that override anything."""


@dataclass(frozen=True)
class Reader:
    """Reads for one caller. Every method raises `Problem`."""

    api: Caller
    clock: Clock
    machines: Machines

    async def request(self, which: Id) -> Seen:
        """A request with all that it is decided by."""
        return await self._seen(await self._whole(which), None)

    async def exception(self, which: Id) -> Seen:
        """An exception, with the request that it is for."""
        found = parsed(CABException, await self.api.get(EXCEPTIONS, which.namespace, which.name))
        name = found.spec.request_ref.name
        return await self._seen(await self._whole(Id(which.namespace, name)), found)

    async def _whole(self, which: Id) -> WholeRequest:
        found = await self.api.get(REQUESTS, which.namespace, which.name)
        return WholeRequest.of(parsed(CABRequest, found))

    async def _seen(self, request: WholeRequest, exception: CABException | None) -> Seen:
        notes = Notes()
        namespace = request.stored.metadata.namespace
        looked_at = "" if exception is None else exception.metadata.name
        intent, (others, renewals, rings), changes, viewer = await gathered(
            self._intent(request, notes),
            gathered(
                notes.beside(
                    self._exceptions_for(namespace, request.name),
                    [],
                    "its exceptions are not known",
                ),
                notes.beside(
                    self._renewals(request, looked_at, notes),
                    [],
                    "which exceptions there were before is not known",
                ),
                notes.beside(
                    self._earlier_rings(request),
                    None,
                    "what became of its release in the rings before is not known",
                ),
            ),
            notes.beside(
                self._changes(request, notes), None, "what was approved before is not known"
            ),
            self.api.who_am_i(),
        )
        now = self.clock()
        view = show(
            request,
            others,
            now,
            intent=intent.found,
            intent_known=intent.known,
            viewer=viewer,
            changes=changes,
            exception=exception,
            machines=self.machines,
            renewals=renewals,
            earlier_rings=rings,
        )
        if exception is not None:
            decided = exception_decided(exception, now)
        else:
            asked = others if takes_exception(request.standing) else []
            decided = request_decided(request, asked, now)
        return Seen(view, decided, tuple(notes.texts), request.standing)

    async def _earlier_rings(self, request: WholeRequest) -> EarlierRings | None:
        """What became of its release, in whatever namespaces it runs."""
        release = release_of(request.stored)
        if release is None:
            return EarlierRings({}, template=None)
        return EarlierRings({release: await self.outcomes_of(release)}, template=None)

    async def outcomes_of(self, release: str) -> list[RolloutOutcome]:
        """What became of a release, in whatever namespaces it runs."""
        items = await self.api.all(OUTCOMES, labels=f"{RELEASE_LABEL}={release}")
        return await all_parsed(RolloutOutcome, items)

    async def _renewals(
        self, request: WholeRequest, looked_at: str, notes: Notes
    ) -> list[ExceptionStanding]:
        """The exceptions of before for its workloads, where it is one that takes an exception."""
        if not takes_exception(request.standing):
            return []
        namespace = request.stored.metadata.namespace
        asked, items = await gathered(
            self.api.all(EXCEPTIONS, namespace),
            self.api.all(REQUESTS, namespace, labels=shared_label(request)),
        )
        found = await all_readable(CABRequest, items, notes)
        others = [WholeRequest.of(each).standing for each in found]
        exceptions = await all_readable(CABException, asked, notes)
        return renewed(request.standing, others, exceptions, looked_at)

    async def _exceptions_for(self, namespace: str, name: str) -> list[CABException]:
        fields = f"{LIVE_EXCEPTIONS},spec.requestRef.name={name}"
        items = await self.api.all(EXCEPTIONS, namespace, fields=fields)
        return await all_parsed(CABException, items)

    async def _intent(self, request: WholeRequest, notes: Notes) -> "_Intent":
        reference = request.stored.spec.intent_ref
        if reference is None:
            return _Intent(None, known=True)
        namespace = request.stored.metadata.namespace
        try:
            found = await self.api.get(INTENTS, namespace, reference.name)
        except Problem as problem:
            if problem.status not in NOT_READABLE:
                raise
            if problem.status == 404:
                return _Intent(None, known=True)
            notes.texts.append(
                f"whether its intent still asks for it is not known: {inert(problem.detail)}"
            )
            return _Intent(None, known=False)
        return _Intent(parsed(DeploymentIntent, found), known=True)

    async def _changes(self, request: WholeRequest, notes: Notes) -> Comparison | None:
        items = await self.api.all(
            REQUESTS,
            request.stored.metadata.namespace,
            fields=APPROVED_REQUESTS,
            labels=shared_label(request),
        )
        approved = [WholeRequest.of(each) for each in await all_readable(CABRequest, items, notes)]
        before = last_approved(request, approved)
        now = await self._kept(request, notes)
        was = {} if before is None else await self._kept(before, notes)
        return compare(request, before, kept=Kept(now, was))

    async def _kept(self, request: WholeRequest, notes: Notes) -> Mapping[Workload, Template]:
        if not any(target.template for target in request.stored.spec.targets):
            return {}
        found = await notes.beside(
            self.api.get(EVIDENCES, request.stored.metadata.namespace, request.name),
            None,
            f"what the containers of {inert(request.name)} do is not known",
        )
        return {} if found is None else kept_templates(request.stored, parsed(CABEvidence, found))

    async def waiting(
        self,
        namespace: str,
        *,
        correlation_id: str = "",
        labels: str = "",
        own: bool = False,
    ) -> Waiting:
        """What waits, in a namespace or in all if that is empty."""
        fields = WAITING_REQUESTS
        if correlation_id:
            fields += f",spec.correlationID={correlation_id}"
        notes = Notes()
        found, asked, viewer = await gathered(
            self.api.all(REQUESTS, namespace, fields=fields, labels=labels),
            self.api.all(EXCEPTIONS, namespace, fields=LIVE_EXCEPTIONS),
            self.api.who_am_i(),
        )
        requests = await _listed(RequestListed, CABRequest, found, notes)
        exceptions = await _listed(ExceptionListed, CABException, asked, notes)
        del found, asked  # three times what is left of them
        if correlation_id or labels:
            exceptions = for_requests(exceptions, requests)
        # Of thousands it takes a good part of a second.
        rows = await asyncio.to_thread(
            queue, requests, exceptions, self.clock(), viewer, self.machines
        )
        return Waiting(
            rows=of_submitter(rows) if own else rows,
            notes=notes.texts,
            under_policy=frozenset(r.metadata.namespace for r in requests if r.spec.terms),
            overrides={
                (each.metadata.namespace, each.metadata.name): standing_of(each).overrides
                for each in requests
                if any(entry.overrides for entry in each.status.decisions)
            },
        )

    async def intent(self, which: Id) -> DeploymentIntent:
        """An intent as it is now."""
        found = await self.api.get(INTENTS, which.namespace, which.name)
        return parsed(DeploymentIntent, found)

    async def viewer(self) -> User:
        """Who calls."""
        return await self.api.who_am_i()


@dataclass(frozen=True)
class _Intent:
    """The live intent of a request, and whether it is known that this is it, or that there is
    none."""

    found: DeploymentIntent | None
    known: bool


def parsed(model: type[M], item: Object) -> M:
    """An object. Raises `Problem` for one that this version cannot read."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        raise Problem(422, "Unreadable", _unreadable(model, item, error)) from None


def parsed_written(model: type[M], written: Written, *, dry_run: bool) -> M:
    """What was stored. Raises `Problem`, which is no invitation to send it again."""
    try:
        return parsed(model, written.object)
    except Problem:
        if dry_run:
            raise
        raise unknown_outcome() from None


def readable(model: type[M], items: Iterable[Object], notes: Notes) -> list[M]:
    """Objects of a kind, without those that cannot be read, which are noted."""
    found = []
    for item in items:
        try:
            found.append(model.model_validate(item))
        except ValidationError as error:
            notes.texts.append(_unreadable(model, item, error))
    return found


async def all_readable(model: type[M], items: Sequence[Object], notes: Notes) -> list[M]:
    """As `readable`, of a list of any length, while others have their turn."""
    found = []
    for start in range(0, len(items), AT_ONCE):
        found += readable(model, items[start : start + AT_ONCE], notes)
        await asyncio.sleep(0)
    return found


async def _listed(
    kind: type[Any], model: type[Model], items: Sequence[Object], notes: Notes
) -> list[Any]:
    """Objects as the queue reads them, of a list of any length, while others have their turn; what
    they are not taken for is left to the model, with what it says to it."""
    found: list[Any] = []
    for start in range(0, len(items), AT_ONCE):
        for item in items[start : start + AT_ONCE]:
            try:
                found.append(convert(item, kind))
            except ValueError:
                found += readable(model, [item], notes)
        await asyncio.sleep(0)
    return found


async def all_parsed(model: type[M], items: Sequence[Object]) -> list[M]:
    """A list of any length, while others have their turn. Raises `Problem` for an object that this
    version cannot read."""
    found = []
    for start in range(0, len(items), AT_ONCE):
        found += [parsed(model, item) for item in items[start : start + AT_ONCE]]
        await asyncio.sleep(0)
    return found


def _unreadable(model: type[Model], item: Object, error: ValidationError) -> str:
    first = first_problem(error)
    name = inert(str((item.get("metadata") or {}).get("name")))
    return (
        f"{model.__name__} {name} cannot be read by this version of cabgate: "
        f"{inert(first.path)}: {first.message}"
    )
