# SPDX-License-Identifier: Apache-2.0
"""Room for another request, as budgets have it: who opens one waits for others of the same
workload, and where there was no room a moment ago nobody asks again.

What is refused costs as much as what is opened: the webhook reads all requests for its workloads.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from cabgate.rollout.targets import Workload

ASKED_AGAIN = timedelta(seconds=10)
"""How long after a refusal a workload's budget counts as used up, whatever else is declared."""

LOOKED_FOR = timedelta(minutes=1)
"""How long after one look for what may go from a namespace the next one follows, at least."""

LISTS_AT_ONCE = 4
"""Lists of one namespace's requests that are under way at a time for looks that need several: those
of twenty workloads at once would take the API server from others."""

_Place = tuple[str, Workload]


class Room:
    """What the operator knows of the budgets of namespaces and their workloads."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[_Place, asyncio.Lock] = WeakValueDictionary()
        self._lists: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._used_up: dict[_Place, datetime] = {}
        self._looked: dict[str, datetime] = {}

    def turn_to_list(self, namespace: str) -> asyncio.Semaphore:
        """A place for one of several lists of a namespace's requests; to be entered."""
        return self._lists.setdefault(namespace, asyncio.Semaphore(LISTS_AT_ONCE))

    @asynccontextmanager
    async def turn_to_open(
        self, namespace: str, workloads: Iterable[Workload]
    ) -> AsyncIterator[None]:
        """Wait until no other request for one of some workloads is being opened: what a budget has
        left is asked by the webhook of what is stored, so that two at a time could both have it."""
        wanted = [(namespace, workload) for workload in sorted(set(workloads))]
        locks = [self._turns.setdefault(each, asyncio.Lock()) for each in wanted]
        async with AsyncExitStack() as held:
            for lock in locks:  # in one order for all, or two would wait for each other
                await held.enter_async_context(lock)
            yield

    def note_used_up(self, namespace: str, workloads: Iterable[Workload], now: datetime) -> None:
        """Note that a request for some workloads was refused for a budget."""
        self._used_up = {k: until for k, until in self._used_up.items() if until > now}
        self._used_up |= {(namespace, each): now + ASKED_AGAIN for each in workloads}

    def asked_again_at(
        self, namespace: str, workloads: Iterable[Workload], now: datetime
    ) -> datetime | None:
        """When a request for some workloads may be opened; None: now."""
        moments = [self._used_up.get((namespace, each), now) for each in workloads]
        latest = max(moments, default=now)
        return latest if latest > now else None

    def look_at(self, namespace: str, now: datetime) -> datetime:
        """When to look for what may go from a namespace: now, or a while after the look before."""
        self._looked = {k: at for k, at in self._looked.items() if at + LOOKED_FOR > now}
        if namespace in self._looked:
            return self._looked[namespace] + LOOKED_FOR
        self._looked[namespace] = now
        return now
