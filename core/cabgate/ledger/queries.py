# SPDX-License-Identifier: Apache-2.0
"""Which records of a ledger answer a question."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cabgate.api.decision import CABDecision, CABDecisionSpec
from cabgate.ledger.findings import unreadable

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
        """Whether a record is asked for, as far as it goes."""
        return not self._lacking(spec)

    def may_fit(self, spec: CABDecisionSpec) -> bool:
        """Whether a record does not fit, and might if nothing of it had been cut: what it lacks may
        stand in what was."""
        lacking, cut = self._lacking(spec), {each.field for each in spec.cut}
        return bool(lacking) and all(fields & cut for fields in lacking)

    def _lacking(self, spec: CABDecisionSpec) -> list[frozenset[str]]:
        """For each part of the question that a record does not fit, the fields of it that would
        have to say so."""
        return [fields for fits, fields in self._parts(spec) if not fits]

    def _parts(self, spec: CABDecisionSpec) -> list[tuple[bool, frozenset[str]]]:
        images = {*spec.images, *(image for target in spec.targets for image in target.images)}
        alike = (
            (self.namespace, {spec.subject.namespace}, _WHOLE),
            (self.kind, {spec.subject.kind.value}, _WHOLE),
            (self.subject, {spec.subject.name}, _WHOLE),
            (self.intent, {spec.intent.name} if spec.intent else set(), _WHOLE),
            (self.verdict, {spec.verdict}, _WHOLE),
            (self.author, {spec.author.username}, frozenset({"author"})),
            (self.correlation, {spec.correlation_id}, _WHOLE),
            (self.image, images, frozenset({"images", "targets"})),
            (self.submitter, _submitters(spec), _OF_SUBMITTERS),
        )
        return [
            *((wanted is None or wanted in said, fields) for wanted, said, fields in alike),
            (self.since is None or spec.at >= self.since, _WHOLE),
            (self.until is None or spec.at < self.until, _WHOLE),
        ]


_WHOLE: frozenset[str] = frozenset()
"""Of what is never cut."""

_OF_SUBMITTERS = frozenset(
    {"breakGlass", "checked", "exception", "requestedBy", "requester", "submittedBy"}
)
"""Fields of a record that name who submitted, asked, or broke the glass."""


@dataclass(frozen=True)
class Unread:
    """A record that cannot be read."""

    where: str
    why: str
    advice: str


@dataclass(frozen=True)
class Answers:
    """What a ledger says to a question."""

    found: list[tuple[CABDecision, RawObject]]
    """The records that fit, in the order of their chains, each as parsed and as stored."""
    cut: int
    """Records that do not fit as they are, and were cut where they might say what is asked for."""
    unread: list[Unread]
    """Those that cannot be read, which nobody can say anything of."""


def answers(raws: Iterable[RawObject], query: Query) -> Answers:
    """The records that fit a question, and of which others nobody can tell."""
    found: dict[str, tuple[CABDecision, RawObject]] = {}
    cut: set[str] = set()
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
        elif query.may_fit(record.spec):
            cut.add(record.metadata.name)
    in_order = sorted(found.values(), key=lambda item: place_of(item[0]))
    return Answers(in_order, len(cut), unread)


def place_of(record: CABDecision) -> tuple[str, int]:
    """Where a record stands: its chain, and its position there."""
    return record.spec.subject.namespace, record.spec.sequence


def _submitters(spec: CABDecisionSpec) -> set[str | None]:
    asked = spec.exception.submitted_by if spec.exception else []
    checked = spec.checked
    also = [*checked.submitted_by, *checked.requested_by] if checked else []
    broke = spec.break_glass.by if spec.break_glass else None
    return {*spec.submitted_by, *spec.requested_by, *asked, *also, spec.requester, broke}
