# SPDX-License-Identifier: Apache-2.0
"""Sends to each channel what it is due. Channels know nothing of one another: one that is down
holds up no other, and neither the event store nor the gate."""

import asyncio
import hashlib
import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cabgate.notifications.messages import message_of
from cabgate.notifications.notices import Event, Notice
from cabgate.notifications.planning import (
    WINDOW,
    Group,
    Memory,
    arrived,
    due,
    tried,
    unsent,
    visible,
)
from cabgate.notifications.refusals import NONE
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import Clock
from cabgate_kube.errors import ApiError
from cabgate_kube.process.logs import explained, fields
from cabgate_kube.process.tasks import together
from cabgate_relay.notifications.channels import Channel, Channels, Secrets
from cabgate_relay.notifications.metrics import NotificationMetrics
from cabgate_relay.notifications.remembering import Memories
from cabgate_relay.notifications.sending import Parcel, RefusedError, SendError, sender_of
from cabgate_relay.notifications.watching import State

log = logging.getLogger(__name__)

LONGEST_PAUSE = 600.0
"""Longest time before a channel that fails is tried again, unless it asks for more; in seconds."""

SEARCH = 14
"""How many refusals in a row lead from the longest message to the one notice that is refused, and
past it: only after these is an event tried less and less often."""


@dataclass(frozen=True)
class Pace:
    """How fast it goes."""

    window: timedelta = WINDOW
    """How long what happens is gathered."""
    tick: float = 2.0
    """Seconds between two looks at what there is to send."""
    first_pause: float = 30.0
    """Longest time before the second attempt, in seconds."""


@dataclass(frozen=True)
class Shared:
    """What all channels go by."""

    state: State
    memories: Memories
    secrets: Secrets
    metrics: NotificationMetrics
    clock: Clock
    pace: Pace
    cluster: str
    portal: str


class Notifier:
    """Sends to all channels of a file, which is in `folder` with its secrets."""

    def __init__(
        self,
        api: ApiServer,
        channels: Channels,
        folder: Path,
        cluster: str,
        metrics: NotificationMetrics,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._metrics = metrics
        self._state = State(api, clock, pace.tick)
        names = frozenset(each.name for each in channels.channels)
        shared = Shared(
            state=self._state,
            memories=Memories(api, names, clock),
            secrets=Secrets(folder),
            metrics=metrics,
            clock=clock,
            pace=pace,
            cluster=cluster,
            portal=channels.portal,
        )
        self._lines = [Line(each, shared) for each in channels.channels]

    async def run(self) -> None:
        """Send, until cancelled."""
        parts = {line.channel.name: line.run() for line in self._lines}
        try:
            await together({**parts, "the state": self._state.run()})
        finally:
            for line in self._lines:
                self._metrics.pending.labels(line.channel.name).set(0)
                self._metrics.failing.labels(line.channel.name).set(0)
                self._metrics.refused.labels(line.channel.name).set(0)


class Line:
    """One channel, and what it was sent."""

    def __init__(self, channel: Channel, shared: Shared) -> None:
        self.channel = channel
        self._shared = shared
        self._state, self._memories = shared.state, shared.memories
        self._metrics, self._clock, self._pace = shared.metrics, shared.clock, shared.pace
        self._sender = sender_of(channel, shared.secrets)
        self._route = channel.route()
        self._memory: Memory | None = None
        self._unsaved = False
        self._attempts = 0
        self._quiet_until = 0.0
        self._refusals = NONE
        self._refused_until: dict[tuple[Event, bool], float] = {}
        self.trouble = ""
        """Why nothing can be sent; empty if it can."""

    async def run(self) -> None:
        """Send what there is to send, until cancelled."""
        while True:
            try:
                await self._turn()
                await self._sender.send_again()
            except ApiError as error:
                self._failed(explained(error), "NotReached")
            except SendError as error:
                self._metrics.failed.labels(self.channel.name).inc()
                self._put_off(error.retry_after)
                self._failed(str(error), "NotSent")
            except Exception as error:  # noqa: BLE001 - one channel must not end the others
                self._put_off(0.0)
                self._failed(explained(error), "UnexpectedError")
            await asyncio.sleep(self._pace.tick)

    async def _turn(self) -> None:
        if self._memory is None:
            stored = await self._memories.load(self.channel.name)
            self._memory = stored.at_most(self._clock())
            self._unsaved = self._memory != stored
        if self._unsaved:
            # Before anything else is sent: so one message at most is sent again after a kill.
            await self._save(self._memory)
        if self._state.trouble:
            self._failed(self._state.trouble, "NotReached")
            return
        self._memory = self._memory.at_most(self._clock())
        while self._state.known:
            current = visible(self._state.notices(self._clock()), self._route)
            self._look_at(unsent(current, self._route, self._memory))
            moment = time.monotonic()
            if moment < self._quiet_until:
                return
            found = [
                group
                for group in self._due(current, self._memory)
                if moment >= self._refused_until.get(self._turn_of(group), 0.0)
            ]
            if not found:
                if not self._attempts:
                    self._went_well()
                return
            await self._send(found[0], current, self._memory)

    def _look_at(self, pending: list[Notice]) -> None:
        self._refusals, name = self._refusals.still(pending), self.channel.name
        self._metrics.pending.labels(name).set(len(pending))
        self._metrics.refused.labels(name).set(len(self._refusals.stuck))

    def _due(self, current: list[Notice], memory: Memory) -> list[Group]:
        now = self._clock()
        room = self._sender.room(self._shared.portal, now)
        return due(
            *(current, self._route, memory, now, room),
            *(self._pace.window, self._refusals),
        )

    async def _send(self, group: Group, current: list[Notice], memory: Memory) -> None:
        now, name = self._clock(), self.channel.name
        self._memory = tried(memory, group, now)
        cluster, portal = self._shared.cluster, self._shared.portal
        message = message_of(group, cluster, portal, now)
        try:
            await self._sender.send(
                Parcel(_id_of(name, group, now), group, message, cluster, portal, now)
            )
        except RefusedError as error:
            self._refused(group, error)
            return
        self._refusals = self._refusals.taken(group.event, group.notices)
        self._memory = arrived(self._memory, group, current, now)
        self._unsaved = True
        self._metrics.sent.labels(name, group.event.value).inc()
        self._metrics.suppressed.labels(name).inc(group.later)
        self._attempts = 0
        self._went_well()
        await self._save(self._memory)

    def _refused(self, group: Group, error: RefusedError) -> None:
        """Leave an event alone for a while, and go on with the others."""
        event, stuck = group.event, self._refusals.is_stuck(group.notices)
        self._refusals = self._refusals.refused(event, group.notices)
        self._metrics.failed.labels(self.channel.name).inc()
        times = self._refusals.times(event, group.notices)
        pause = self._pause(times if stuck else max(1, times - SEARCH), error.retry_after)
        self._refused_until[self._turn_of(group)] = time.monotonic() + pause
        self._failed(f"{event}: {error}", "Refused")

    def _turn_of(self, group: Group) -> tuple[Event, bool]:
        """What waits for its turn together once it was refused."""
        return group.event, self._refusals.is_stuck(group.notices)

    async def _save(self, memory: Memory) -> None:
        self._memory = await self._memories.save(self.channel.name, memory)
        self._unsaved = False

    def _put_off(self, least: float) -> None:
        self._attempts += 1
        self._quiet_until = time.monotonic() + self._pause(self._attempts, least)

    def _pause(self, attempts: int, least: float) -> float:
        most = min(LONGEST_PAUSE, self._pace.first_pause * 2.0 ** min(attempts - 1, 16))
        return max(least, random.uniform(most / 2, most))  # noqa: S311 - no secret

    def _went_well(self) -> None:
        if self._refusals.row or self._refusals.stuck:
            return  # of something else, which is still to be sent
        self._metrics.failing.labels(self.channel.name).set(0)
        if self.trouble:
            log.info("channel %s: can be sent to", self.channel.name, extra=self._about("Reached"))
        self.trouble = ""

    def _failed(self, why: str, reason: str) -> None:
        self._metrics.failing.labels(self.channel.name).set(1)
        if why != self.trouble:
            log.warning(
                "channel %s: nothing can be sent, retrying: %s",
                *(self.channel.name, why),
                extra=self._about(reason),
            )
        self.trouble = why

    def _about(self, reason: str) -> dict[str, Any]:
        return fields(kind="channel", name=self.channel.name, reason=reason)


def _id_of(channel: str, group: Group, now: datetime) -> str:
    """Id of a message: that of another attempt at the same."""
    keys = [each.key for each in group.notices]
    if group.digest is not None:
        keys = [group.digest.every.latest(now).isoformat()]
    content = "\0".join((channel, group.event, *keys)).encode()
    return f"msg_{hashlib.sha256(content).hexdigest()[:32]}"
