# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a ledger: each chain by itself, against the objects that were decided on, and
against copies of its heads that were kept elsewhere."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import ValidationError

from cabgate.api.base import Model
from cabgate.api.decision import ASKED, FORMAT, OPENED, CABDecision, SubjectKind
from cabgate.api.exception import CABException, ExceptionDecision
from cabgate.api.request import CABRequest, RequestDecision
from cabgate.api.types import AuthorType, DecisionEntry
from cabgate.ledger.assessments import Models, by_digest, check_assessment
from cabgate.ledger.chain import (
    CHAIN_FIELDS,
    Checkpoint,
    Head,
    digest_holds,
    entries_of,
    record_name,
)
from cabgate.ledger.findings import Finding, FindingCode, unreadable
from cabgate.ledger.kept import check_frozen
from cabgate.ledger.links import RawObject, Record, chains_of, check_chain, check_heads
from cabgate.ledger.records import OF_REQUEST, SUBMISSION, Subject, kind_of, submitted
from cabgate.ledger.signatures import PublicKeys, Verification
from cabgate.lifecycle.state.quorum import needs_of
from cabgate.lifecycle.state.requirements import unknown_words
from cabgate.lifecycle.state.states import (
    EXCEPTION_TRANSITIONS,
    REQUEST_TRANSITIONS,
    illegal_entries,
)

M = TypeVar("M", bound=Model)

PENDING = timedelta(seconds=30)
"""How long the operator may take to record a decision before its absence is a finding."""

READING = timedelta(minutes=5)
"""How long it may take to read a cluster: what is decided meanwhile may be seen in part."""


def verify(
    decisions: Iterable[RawObject],
    requests: Iterable[RawObject],
    exceptions: Iterable[RawObject],
    keys: PublicKeys,
    heads: Iterable[tuple[str, Head]] = (),
    now: datetime | None = None,
    checkpoints: Iterable[tuple[str, Checkpoint]] = (),
    models: Iterable[RawObject] = (),
    believed: Iterable[tuple[str, Checkpoint]] | None = None,
    frozen: Iterable[RawObject] = (),
) -> list[Finding]:
    """Everything that is wrong with a ledger and what it is about; an empty list if nothing is.

    `heads` are published heads with their namespaces, from copies. With `now`, a decision of the
    last moments may still be missing in the ledger: the operator writes it after it was made.
    `checkpoints`, with their namespaces too, say up to where a chain may be missing. `models` are
    risk models: scores of others than these and the built-in one are not computed anew. `believed`
    are the checkpoints that excuse a published head which is not there; None: all of them.
    `frozen` are requests without their status, as an event store keeps them.
    """
    findings: list[Finding] = []
    records = _records(decisions, findings)
    chains = chains_of(records, checkpoints)
    for chain in chains.values():
        findings += check_chain(chain)
    for record in records:
        findings += _or_unreadable(record.where, _check_record(record, keys))
    findings += _check_entries(records)
    subjects = _subjects(requests, exceptions, findings)
    scoring = by_digest(models)
    may_lack = _Unrecorded({chain.namespace: chain.pruned for chain in chains.values()}, now)
    for subject, _ in subjects:
        if isinstance(subject, CABRequest):
            title = _title(subject)
            findings += _or_unreadable(title, check_assessment(subject, title, scoring))
    findings += _check_subjects(subjects, records, keys, may_lack)
    findings += _check_frozen(frozen, records, scoring)
    findings += check_heads(heads, chains, believed)
    return sorted(findings, key=lambda finding: (finding.where, finding.code, finding.message))


def _check_frozen(
    frozen: Iterable[RawObject], records: Sequence[Record], models: Models
) -> list[Finding]:
    findings: list[Finding] = []
    own: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.parsed.spec.subject.kind is SubjectKind.REQUEST:
            own[record.about[0]].append(record)
    for raw in frozen:
        request = _parsed(CABRequest, raw, findings)
        if request is not None:
            of_same = own.get(request.metadata.uid, ())
            findings += _or_unreadable(_title(request), check_frozen(request, of_same, models))
    return findings


@dataclass(frozen=True)
class _Unrecorded:
    """Which decisions the ledger may lack."""

    checkpoints: Mapping[str, Checkpoint | None]
    """Of the chains whose pruned part is not here."""
    now: datetime | None

    def pruned(self, namespace: str, at: datetime) -> bool:
        """Whether the record of a decision may have been pruned."""
        checkpoint = self.checkpoints.get(namespace)
        return checkpoint is not None and checkpoint.covers(at)


def _records(decisions: Iterable[RawObject], findings: list[Finding]) -> list[Record]:
    records: dict[str, list[Record]] = defaultdict(list)
    for raw in decisions:
        parsed = _parsed(CABDecision, raw, findings)
        if parsed is None:
            continue
        record = Record(parsed, raw["spec"])
        same = records[parsed.metadata.name]
        if all(record.raw != other.raw for other in same):  # exports may overlap
            same.append(record)
    return [record for same in records.values() for record in same]


def _parsed(model: type[M], raw: RawObject, findings: list[Finding]) -> M | None:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        findings.append(unreadable(model.__name__, raw, error))
        return None


def _check_record(record: Record, keys: PublicKeys) -> Iterator[Finding]:
    """What a record says of itself: name, digest, signature."""
    spec = record.parsed.spec
    wanted = record_name(*record.place)
    if record.parsed.metadata.name != wanted:
        yield Finding(FindingCode.MISNAMED, record.where, f"its place is {wanted}")
    if not digest_holds(record.raw):
        yield Finding(
            FindingCode.CHANGED_RECORD, record.where, "spec.digest is not that of its content"
        )
    if spec.format is not None and spec.format > FORMAT:
        message = f"is of format {spec.format}, which a newer release wrote"
        yield Finding(FindingCode.UNREADABLE, record.where, message)
        return
    said = {**record.raw, "sequence": spec.entry}
    kind = spec.subject.kind
    if spec.entry == SUBMISSION:
        yield from _check_submission(record)
        return
    try:
        entry = _entry(kind, said)
    except ValidationError:
        message = f"verdict {spec.verdict} is none of a {kind}"
        yield Finding(FindingCode.UNREADABLE, record.where, message)
        return
    cut = [each.to_dict() for each in spec.cut]
    yield from _check_signature(record.where, kind, spec.subject.uid, entry, keys, cut)


def _check_submission(record: Record) -> Iterator[Finding]:
    """That what stands before the decisions of a subject decides nothing."""
    spec = record.parsed.spec
    wanted = OPENED if spec.subject.kind is SubjectKind.REQUEST else ASKED
    if spec.verdict != wanted or spec.author.type is not AuthorType.SYSTEM:
        message = f"{spec.verdict} by {spec.author.username} stands where {wanted} alone may stand"
        yield Finding(FindingCode.UNSIGNED, record.where, message)


def _entry(kind: SubjectKind, said: Mapping[str, Any]) -> DecisionEntry:
    if kind is SubjectKind.REQUEST:
        return RequestDecision.model_validate(said)
    return ExceptionDecision.model_validate(said)


_SYSTEMS = {
    SubjectKind.REQUEST: {
        verdict.value for _, verdict, author in REQUEST_TRANSITIONS if author is AuthorType.SYSTEM
    },
    SubjectKind.EXCEPTION: {
        verdict.value for _, verdict, author in EXCEPTION_TRANSITIONS if author is AuthorType.SYSTEM
    },
}


def _check_signature(
    where: str,
    kind: SubjectKind,
    uid: str,
    entry: DecisionEntry,
    keys: PublicKeys,
    cut: Sequence[RawObject] = (),
) -> Iterator[Finding]:
    verdict = str(getattr(entry, "verdict", ""))
    what = f"{verdict} by {entry.author.username}"
    if entry.author.type is AuthorType.SYSTEM:
        if verdict not in _SYSTEMS[kind]:
            message = f"{what} claims to be the system's, but is a person's to give"
            yield Finding(FindingCode.UNSIGNED, where, message)
        return
    result = keys.check(kind.value, uid, entry, cut)
    if result is Verification.ABSENT:
        yield Finding(FindingCode.UNSIGNED, where, f"{what} has no signature")
    elif result is Verification.UNKNOWN_KEY and entry.signature is not None:
        message = f"{what} is signed with key {entry.signature.key_id}, which is not known"
        yield Finding(FindingCode.UNKNOWN_KEY, where, message)
    elif result is Verification.WRONG:
        message = f"the signature of {what} is of something else"
        yield Finding(FindingCode.WRONG_SIGNATURE, where, message)


def _check_entries(records: Sequence[Record]) -> Iterator[Finding]:
    """That each decision of a subject is recorded once, and after the ones before it."""
    first: dict[tuple[str, int], Record] = {}
    latest: dict[str, int] = {}
    for record in sorted(records, key=lambda record: record.place):
        uid, number = record.about
        if record.about in first:
            other = first[record.about]
            if other.place != record.place:
                message = f"is the same decision as {other.parsed.metadata.name}"
                yield Finding(FindingCode.RECORDED_TWICE, record.where, message)
            continue
        first[record.about] = record
        if number < latest.get(uid, 0):
            message = f"decision {number} of its subject is recorded after decision {latest[uid]}"
            yield Finding(FindingCode.OUT_OF_ORDER, record.where, message)
        latest[uid] = max(number, latest.get(uid, 0))


def _subjects(
    requests: Iterable[RawObject], exceptions: Iterable[RawObject], findings: list[Finding]
) -> list[tuple[Subject, CABRequest | None]]:
    """The objects that can be read, each with the request that it is about."""
    parsed = [_parsed(CABRequest, raw, findings) for raw in requests]
    found = {
        (request.metadata.namespace, request.metadata.name): request
        for request in parsed
        if request is not None
    }
    subjects: list[tuple[Subject, CABRequest | None]] = [(r, r) for r in found.values()]
    for raw in exceptions:
        exception = _parsed(CABException, raw, findings)
        if exception is not None:
            wanted = (exception.metadata.namespace, exception.spec.request_ref.name)
            subjects.append((exception, found.get(wanted)))
    return subjects


def _check_subjects(
    subjects: Sequence[tuple[Subject, CABRequest | None]],
    records: Sequence[Record],
    keys: PublicKeys,
    may_lack: "_Unrecorded",
) -> Iterator[Finding]:
    recorded: dict[str, dict[int, Record]] = defaultdict(dict)
    for record in records:
        uid, number = record.about
        recorded[uid].setdefault(number, record)
    for subject, request in subjects:
        own = recorded.get(subject.metadata.uid, {})
        yield from _or_unreadable(
            _title(subject), _check_subject(subject, request, own, keys, may_lack)
        )


def _check_subject(
    subject: Subject,
    request: CABRequest | None,
    own: Mapping[int, Record],
    keys: PublicKeys,
    may_lack: "_Unrecorded",
) -> Iterator[Finding]:
    """A subject against its own records, by the position of the decision."""
    if isinstance(subject, CABRequest):
        yield from _check_legal(subject)
    forms = {_format(record) for record in own.values() if _format(record) <= FORMAT}
    contents = {
        (form, content["entry"]): content
        for form in forms
        for content in entries_of(subject, request, form)
    }
    entries: Sequence[DecisionEntry] = subject.status.decisions
    numbers = {entry.sequence for entry in entries}
    yield from _compare_submission(subject, request, own.get(SUBMISSION))
    for number in sorted(set(own) - numbers - {SUBMISSION}):
        if not _under_way(own[number].parsed.spec.at, may_lack.now):
            message = f"records decision {number} of {_title(subject)}, which has none such now"
            yield Finding(FindingCode.SUBJECT_DIFFERS, own[number].where, message)
    for entry in entries:
        if entry.sequence in own and _format(own[entry.sequence]) > FORMAT:
            continue  # of a newer release, and told of
        if entry.sequence in own:
            record = own[entry.sequence]
            yield from _compare(subject, record, contents[_format(record), entry.sequence])
        elif may_lack.pruned(subject.metadata.namespace, entry.at):
            yield from _signed(subject, entry, keys)
        elif not _under_way(entry.at, may_lack.now):
            yield from _not_recorded(subject, entry, keys)


def _format(record: Record) -> int:
    return 1 if record.parsed.spec.format is None else record.parsed.spec.format


def _or_unreadable(where: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings, or that the object says what no API server would have stored."""
    try:
        yield from findings
    except ValueError as error:
        first = str(error).splitlines()[0][:200]
        yield Finding(FindingCode.UNREADABLE, where, f"cannot be checked: {first}")


def _under_way(at: datetime, now: datetime | None) -> bool:
    """Whether a decision was made about when the cluster was read."""
    return now is not None and now - PENDING <= at <= now + READING


def _title(subject: Subject) -> str:
    return f"{kind_of(subject)} {subject.metadata.namespace}/{subject.metadata.name}"


def _not_recorded(subject: Subject, entry: DecisionEntry, keys: PublicKeys) -> Iterator[Finding]:
    where = f"{_title(subject)}, decision {entry.sequence}"
    verdict = getattr(entry, "verdict", "")
    message = f"{verdict} by {entry.author.username} is not in the ledger"
    yield Finding(FindingCode.NOT_RECORDED, where, message)
    yield from _signed(subject, entry, keys)


def _signed(subject: Subject, entry: DecisionEntry, keys: PublicKeys) -> Iterator[Finding]:
    where = f"{_title(subject)}, decision {entry.sequence}"
    yield from _check_signature(where, kind_of(subject), subject.metadata.uid, entry, keys)


def _compare_submission(
    subject: Subject, request: CABRequest | None, record: Record | None
) -> Iterator[Finding]:
    """A subject against the record of its submission, whatever was decided on it since."""
    if record is None or record.parsed.spec.format != FORMAT:
        return
    undecided = {**subject.status.model_dump(), "decisions": [], "state": "Submitted"}
    if isinstance(subject, CABException):
        undecided["state"] = "Pending"
    status = type(subject.status).model_validate(undecided)
    then = subject.model_copy(update={"status": status})
    content = submitted(then, request, record.parsed.spec.author.username)
    if content is not None:
        yield from _compare(subject, record, content)


def _compare(subject: Subject, record: Record, content: Mapping[str, Any]) -> Iterator[Finding]:
    said, stored = dict(content), dict(record.raw)
    ignored = CHAIN_FIELDS
    if isinstance(subject, CABException):  # its request may be gone by now
        ignored = CHAIN_FIELDS | OF_REQUEST
        said["cut"], stored["cut"] = _own_cut(said), _own_cut(stored)
    fields = sorted(key for key in {*said, *stored} - ignored if said.get(key) != stored.get(key))
    if fields:
        message = f"{_title(subject)} now says otherwise: {', '.join(fields)}"
        yield Finding(FindingCode.SUBJECT_DIFFERS, record.where, message)


def _own_cut(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in content.get("cut") or () if each.get("field") not in OF_REQUEST]


def _check_legal(request: CABRequest) -> Iterator[Finding]:
    """That each decision of the system was legal when it was made: those bear no signature. Where
    several people have to approve, that each of theirs counts, as the webhook saw to it: so the
    count is repeated, of what they signed."""
    if unknown_words(request):
        return  # of a newer release, whose rules are not known here
    several = bool(needs_of(request))
    found = (e for e in illegal_entries(request) if several or e.author.type is AuthorType.SYSTEM)
    for entry in found:
        message = f"decision {entry.sequence}, {entry.verdict} by {entry.author.type}, is not legal"
        yield Finding(FindingCode.ILLEGAL_DECISION, _title(request), message)
