# SPDX-License-Identifier: Apache-2.0
"""What a controller is: what it watches, to which keys events lead, how one is reconciled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cabgate_kube.resources import Object, Resource
from cabgate_operator.work.context import Context
from cabgate_operator.work.keys import Key, Subject


@dataclass(frozen=True, slots=True)
class Watch:
    """A resource that a controller watches, everywhere."""

    resource: Resource
    swept: bool = True
    """Whether a sweep lists it as well, for what the watch missed."""
    metadata_only: bool = False
    """Whether metadata is all that is asked for, and only what comes to keys is handed on: there
    may be any number of these objects, of any size."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """An object as a watch or a sweep brought it."""

    resource: Resource
    body: Object
    at: datetime
    """When it was brought."""
    deleted: bool = False
    swept: bool = False
    """Whether a sweep brought it."""


class Controller(Protocol):
    """One kind of work, in a class that inherits from this one: what it has nothing to add to stays
    as it is here. All is called in one event loop, but for `keys`.

    The manager calls `reconcile` for a key once at a time, again with backoff after an error, and
    again when `keys` or `saw` name it.
    """

    subjects: Sequence[Subject]
    """The subjects of the keys that it reconciles; no two controllers share one."""

    @property
    def watches(self) -> Sequence[Watch]:
        """What it watches. Other resources than before a sweep begin the watches anew."""
        return ()

    def keys(self, resource: Resource, body: Object) -> Sequence[Key]:
        """What to reconcile when an object of a resource that it watches changed or went, by what
        stands in the object alone. Not so if the reconcile of the key itself wrote the change.
        Called in any thread."""
        return ()

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Take note of an object of a resource that it watches; what to reconcile besides, going by
        what it has noted so far."""
        return ()

    def forget(self) -> None:
        """Forget what may be wrong once the cluster has gone back in time."""
        return

    async def start(self, context: Context) -> None:
        """Begin to work, before anything is watched."""
        return

    async def begin_sweep(self, context: Context) -> None:
        """A sweep begins to list what is watched; after a sweep that failed, too."""
        return

    def end_sweep(self) -> Sequence[Key]:
        """A sweep has brought all that there is; what to reconcile now."""
        return ()

    async def reconcile(self, context: Context, key: Key) -> None:
        """Bring what a key names up to date; it may exist or not.

        Raises `ApiError`, and `ValueError` for what cannot be read; the key is tried again.
        """
        ...
