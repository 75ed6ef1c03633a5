# SPDX-License-Identifier: Apache-2.0
"""What an event store keeps beside records: what they rest on, as it was when it was read, so that
a score can be computed anew when request and risk model are long gone; and what became of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate import API_VERSION
from cabgate.api import outcome, request
from cabgate.api.request import CABRequest
from cabgate.api.rules import RULES
from cabgate.ledger.assessments import Models, check_assessment
from cabgate.ledger.findings import Finding, FindingCode
from cabgate.ledger.links import RawObject, Record
from cabgate.text.canonical import canonical_json

KINDS: Mapping[str, str] = {
    request.KIND: request.PLURAL,
    outcome.KIND: outcome.PLURAL,
    **{each.kind: each.plural for each in RULES},
}
"""The kinds of which each content is kept, with their plurals."""

FROZEN_REQUEST = "FrozenRequest"
"""Kind of a kept request in an export: no API server has such, so that nobody takes one for a
request whose decisions are gone."""

_METADATA = ("name", "namespace", "uid", "creationTimestamp")


@dataclass(frozen=True)
class Kept:
    """A content that an object had."""

    kind: str
    namespace: str
    """Empty for what has none."""
    name: str
    uid: str
    digest: str
    """SHA-256 of the content, 64 hexadecimal digits."""
    content: bytes
    """Kind, metadata and spec. The status only of an outcome: what is in others stands in
    records."""


def kept(kind: str, raw: RawObject) -> Kept:
    """What is kept of an object. Of two with the same spec and uid, and of outcomes with the same
    status, it is the same."""
    metadata = raw.get("metadata") or {}
    named = {key: metadata[key] for key in _METADATA if key in metadata}
    whole = {"apiVersion": API_VERSION, "kind": kind, "metadata": named, "spec": raw.get("spec")}
    if kind == outcome.KIND:
        whole["status"] = raw.get("status") or {}
    try:
        content = canonical_json(whole)
    except ValueError:  # a number that RFC 8785 has no form for
        content = json.dumps(whole, sort_keys=True).encode()
    return Kept(
        kind,
        str(named.get("namespace") or ""),
        str(named.get("name") or ""),
        str(named.get("uid") or ""),
        hashlib.sha256(content).hexdigest(),
        content,
    )


def check_frozen(
    frozen: CABRequest, records: Sequence[Record], models: Models
) -> Iterator[Finding]:
    """That a kept request says what its records say, and that its score follows from its evidence,
    as far as its model is there."""
    title = f"{FROZEN_REQUEST} {frozen.metadata.namespace}/{frozen.metadata.name}"
    yield from check_assessment(frozen, title, models)
    said = _said(frozen)
    for record in records:
        other = [key for key in said if record.raw.get(key) not in (None, said[key])]
        if other:
            message = f"{title} says otherwise: {', '.join(sorted(other))}"
            yield Finding(FindingCode.SUBJECT_DIFFERS, record.where, message)


def _said(frozen: CABRequest) -> Mapping[str, Any]:
    """What a record repeats of its request, of that which is never cut."""
    spec, assessment = frozen.spec, frozen.spec.assessment
    return {
        "evidenceDigest": spec.evidence_digest,
        "correlationID": spec.correlation_id,
        "score": assessment.score,
        "gate": assessment.gate.value,
        "ring": spec.ring,
    }
