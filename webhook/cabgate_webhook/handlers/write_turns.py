# SPDX-License-Identifier: Apache-2.0
"""Turns of the writes of intents and exceptions: whoever sends many at once, in dry runs too, which
no budget counts, keeps nobody of another namespace waiting."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_webhook.client.turns import BoundedTurns, TooManyWaitError

WRITES_AT_ONCE = 4
"""Writes of intents and exceptions of one namespace that are looked at at a time. Each reads all
requests for its workloads, or all exceptions."""

WAIT_SECONDS = 3.0
"""How long such a write waits for its turn: of the 4 s of an admission request the rest is for its
reads."""

MAX_WAITING = 64
"""How many of one namespace wait at a time: more are refused at once. Helm sends all intents of a
chart at the same moment."""


class WriteTurns:
    """Turns of such writes. One for a process."""

    def __init__(self, seconds: float = WAIT_SECONDS) -> None:
        self._turns = BoundedTurns(WRITES_AT_ONCE, MAX_WAITING, seconds)

    def __len__(self) -> int:
        """Namespaces in which something is being written."""
        return len(self._turns)

    @asynccontextmanager
    async def taken(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the end of the context. Raises `Refusal` where there
        are too many before this one."""
        try:
            async with self._turns.taken(namespace):
                yield
        except TooManyWaitError:
            raise _too_many() from None


def _too_many() -> Refusal:
    return Refusal(
        RefusalReason.BUDGET_USED_UP,
        "too many intents and exceptions of this namespace are being written at this moment, dry "
        f"runs among them: cabgate looks at {WRITES_AT_ONCE} at a time. Nothing is said of this "
        "one: try again in a moment. Rollouts, reviews and revocations do not wait for these",
    )
