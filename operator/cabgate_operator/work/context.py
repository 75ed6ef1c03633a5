# SPDX-License-Identifier: Apache-2.0
"""What every reconciler works with."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from cabgate.api.base import Model, problems
from cabgate.lifecycle.limits.flapping import HOUR
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.installation import InstallationSettings
from cabgate_kube.client import ApiServer
from cabgate_kube.errors import AlreadyExistsError, ApiError
from cabgate_kube.k8s_events import News, Reference, event_object
from cabgate_kube.process.logs import PlainError, fields
from cabgate_kube.resources import EVENTS, NAMESPACES, Object, Resource
from cabgate_operator.plans.requests import System
from cabgate_operator.work.keys import Key
from cabgate_operator.work.metrics import Metrics
from cabgate_operator.work.own_writes import OwnWrites
from cabgate_operator.work.queue import WorkQueue
from cabgate_operator.work.remembered import ListAll, Remembered, RequestIndex
from cabgate_operator.work.reports import note_act
from cabgate_operator.work.room import Room

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)


class UnreadableError(PlainError, ValueError):
    """What was read makes no sense; the text names fields and no content."""


def parsed(model: type[M], raw: Object) -> M:
    """An object of the API server as a model.

    Raises `UnreadableError`.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{each.path}: {each.code}" for each in problems(error)[:5])
        raise UnreadableError(f"cannot read the {model.__name__}: {wrong}") from None


async def listed(api: ApiServer, model: type[M], resource: Resource, namespace: str) -> list[M]:
    """The objects of a namespace as models, without annotations and managers of fields, which can
    be most of them. There may be any number, so a page at a time, and whatever else the operator
    does, the Lease to begin with, goes on in between."""
    found: list[M] = []
    async for page in api.pages(resource, namespace):
        for raw in page.items:
            metadata = {k: v for k, v in raw["metadata"].items() if k not in _LEFT_OUT}
            found.append(parsed(model, {**raw, "metadata": metadata}))
            await asyncio.sleep(0)
    return found


_LEFT_OUT = frozenset({"annotations", "managedFields"})


@dataclass
class Context:
    """The API server, the queue, the time, and who the operator is."""

    api: ApiServer
    queue: WorkQueue
    clock: Callable[[], datetime]
    username: str
    installation: InstallationSettings = field(default_factory=InstallationSettings)
    """How the installation is set."""
    machines: Machines = SERVICE_ACCOUNTS
    """Which users are machines."""
    labels: Sequence[str] = ()
    """Keys of the labels that requests repeat of their intent's."""
    metrics: Metrics = field(default_factory=Metrics)
    without_model: set[Key] = field(default_factory=set)
    """Intents for whose namespace no valid risk model was found."""

    absent: dict[Key, datetime] = field(default_factory=dict)
    """Intents that are gone, since when, until their requests are superseded."""
    opened: dict[Key, list[datetime]] = field(default_factory=dict)
    """When requests were opened for intents, of the last hour; whose came last stands last."""

    room: Room = field(default_factory=Room)
    """Room for another request."""

    own_writes: OwnWrites = field(default_factory=OwnWrites)
    """What was written by reconciles that went on to take account of it."""

    remembered: Remembered = field(default_factory=Remembered)
    """What need not be read, since a watch would have brought it."""

    requests: RequestIndex = field(default_factory=ListAll)
    """Which requests there are."""

    def system(self) -> System:
        """The operator as an author, now."""
        return System(self.username, self.clock())

    def note_opened(self, key: Key) -> None:
        """Note that a request was opened for an intent now."""
        now = self.clock()
        recent = [at for at in self.opened.pop(key, ()) if now - at < HOUR]
        self.opened[key] = [*recent, now]
        while now - self.opened[oldest := next(iter(self.opened))][-1] >= HOUR:
            del self.opened[oldest]

    async def namespace(self, name: str) -> Object | None:
        """A namespace, as it was read since its last change, or now if it was going then; None if
        there is none."""

        async def read() -> Object | None:
            return await self.api.get(NAMESPACES, "", name)

        found = await self.remembered.still(NAMESPACES, name, read)
        if found is not None and found["metadata"].get("deletionTimestamp"):
            return await read()  # it may be gone, and made anew
        return found

    async def tell(self, about: Reference, news: News) -> None:
        """Write an Event, unless it was written before; that it fails stops nothing."""
        body = event_object(about, news, self.clock())
        try:
            await self.api.create(EVENTS, about.namespace, body)
        except AlreadyExistsError:
            return
        except ApiError as error:
            where = fields(namespace=about.namespace, object=about.name, reason=error.reason)
            log.warning(
                *("no Event %s for %s/%s: %s", news.reason, about.namespace, about.name, error),
                extra=where,
            )
        else:
            note_act(f"event {about.name}", news.reason)
