# SPDX-License-Identifier: Apache-2.0
"""Ledgers of a story, and what may be changed in them."""

import copy
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cabgate.api import CABException, CABRequest
from cabgate.ledger.chain import (
    Head,
    append,
    entries_of,
    in_order_of_time,
    record_digest,
    record_name,
    record_object,
)
from cabgate.ledger.findings import Finding
from cabgate.ledger.signatures import (
    PublicKeys,
    SigningKeys,
    needs_signature,
    public_pem,
)
from cabgate.ledger.verification import verify
from cabgate_samples.models import NOW, by_person, by_system, exception, intent, request
from cabgate_samples.objects import MIDDLING

Raw = dict[str, Any]


PRIVATE = Ed25519PrivateKey.generate()


PLAIN = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


KEYS = SigningKeys(PRIVATE.private_bytes(*PLAIN).decode())


PUBLIC = PublicKeys(public_pem(PRIVATE.public_key()))


def raw(subject: CABRequest | CABException, uid: str, keys: SigningKeys = KEYS) -> Raw:
    """A subject as the API server has it, with what people said signed."""
    dumped = subject.to_dict()
    dumped["metadata"]["uid"] = uid
    entries = {e.sequence: e for e in subject.status.decisions}
    for entry in dumped.get("status", {}).get("decisions", []):
        parsed = entries[entry["sequence"]]
        if needs_signature(parsed):
            entry["signature"] = keys.sign(type(subject).__name__, uid, parsed).to_dict()
    return dumped


class History:
    """A ledger, what it is about, and copies of its heads."""

    def __init__(self, requests: list[Raw], exceptions: list[Raw]) -> None:
        self.requests, self.exceptions = requests, exceptions
        self.records: list[Raw] = []
        by_name = {r["metadata"]["name"]: CABRequest.model_validate(r) for r in requests}
        contents = [entries_of(r) for r in by_name.values()]
        for found in exceptions:
            parsed = CABException.model_validate(found)
            contents.append(entries_of(parsed, by_name[parsed.spec.request_ref.name]))
        head = None
        for content in in_order_of_time(contents):
            record = append(head, content)
            head = Head.of(record)
            self.records.append(record_object(record))
        self.heads = [] if head is None else [("shop", head)]

    def findings(self, *, heads: bool = True, subjects: bool = True) -> list[Finding]:
        requests, exceptions = (self.requests, self.exceptions) if subjects else ([], [])
        return verify(self.records, requests, exceptions, PUBLIC, self.heads if heads else [])

    def codes(self, *, heads: bool = True, subjects: bool = True) -> set[str]:
        found = self.findings(heads=heads, subjects=subjects)
        assert all(finding.where and finding.message and finding.advice for finding in found)
        return {finding.code.value for finding in found}

    def rebuild(self) -> None:
        """Positions, links and digests made to fit again, as a careful forger would."""
        previous = None
        for number, record in enumerate(self.records, 1):
            spec = record["spec"]
            spec["sequence"] = number
            spec.pop("previousDigest", None)
            if previous is not None:
                spec["previousDigest"] = previous
            previous = spec["digest"] = record_digest(spec)
            record["metadata"]["name"] = record_name("shop", number)


def minutes(number: int) -> Any:
    return NOW - timedelta(minutes=30 - number)


def story() -> History:
    """Seven decisions, human and not, on three objects."""
    approved = request(
        "ManualReview",
        by_person("UnderReview", minutes(1)),
        by_person(
            "ConditionallyApproved",
            minutes(4),
            conditions=[{"name": "watch", "description": "watch it"}],
        ),
    )
    auto = request(
        "AutoApprove", by_system("AutoApproved", minutes(2)), by_person("Revoked", minutes(7))
    )
    needy = request("ExceptionRequired")
    leave = exception(
        needy, by_person("Approved", minutes(3)), by_person("Revoked", minutes(6)), age=timedelta(1)
    )
    superseded = request(
        "ManualReview",
        by_system("Superseded", minutes(5)),
        of=intent(MIDDLING, name="other"),
    )
    return History(
        [raw(approved, "r-1"), raw(auto, "r-2"), raw(needy, "r-3"), raw(superseded, "r-4")],
        [raw(leave, "x-1")],
    )


STORY = story()


def fresh() -> History:
    return copy.deepcopy(STORY)


def forged(**fields: Any) -> Raw:
    entry = {
        "sequence": 3,
        "verdict": "Revoked",
        "author": {"type": "Person", "username": "rita"},
        "at": "2026-03-01T11:59:00Z",
        "rationale": "because",
        "evidenceDigest": STORY.requests[0]["spec"]["evidenceDigest"],
    }
    return {**entry, **fields}
