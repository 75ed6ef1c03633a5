# SPDX-License-Identifier: Apache-2.0
"""What a sink asks of where it sends to, and what that answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What became of a batch."""

    ACCEPTED = "accepted"
    WAIT = "wait"
    """It may be taken later: nobody answered, or too many ask."""
    REFUSED = "refused"
    """The same batch would be refused again."""


@dataclass(frozen=True)
class Answer:
    """What a receiver answered to a batch."""

    outcome: Outcome
    code: int = 0
    """HTTP status; 0 where there was none."""
    reason: str = ""
    """Why it was not accepted: for logs, so without anything that the receiver or its URL says."""
    retry_after: float = 0.0
    """Seconds before which the receiver does not want to be asked again."""


ACCEPTED = Answer(Outcome.ACCEPTED)


class Receiver(Protocol):
    """Where the events of one sink go."""

    async def send(self, lines: Sequence[bytes]) -> Answer:
        """Send a batch of encoded events; returns when it is known what became of it, and raises
        nothing."""

    async def close(self) -> None:
        """Let go of what is open."""
