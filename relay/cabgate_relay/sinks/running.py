# SPDX-License-Identifier: Apache-2.0
"""All sinks of a relay: each follows the ledger for itself, so that none waits for another, and the
store for none."""

import asyncio
from collections.abc import Sequence
from functools import partial

from cabgate_kube.client import ApiServer
from cabgate_kube.clock import Clock
from cabgate_relay.following import Follower
from cabgate_relay.sinks.configuration import HttpsSink, StdoutSink
from cabgate_relay.sinks.cursors import Cursors
from cabgate_relay.sinks.delivery import Delivery
from cabgate_relay.sinks.https import HttpsReceiver
from cabgate_relay.sinks.metrics import SinkMetrics
from cabgate_relay.sinks.receiver import Receiver
from cabgate_relay.sinks.stdout import StdoutReceiver

Configured = HttpsSink | StdoutSink


class Sinks:
    """The sinks of one replica. `longest_pause` is the longest time between two attempts, in
    seconds."""

    def __init__(
        self,
        sinks: Sequence[Configured],
        *,
        cluster: str,
        sweep_seconds: float,
        metrics: SinkMetrics,
        clock: Clock,
        longest_pause: float,
    ) -> None:
        self._sinks = sinks
        self._cluster = cluster
        self._sweep_seconds = sweep_seconds
        self._metrics = metrics
        self._clock = clock
        self._longest = longest_pause
        self._followers: dict[str, Follower] = {}
        for sink in sinks:
            metrics.events.labels(sink.name)
            metrics.lag.labels(sink.name).set_function(partial(self._lag, sink.name))
            metrics.stuck.labels(sink.name).set_function(partial(self._stuck, sink.name))

    @property
    def configured(self) -> bool:
        """Whether there is any."""
        return bool(self._sinks)

    def _lag(self, sink: str) -> float:
        follower = self._followers.get(sink)
        return 0.0 if follower is None else follower.lag

    def _stuck(self, sink: str) -> float:
        follower = self._followers.get(sink)
        return 0.0 if follower is None else float(len(follower.stuck))

    async def run(self, api: ApiServer) -> None:
        """Deliver to all of them, until cancelled."""
        cursors = Cursors(api, [sink.name for sink in self._sinks])
        receivers = [self._receiver(sink) for sink in self._sinks]
        try:
            for sink, receiver in zip(self._sinks, receivers, strict=True):
                delivery = self._delivery(sink, receiver, cursors)
                # Before the positions are read: that they cannot be is a lag too.
                self._followers[sink.name] = Follower(
                    api,
                    delivery.take,
                    self._sweep_seconds,
                    f"sink {sink.name}",
                    sweeper=delivery,
                    longest_pause=self._longest,
                )
            await cursors.settle()
            async with asyncio.TaskGroup() as group:
                for follower in self._followers.values():
                    group.create_task(follower.run())
        finally:
            self._followers = {}
            for receiver in receivers:
                await receiver.close()

    def _receiver(self, sink: Configured) -> Receiver:
        return HttpsReceiver(sink, self._clock) if isinstance(sink, HttpsSink) else StdoutReceiver()

    def _delivery(self, sink: Configured, receiver: Receiver, cursors: Cursors) -> Delivery:
        return Delivery(
            sink.name,
            sink.format,
            receiver,
            cluster=self._cluster,
            cursors=cursors,
            metrics=self._metrics,
            longest_pause=self._longest,
        )
