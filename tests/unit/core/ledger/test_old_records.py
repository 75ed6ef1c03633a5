# SPDX-License-Identifier: Apache-2.0
"""What earlier releases wrote verifies as it did: exports of real clusters, as those releases left
them."""

import copy
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from cabgate.ledger.chain import Checkpoint, Head, record_digest
from cabgate.ledger.signatures import PublicKeys
from cabgate.ledger.verification import verify

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "ledger"


def objects(name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for item in json.loads((GOLDEN / name).read_text())["items"]:
        found[item["kind"]].append(item)
    return found


def data(found: dict[str, list[Any]], name: str) -> dict[str, str]:
    (one,) = [m for m in found["ConfigMap"] if m["metadata"]["name"] == name]
    said: dict[str, str] = one["data"]
    return said


def codes(found: dict[str, list[Any]], *, subjects: bool = True) -> set[str]:
    keys = PublicKeys(*data(found, "cabgate-signing-keys").values())
    heads = [(ns, Head.parse(t)) for ns, t in data(found, "cabgate-ledger-heads").items()]
    checkpoints: list[tuple[str, Checkpoint]] = []
    requests, exceptions = (found["CABRequest"], found["CABException"]) if subjects else ([], [])
    seen = verify(found["CABDecision"], requests, exceptions, keys, heads, None, checkpoints)
    return {f"{finding.code}" for finding in seen}


@pytest.mark.parametrize("subjects", [True, False])
def test_records_of_before_verify_unchanged(*, subjects: bool) -> None:
    found = objects("format-1.json")
    assert codes(found, subjects=subjects) == set()
    verdicts = {record["spec"]["verdict"] for record in found["CABDecision"]}
    seen = "Approved Attested AutoApproved ConditionallyApproved GlassBroken Rejected Reopened"
    assert verdicts == {*seen.split(), "Revoked", "Superseded", "UnderReview"}
    for record in found["CABDecision"]:
        assert record_digest(record["spec"]) == record["spec"]["digest"]


def test_what_is_changed_in_records_of_before_is_found() -> None:
    found = objects("format-1.json")
    keys = PublicKeys(*data(found, "cabgate-signing-keys").values())
    for record in found["CABDecision"]:
        for field in sorted(record["spec"]):
            changed = copy.deepcopy(record)
            del changed["spec"][field]
            seen = {finding.code.value for finding in verify([changed], [], [], keys)}
            assert seen & {"ChangedRecord", "Unreadable"}, field
