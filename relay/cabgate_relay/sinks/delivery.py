# SPDX-License-Identifier: Apache-2.0
"""Delivers the records of a ledger to one receiver: each at least once, in the order of its chain,
and none skipped."""

import asyncio
import logging
import random
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cabgate.ledger.chain import Checkpoint, chain_of, placed
from cabgate.siem.formats import Format, encoded
from cabgate.siem.records import record_event
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import Object
from cabgate_relay.retrying import pause_before
from cabgate_relay.sinks.cursors import Cursors
from cabgate_relay.sinks.metrics import SinkMetrics
from cabgate_relay.sinks.receiver import Answer, Outcome, Receiver

log = logging.getLogger(__name__)

BATCH = 100
"""Most events in one batch."""

BATCH_BYTES = 512 * 1024
"""Size of a batch, uncompressed; one event may be longer."""

SPREAD = 0.1
"""What is added at most to the time that a receiver asks to wait, as a part of it."""


@dataclass(frozen=True)
class Item:
    """A record that is to be delivered."""

    chain: str
    sequence: int
    line: bytes
    """Its event, encoded."""


class Delivery:
    """The way to one sink. `longest_pause` is the longest time between two attempts of which the
    receiver does not say when it wants the next, in seconds."""

    def __init__(
        self,
        sink: str,
        form: Format,
        receiver: Receiver,
        *,
        cluster: str,
        cursors: Cursors,
        metrics: SinkMetrics,
        longest_pause: float,
    ) -> None:
        self._sink = sink
        self._form = form
        self._receiver = receiver
        self._cluster = cluster
        self._cursors = cursors
        self._metrics = metrics
        self._longest = longest_pause
        self._stopped: dict[str, int] = {}
        """The record that was refused, or the one behind the newest where the position is beyond
        that, of each chain that goes on after a restart alone."""
        self._newest: dict[str, int] = {}
        """The newest record of each chain that was seen since a sweep began."""
        self._began_with: Mapping[str, int] = {}
        """The positions when the sweep began: no later record is in what it reads."""
        self.trouble = ""
        """Why the receiver takes nothing; empty if it does."""

    async def take(
        self, raws: Sequence[Object], checkpoints: Mapping[str, Checkpoint] | None
    ) -> Mapping[str, int]:
        """Deliver those records that follow what was acknowledged, once the receiver takes them;
        the next position of each chain that cannot go on.

        `checkpoints` are up to where the ledger was pruned: a chain that is new to the sink is
        taken up behind that, or at the lowest record that is still there; None: they were not read.
        """
        chains: dict[str, dict[int, Object]] = defaultdict(dict)
        for raw in raws:
            chain = chain_of(raw)
            place = placed(raw, chain)
            if place is None or not chain:
                self._misnamed(raw)
            else:
                chains[chain][place.head.sequence] = raw
        for chain, own in chains.items():
            self._newest[chain] = max(*own, self._newest.get(chain, 0))
        missing: dict[str, int] = {}
        # Encoded batch by batch: a receiver that is down may keep a page for days.
        items = (
            item
            for chain, own in sorted(chains.items())
            for item in self._following(chain, own, (checkpoints or {}).get(chain), missing)
        )
        for batch in batches(items):
            await self._deliver(batch)
        return missing | {chain: at for chain, at in self._stopped.items() if chain in chains}

    def begin_sweep(self) -> None:
        """All records are taken from now on."""
        self._newest = {}
        self._began_with = dict(self._cursors.of(self._sink))

    def end_sweep(self, checkpoints: Mapping[str, Checkpoint]) -> Mapping[str, int]:
        """All records were taken: the next position of each chain whose position is beyond its
        newest record, of which nothing would be sent up to there."""
        beyond: dict[str, int] = {}
        for chain, position in self._began_with.items():
            checkpoint = checkpoints.get(chain)
            pruned = 0 if checkpoint is None else checkpoint.head.sequence
            newest = max(self._newest.get(chain, 0), pruned)
            if position > newest:
                beyond[chain] = newest + 1
                if chain not in self._stopped:
                    self._stop_beyond(chain, position, newest)
        return beyond

    def _following(
        self,
        chain: str,
        own: Mapping[int, Object],
        checkpoint: Checkpoint | None,
        missing: dict[str, int],
    ) -> Iterator[Item]:
        acknowledged = self._cursors.of(self._sink).get(chain)
        if acknowledged is None:
            # Whoever writes a checkpoint keeps no record from a new sink that is still there.
            pruned = 0 if checkpoint is None else checkpoint.head.sequence
            acknowledged = min(pruned, min(own) - 1)
        following = acknowledged + 1
        for sequence in sorted(own):
            if sequence < following or chain in self._stopped:
                continue
            if sequence > following:
                missing[chain] = following
                return
            event = record_event(self._cluster, own[sequence])
            if event is not None:
                yield Item(chain, sequence, encoded(event, self._form))
            following += 1

    async def _deliver(self, batch: Sequence[Item]) -> None:
        """Deliver a batch; in parts where the whole is refused, so that one chain alone stops."""
        parts = deque([batch])
        while parts:
            part = [item for item in parts.popleft() if item.chain not in self._stopped]
            if not part:
                continue
            answer = await self._answered(part)
            if answer.outcome is Outcome.ACCEPTED:
                self._metrics.events.labels(self._sink).inc(len(part))
                await self._cursors.advance(self._sink, {i.chain: i.sequence for i in part})
            elif len(part) == 1:
                self._stop(part[0], answer)
            else:
                parts.extendleft(reversed(divided(part)))

    async def _answered(self, part: Sequence[Item]) -> Answer:
        """What the receiver says to some events, once it says anything that holds."""
        attempt = 0
        while True:
            answer = await self._receiver.send([item.line for item in part])
            if answer.outcome is not Outcome.ACCEPTED:
                self._metrics.failures.labels(self._sink, str(answer.code)).inc()
            if answer.outcome is not Outcome.WAIT:
                self._went_well()
                return answer
            self._failed(answer.reason)
            attempt += 1
            await asyncio.sleep(pause_after(answer, attempt, self._longest))

    def _stop(self, item: Item, answer: Answer) -> None:
        self._stopped[item.chain] = item.sequence
        log.error(
            "sink %s: ledger %s: record %d was refused (%s): the chain stops until a restart",
            *(self._sink, item.chain, item.sequence, answer.reason),
            extra=fields(kind="sink", object=self._sink, namespace=item.chain, reason="Refused"),
        )

    def _stop_beyond(self, chain: str, position: int, newest: int) -> None:
        self._stopped[chain] = newest + 1
        log.error(
            "sink %s: ledger %s: position %d is beyond the newest record, %d: the chain stops "
            "until a restart",
            *(self._sink, chain, position, newest),
            extra=fields(kind="sink", object=self._sink, namespace=chain, reason="Beyond"),
        )

    def _misnamed(self, raw: Object) -> None:
        log.error(
            "sink %s: a CABDecision has no name of a chain and is not sent: %.80r",
            *(self._sink, (raw.get("metadata") or {}).get("name")),
            extra=fields(kind="sink", object=self._sink, reason="Misnamed"),
        )

    def _failed(self, why: str) -> None:
        if why != self.trouble:
            log.warning(
                "sink %s: cannot deliver, retrying: %s",
                *(self._sink, why),
                extra=fields(kind="sink", object=self._sink, reason="SinkFailed"),
            )
        self.trouble = why

    def _went_well(self) -> None:
        if self.trouble:
            log.info(
                "sink %s: events can be delivered again",
                self._sink,
                extra=fields(kind="sink", object=self._sink, reason="SinkReached"),
            )
        self.trouble = ""


def pause_after(answer: Answer, attempt: int, longest: float) -> float:
    """Seconds to wait after an answer, the first attempt is 1: not less than the receiver asks for,
    and spread, so that relays of many clusters do not all come back at once."""
    asked = answer.retry_after * random.uniform(1.0, 1.0 + SPREAD)  # noqa: S311 - no secret
    return max(asked, pause_before(attempt, longest))


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Items in order, as many at a time as a batch has."""
    batch: list[Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) == BATCH or size + len(item.line) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.line)
    if batch:
        yield batch


def divided(part: Sequence[Item]) -> list[list[Item]]:
    """A batch that was refused, in parts: chain by chain, and of one chain event by event."""
    by_chain: dict[str, list[Item]] = defaultdict(list)
    for item in part:
        by_chain[item.chain].append(item)
    return list(by_chain.values()) if len(by_chain) > 1 else [[item] for item in part]
