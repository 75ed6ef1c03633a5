# SPDX-License-Identifier: Apache-2.0
"""The ledger: from `status.decisions` to a chain of records for each namespace.

What is wrong with a chain is said in `verification.py`.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cabgate import API_VERSION
from cabgate.api.base import ObjectMeta, rfc3339
from cabgate.api.decision import DIGITS, FORMAT, KIND, CABDecision, CABDecisionSpec
from cabgate.api.request import CABRequest
from cabgate.api.types import DecisionEntry
from cabgate.ledger.records import Subject, decided, subject_of
from cabgate.text.canonical import sha256_hex

CHAIN_FIELDS = frozenset({"sequence", "previousDigest", "digest"})
"""Fields of a record that say where it stands, not what was decided."""

_HEAD = re.compile(r"([1-9][0-9]{0,7}) (sha256:[0-9a-f]{64})")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLACE = re.compile(r"[0-9]{8}")
_READ: Mapping[str, type] = {
    "subject": Mapping,
    "verdict": str,
    "author": Mapping,
    "at": str,
    "evidenceDigest": str,
    "entry": int,
}
"""What a record has to say."""

NO_DIGEST = "sha256:" + "0" * 64
"""What stands for the digest of a record that has none and of which none can be made."""


@dataclass(frozen=True)
class Head:
    """The last record of a chain: what a copy kept elsewhere holds the chain to."""

    sequence: int
    digest: str

    def __str__(self) -> str:
        return f"{self.sequence} {self.digest}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """A head as it is published. Raises `ValueError`."""
        found = _HEAD.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text[:100]!r} is no head: a sequence and sha256:<64 digits>")
        return cls(int(found[1]), found[2])

    @classmethod
    def of(cls, record: CABDecision) -> "Head":
        """The head of a chain that ends with a record."""
        return cls(record.spec.sequence, record.spec.digest)


@dataclass(frozen=True)
class Checkpoint:
    """Up to where a chain was exported and pruned: from there it goes on to verify."""

    head: Head
    """The last record that was pruned."""
    at: datetime
    """Time of the latest decision that was pruned."""

    def __str__(self) -> str:
        return f"{self.head} {rfc3339(self.at)}"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """A checkpoint as it is stored. Raises `ValueError`."""
        head, _, time = text.strip().rpartition(" ")
        try:
            at = datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            return cls(Head.parse(head), at)
        except ValueError:
            message = "is no checkpoint: a sequence, sha256:<64 digits> and a time"
            raise ValueError(f"{text[:120]!r} {message}") from None

    def covers(self, at: datetime) -> bool:
        """Whether a decision of that time counts as recorded: its record may have been pruned.

        Rejected and revoked requests stay for ever, their records do not. That such a decision is
        recorded indeed, the export proves.
        """
        return at <= self.at


@dataclass(frozen=True)
class Placed:
    """Where a record stands and what it is about, as far as it can be read: what cannot be read
    keeps its place, and the chain goes on behind it."""

    head: Head
    about: tuple[str, int] | None
    """Uid of its subject, and position in the subject's decisions; None if it does not say."""
    problem: str = ""
    """What cannot be read."""


def placed(raw: Mapping[str, Any], namespace: str) -> Placed | None:
    """What is known of a stored record of a chain; None if not even its place is.

    Its name is its place: nobody but the operator could give it one, and names do not change.
    """
    chain, number = _named(raw)
    if chain != namespace or _PLACE.fullmatch(number) is None:
        return None
    spec = raw.get("spec")
    if not isinstance(spec, Mapping):
        return Placed(Head(int(number), NO_DIGEST), None, "spec")
    wrong = [f"spec.{key}" for key, kind in _READ.items() if not isinstance(spec.get(key), kind)]
    if spec.get("sequence") != int(number):
        wrong.append("spec.sequence")
    digest = spec.get("digest")
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        wrong.append("spec.digest")
        digest = _digest_or_none(spec)
    uid = spec["subject"].get("uid") if isinstance(spec.get("subject"), Mapping) else None
    if not isinstance(uid, str):
        wrong.append("spec.subject.uid")
    # What cannot be read records nothing: its decision is recorded anew.
    about = None if wrong else (str(uid), int(spec["entry"]))
    return Placed(Head(int(number), digest), about, ", ".join(sorted(set(wrong))))


def chain_of(raw: Mapping[str, Any]) -> str:
    """The chain that a stored record is in by its name; empty if that is no record's."""
    return _named(raw)[0]


def _named(raw: Mapping[str, Any]) -> tuple[str, str]:
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    chain, _, number = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    return chain, number


def _digest_or_none(spec: Mapping[str, Any]) -> str:
    try:
        return record_digest(spec)
    except ValueError:  # holds what canonical JSON cannot say
        return NO_DIGEST


def namespace_of(raw: Mapping[str, Any]) -> str:
    """The chain that a stored record says it is in; empty if it does not say."""
    spec = raw.get("spec")
    subject = spec.get("subject") if isinstance(spec, Mapping) else None
    namespace = subject.get("namespace") if isinstance(subject, Mapping) else None
    return namespace if isinstance(namespace, str) else ""


def record_name(namespace: str, sequence: int) -> str:
    """Name of the record at a position of a chain: each position is taken once."""
    return f"{namespace}.{sequence:0{DIGITS}d}"


def entries_of(
    subject: Subject,
    request: CABRequest | None = None,
    form: int = FORMAT,
    only: Container[int] | None = None,
) -> list[dict[str, Any]]:
    """What has to be in the ledger for a subject: the content of one record for each entry of its
    decisions, in order, without its place in the chain.

    `request` is the request that an exception is for, if it is there; `form` is the format of the
    records, `only` holds the positions of the entries that are asked for, of format 2.
    """
    return decided(subject, request, only) if form == FORMAT else _first_format(subject, request)


def _first_format(subject: Subject, request: CABRequest | None) -> list[dict[str, Any]]:
    """As releases wrote it whose records name no format."""
    about = _about(subject if isinstance(subject, CABRequest) else request)
    contents = []
    entries: Sequence[DecisionEntry] = subject.status.decisions
    for entry in sorted(entries, key=lambda entry: entry.sequence):
        said = entry.to_dict()
        if "signature" in said:  # an operator of then left out what it did not know
            said["signature"].pop("form", None)
        number = said.pop("sequence")
        of_same = about if about.get("evidenceDigest") == entry.evidence_digest else {}
        contents.append({**of_same, **said, "subject": subject_of(subject), "entry": number})
    return contents


def _about(request: CABRequest | None) -> dict[str, Any]:
    if request is None:
        return {}
    spec = request.spec
    return {
        "targets": [target.to_dict() for target in spec.targets],
        "evidenceDigest": spec.evidence_digest,
        "score": spec.assessment.score,
        "gate": spec.assessment.gate.value,
        "riskModel": spec.assessment.risk_model.to_dict(),
        "correlationID": spec.correlation_id,
    }


def in_order_of_time(
    contents: Iterable[Sequence[Mapping[str, Any]]],
) -> list[Mapping[str, Any]]:
    """The contents of several subjects in the order in which they were decided; those of one
    subject stay in theirs, whatever the clocks said."""
    keyed = []
    for own in contents:
        latest = ""
        for content in own:
            latest = max(latest, content["at"])
            keyed.append((latest, content["subject"]["uid"], content["entry"], content))
    return [item[3] for item in sorted(keyed, key=lambda item: item[:3])]


def append(previous: Head | None, content: Mapping[str, Any]) -> CABDecision:
    """The record that follows the head of a chain (None: that begins one)."""
    spec = {key: value for key, value in content.items() if key not in CHAIN_FIELDS}
    spec["sequence"] = 1 if previous is None else previous.sequence + 1
    if previous is not None:
        spec["previousDigest"] = previous.digest
    spec["digest"] = record_digest(spec)
    parsed = CABDecisionSpec.model_validate(spec)
    name = record_name(parsed.subject.namespace, parsed.sequence)
    return CABDecision(metadata=ObjectMeta(name=name), spec=parsed)


def record_digest(spec: Mapping[str, Any]) -> str:
    """Digest of a record: of all of its spec but the digest itself, as it is stored."""
    return f"sha256:{sha256_hex({key: spec[key] for key in spec if key != 'digest'})}"


def digest_holds(spec: Mapping[str, Any]) -> bool:
    """Whether a record's digest is that of its content."""
    try:
        return record_digest(spec) == spec.get("digest")
    except ValueError:  # holds what canonical JSON cannot say
        return False


def record_object(record: CABDecision) -> dict[str, Any]:
    """The object to create for a record."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": record.metadata.name},
        "spec": record.spec.to_dict(),
    }
