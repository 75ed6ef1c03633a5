# SPDX-License-Identifier: Apache-2.0
"""Which records of a ledger answer a question."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cabgate.api.decision import CABDecision, CABDecisionSpec
from cabgate.findings import unreadable

RawObject = Mapping[str, Any]


@dataclass(frozen=True)
class Query:
    """What records have to be: all that is given has to fit."""

    namespace: str | None = None
    kind: str | None = None
    subject: str | None = None
    """Name of the request or exception."""
    intent: str | None = None
    verdict: str | None = None
    author: str | None = None
    submitter: str | None = None
    """Somebody who submitted, was named as requester, or broke the glass."""
    image: str | None = None
    correlation: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is too late."""

    def fits(self, spec: CABDecisionSpec) -> bool:
        """Whether a record is asked for."""
        alike = (
            (self.namespace, spec.subject.namespace),
            (self.kind, spec.subject.kind.value),
            (self.subject, spec.subject.name),
            (self.intent, spec.intent.name if spec.intent else None),
            (self.verdict, spec.verdict),
            (self.author, spec.author.username),
            (self.correlation, spec.correlation_id),
        )
        images = {*spec.images, *(image for target in spec.targets for image in target.images)}
        return (
            all(wanted is None or wanted == said for wanted, said in alike)
            and (self.since is None or spec.at >= self.since)
            and (self.until is None or spec.at < self.until)
            and (self.image is None or self.image in images)
            and (self.submitter is None or self.submitter in _submitters(spec))
        )


@dataclass(frozen=True)
class Unread:
    """A record that cannot be read."""

    where: str
    why: str
    advice: str


def answers(
    raws: Iterable[RawObject], query: Query
) -> tuple[list[tuple[CABDecision, RawObject]], list[Unread]]:
    """The records that fit, in the order of their chains, each as parsed and as stored; and those
    that cannot be read, which nobody can say anything of."""
    found: dict[str, tuple[CABDecision, RawObject]] = {}
    unread = []
    for raw in raws:
        try:
            record = CABDecision.model_validate(raw)
        except ValidationError as error:
            finding = unreadable("CABDecision", raw, error)
            unread.append(Unread(finding.where, finding.message, finding.advice))
            continue
        if query.fits(record.spec):
            found[record.metadata.name] = (record, raw)
    order = lambda item: (item[0].spec.subject.namespace, item[0].spec.sequence)  # noqa: E731
    return sorted(found.values(), key=order), unread


def _submitters(spec: CABDecisionSpec) -> set[str | None]:
    asked = spec.exception.submitted_by if spec.exception else []
    checked = spec.checked
    also = [*checked.submitted_by, *checked.requested_by] if checked else []
    broke = spec.break_glass.by if spec.break_glass else None
    return {*spec.submitted_by, *spec.requested_by, *asked, *also, spec.requester, broke}
