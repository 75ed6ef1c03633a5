# SPDX-License-Identifier: Apache-2.0
"""Entries of `status.decisions`, as the API server stores them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339


def entry(
    kind: str, username: str, verdict: str, at: datetime | str, **more: Any
) -> dict[str, Any]:
    """What an author of a kind, Person or System, decided at a time; it has no number yet."""
    return {
        "author": {"type": kind, "username": username},
        "at": at if isinstance(at, str) else rfc3339(at),
        "verdict": verdict,
        **more,
    }


def numbered(decisions: Iterable[dict[str, Any]], digest: str) -> list[dict[str, Any]]:
    """Entries about one content, numbered in the order given; what an entry says itself stays."""
    return [
        {"sequence": number, "evidenceDigest": digest, **decision}
        for number, decision in enumerate(decisions, 1)
    ]
