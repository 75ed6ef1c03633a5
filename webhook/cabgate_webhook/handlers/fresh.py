# SPDX-License-Identifier: Apache-2.0
"""Waiting for the operator where it is about to judge the intent of a rollout, so that an intent
and its workload can be applied in one go. Why, and at what cost: decision 38."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cabgate import GROUP, VERSION
from cabgate.api.intent import PLURAL
from cabgate.gate.unjudged import (
    DENIED_FOR_WANT_OF_A_REQUEST,
    Unopened,
    WrittenIntent,
    intent_to_await,
    unopened,
)
from cabgate.gate.verdict import Reason
from cabgate.rollout.modes import Mode, effective_mode
from cabgate.rollout.rollout import Rollout
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.client.stored import decode_intent, decode_intents
from cabgate_webhook.metrics import Metrics, Wait

WAIT_SECONDS = 1.0
"""Longest wait for one admission request, the list by which the intent is found included."""

ENDS_SECONDS = 2.5
"""When the wait ends at the latest, from the beginning of an admission request: what is left of
its 4 s is for reading again."""

POLL_SECONDS = 0.1
"""Between two looks at the intent."""

MAX_LISTED = 250
"""Intents of a namespace, by name, among which the one of a rollout is looked for."""

MAX_OF_NAMESPACE = 4
"""Admission requests of one namespace that may wait at a time."""

MAX_WAITING = 32
"""Admission requests that may wait at a time, in one process."""


class Places:
    """Who waits, counted: a namespace full of intents that nobody judges takes no more of them."""

    def __init__(self, of_namespace: int = MAX_OF_NAMESPACE, in_all: int = MAX_WAITING) -> None:
        self._of_namespace = of_namespace
        self._in_all = in_all
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def taken(self, namespace: str) -> Iterator[bool]:
        """Whether there was a place left; it is taken until the end of the context."""
        free = (
            self._waiting[namespace] < self._of_namespace and self._waiting.total() < self._in_all
        )
        self._waiting[namespace] += free
        try:
            yield free
        finally:
            self._waiting[namespace] -= free
            if not self._waiting[namespace]:
                del self._waiting[namespace]


@dataclass(frozen=True)
class Patience:
    """How long an admission request waits, and by which clock."""

    seconds: float = WAIT_SECONDS
    """Longest wait."""
    ends: float = ENDS_SECONDS
    """When it ends, from the beginning of the admission request."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """What waits from one look to the next."""


@dataclass(frozen=True)
class Declared:
    """What the intents of its namespace say to a denied rollout."""

    again: datetime | None = None
    """The time at which to decide anew, by what is read anew: one was judged by now. None: the
    denial stands."""
    unopened: Unopened | None = None
    """One that no request was opened for, which says why."""


class FreshIntents:
    """Waits for intents that were just written. One for a process: it counts who waits."""

    def __init__(
        self,
        api: LiveReads,
        clock: Callable[[], datetime],
        metrics: Metrics,
        mode: Mode = Mode.ENFORCE,
        places: Places | None = None,
        patience: Patience = Patience(),
    ) -> None:
        self._api = api
        self._clock = clock
        self._metrics = metrics
        self._mode = mode
        self._places = places or Places()
        self._patience = patience

    async def judged(
        self, rollout: Rollout, reason: Reason, labels: Mapping[str, str], begun: float
    ) -> Declared:
        """Wait until the intent of a denied rollout is judged, if it was just written and is judged
        in time; and what the intents say.

        `labels` are those of the namespace, `begun` is when the admission request came, by
        the loop's clock.
        """
        nothing = Declared()
        if reason not in DENIED_FOR_WANT_OF_A_REQUEST:
            return nothing
        if effective_mode(self._mode, labels) is not Mode.ENFORCE:
            return nothing  # it is let through anyway
        ends = min(
            asyncio.get_running_loop().time() + self._patience.seconds, begun + self._patience.ends
        )
        held = None
        try:
            async with asyncio.timeout_at(ends):
                intents = await self._listed(rollout.namespace)
                held = unopened(rollout, reason, intents)
                found = intent_to_await(rollout, reason, intents, self._clock())
                if found is None or not await self._is_judged(rollout.namespace, found):
                    return Declared(unopened=held)
        except (LookupFailed, TimeoutError, ValueError, RecursionError):
            # The denial is not in doubt, only whether it would end.
            return Declared(unopened=held)
        return Declared(self._clock(), held)

    async def _listed(self, namespace: str) -> Sequence[WrittenIntent]:
        data = await self._api.read_small(_path(namespace), {"limit": str(MAX_LISTED)})
        return [] if data is None else decode_intents(data)

    async def _is_judged(self, namespace: str, intent: WrittenIntent) -> bool:
        """Whether an intent is judged, at once or after a while."""
        if intent.is_judged:
            return True
        with self._places.taken(namespace) as taken:
            if not taken:
                self._metrics.waited(Wait.NO_PLACE)
                return False
            judged = False
            try:
                judged = await self._becomes_judged(namespace, intent)
            finally:
                self._metrics.waited(Wait.JUDGED if judged else Wait.NOT_JUDGED)
            return judged

    async def _becomes_judged(self, namespace: str, intent: WrittenIntent) -> bool:
        path = f"{_path(namespace)}/{intent.metadata.name}"
        while True:
            await self._patience.sleep(POLL_SECONDS)
            data = await self._api.read_small(path)
            if data is None:
                return False  # it is gone
            # Not the generation that it has by now: who goes on writing it waits for nothing more.
            if decode_intent(data).status.observed_generation >= intent.metadata.generation:
                return True


def _path(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"
