# SPDX-License-Identifier: Apache-2.0
"""What was verified of a ledger, for programs and archives."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cabgate.api import decision
from cabgate.ledger.findings import Finding
from cabgate.ledger.signatures import PublicKeys
from cabgate_cli.input.ledger_contents import LedgerContents


def chains(evidence: LedgerContents) -> dict[str, int]:
    """Records of each chain, as far as they say which is theirs."""
    numbers: dict[str, int] = defaultdict(int)
    for record in distinct(evidence.objects[decision.PLURAL]):
        spec = record.get("spec")
        subject = spec.get("subject") if isinstance(spec, Mapping) else None
        namespace = subject.get("namespace") if isinstance(subject, Mapping) else None
        numbers[str(namespace or "unknown")] += 1
    return dict(sorted(numbers.items()))


def distinct(objects: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each object once: exports overlap."""
    found: dict[object, Mapping[str, Any]] = {}
    for item in objects:
        metadata = item.get("metadata")
        uid = metadata.get("uid") if isinstance(metadata, Mapping) else None
        found[uid if isinstance(uid, str) else id(item)] = item
    return list(found.values())


def pruned(evidence: LedgerContents) -> dict[str, int]:
    """Up to which position the chains were pruned."""
    found: dict[str, int] = {}
    for namespace, checkpoint in evidence.checkpoints:
        found[namespace] = max(checkpoint.head.sequence, found.get(namespace, 0))
    return dict(sorted(found.items()))


def verification(
    evidence: LedgerContents, keys: PublicKeys, findings: Sequence[Finding]
) -> dict[str, Any]:
    """What was looked at, and what is wrong with it."""
    return {
        "clean": not findings,
        "chains": chains(evidence),
        "keys": keys.ids,
        "heads": len(set(evidence.heads)),
        "headsNotLookedFor": [
            {"namespace": namespace, "sequence": head.sequence}
            for namespace, head in evidence.heads_not_looked_for()
        ],
        "pruned": pruned(evidence),
        "notComputedAnew": evidence.not_computed(),
        **_anomalies(evidence),
        "findings": [
            {
                "code": finding.code.value,
                "where": finding.where,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in findings
        ],
    }


def _anomalies(evidence: LedgerContents) -> dict[str, Any]:
    """What the relay kept of records that were not as they should be; nothing where no store was
    read or it has none."""
    if not evidence.anomalies:
        return {}
    return {
        "anomalies": [
            {
                "chain": each["chain"],
                "sequence": each["sequence"],
                "code": each["code"],
                "message": each["message"],
                "foundAt": each["found_at"],
            }
            for each in evidence.anomalies
        ]
    }
