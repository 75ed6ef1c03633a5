# SPDX-License-Identifier: Apache-2.0
"""What somebody has decided."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.api.types import AuthorType
from cabgate.review.identity import User
from cabgate.text.inert import inert


@dataclass(frozen=True, slots=True)
class OwnDecision:
    """An entry of the decisions of a request or an exception."""

    at: str
    namespace: str
    subject: str
    """Name of the request; of an exception `cabex/NAME`."""
    verdict: str
    rationale: str


def own_decisions(
    requests: Iterable[CABRequest],
    exceptions: Iterable[CABException],
    viewer: User,
    since: datetime,
) -> list[OwnDecision]:
    """What a person has decided from a moment on, the latest first."""
    subjects: list[tuple[str, CABRequest | CABException]] = [("", each) for each in requests]
    subjects += [("cabex/", each) for each in exceptions]
    found = [
        OwnDecision(
            at=rfc3339(entry.at),
            namespace=inert(subject.metadata.namespace),
            subject=prefix + inert(subject.metadata.name),
            verdict=entry.verdict,
            rationale=inert(entry.rationale),
        )
        for prefix, subject in subjects
        for entry in subject.status.decisions
        if entry.author.type is AuthorType.PERSON
        and entry.author.username == viewer.username
        and entry.at >= since
    ]
    return sorted(found, key=lambda each: (each.at, each.namespace, each.subject), reverse=True)
