# SPDX-License-Identifier: Apache-2.0
"""What watches have brought, where it serves as well as a read.

Nothing that is remembered makes anything legal: each write names the version that it rests on, or
is recomputed by the webhook from what it reads itself. What turns out to be wrong costs a refusal
or a conflict, and whatever failed is looked at again with everything read (`doubt`).
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cabgate_kube.resources import Object, Resource
from cabgate_operator.work.keys import Key

T = TypeVar("T")

FRESH_SECONDS = 5.0
"""How long an intent that a watch brought is taken for what is stored."""

MAX_BODIES = 256
"""Intents that are kept for their look; the others are read."""


@dataclass(frozen=True)
class ToList:
    """Which lists of requests a look at an intent needs."""

    own: bool = True
    """The requests made from the intent: some may name none of its workloads."""
    naming: bool = True
    """The requests that name one of its workloads: there may be some."""


class RequestIndex(Protocol):
    """Which requests there are."""

    def to_list(self, key: Key, labels: Collection[str]) -> ToList:
        """Which lists a look at an intent needs, whose workloads have these labels."""

    def created(self, body: Object) -> None:
        """The operator has created a request, which no watch may have brought yet."""


class ListAll:
    """Knows of no request."""

    def to_list(self, key: Key, labels: Collection[str]) -> ToList:
        """All of them."""
        return ToList()

    def created(self, body: Object) -> None:
        """Nothing to note."""


class Remembered:
    """What was read or brought, until a watch tells otherwise. Not thread-safe: everything runs in
    one event loop. `monotonic` counts seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._watched: set[str] = set()
        self._changes: Counter[str] = Counter()
        self._answers: dict[str, dict[str, Any]] = {}
        self._bodies: OrderedDict[Key, tuple[Object, float]] = OrderedDict()
        self._written: OrderedDict[Key, int] = OrderedDict()
        self._doubted: set[Key] = set()

    def began(self, plural: str) -> None:
        """A resource is watched from now on; what was read of it before counts no longer."""
        self._watched.add(plural)
        self._drop(plural)

    def is_watched(self, resource: Resource) -> bool:
        """Whether changes of a resource are told."""
        return resource.plural in self._watched

    def brought(self, resource: Resource, name: str) -> None:
        """A watch brings a change of an object."""
        self._changes[resource.plural] += 1
        answers = self._answers.get(resource.plural, {})
        answers.pop("", None)
        answers.pop(name, None)

    def lost(self, *plurals: str) -> None:
        """The watches of some resources may have missed something: nothing of these is known any
        more, until they begin again."""
        self._watched.difference_update(plurals)
        self._drop(*plurals)
        self._bodies.clear()
        self._written.clear()

    async def still(self, resource: Resource, name: str, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answers, or has answered since the last change of a resource that is watched.
        `name` is of the object that it reads, empty for a list of all."""
        plural = resource.plural
        answers = self._answers.setdefault(plural, {})
        if name in answers:
            known: T = answers[name]
            return known
        before = self._changes[plural]
        found = await read()
        # A change that came meanwhile may or may not be in it.
        if found is not None and self.is_watched(resource) and self._changes[plural] == before:
            answers[name] = found
        return found

    def keep(self, key: Key, body: Object | None) -> None:
        """Keep an intent as a watch brought it, for the look that follows; None: it is gone."""
        known = _version(self._bodies[key][0]) if key in self._bodies else 0
        if body is not None and _version(body) <= max(self._written.get(key, 0), known):
            return  # from before what was written since, or of an intent whose name another has now
        self._bodies.pop(key, None)
        if body is None:
            return
        self._bodies[key] = body, self._monotonic()
        if len(self._bodies) > MAX_BODIES:
            self._bodies.popitem(last=False)

    def take(self, key: Key) -> Object | None:
        """The intent of a key, if a watch brought it a moment ago; once."""
        body, at = self._bodies.pop(key, (None, 0.0))
        fresh = body is not None and self._monotonic() - at <= FRESH_SECONDS
        return body if fresh and not self.is_doubted(key) else None

    def wrote(self, key: Key, stored: Object) -> None:
        """An intent was written: what was brought before is not what is stored."""
        self._bodies.pop(key, None)
        self._written.pop(key, None)
        self._written[key] = _version(stored)
        if len(self._written) > MAX_BODIES:
            self._written.popitem(last=False)

    def doubt(self, key: Key) -> None:
        """A look failed: until one does not, everything is read for it."""
        self._doubted.add(key)
        self._drop(*self._answers)

    def trust(self, key: Key) -> None:
        """A look did not fail."""
        self._doubted.discard(key)

    def is_doubted(self, key: Key) -> bool:
        """Whether the last look failed."""
        return key in self._doubted

    def _drop(self, *plurals: str) -> None:
        for plural in plurals:
            self._changes[plural] += 1
            self._answers.get(plural, {}).clear()


def _version(body: Object) -> int:
    """The version of an object; 0 if it has none that can be compared."""
    version = str((body.get("metadata") or {}).get("resourceVersion", ""))
    return int(version) if version.isdigit() else 0
