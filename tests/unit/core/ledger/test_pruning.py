# SPDX-License-Identifier: Apache-2.0
"""What is pruned, and that a pruned ledger still shows tampering."""

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.ledger.chain import Checkpoint, Head, record_digest
from cabgate.ledger.pruning import ExportError, export_line, exported, missing_in, prefixes, torn
from cabgate.ledger.verification import verify
from unit.core.ledger.histories import PUBLIC, Raw, fresh, minutes

RECORDS = fresh().records
LATE = datetime(2100, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64


def head(number: int) -> Head:
    spec = RECORDS[number - 1]["spec"]
    return Head(spec["sequence"], spec["digest"])


def checkpoint(number: int) -> Checkpoint:
    return Checkpoint(head(number), minutes(number))


def codes(records: list[Raw], *checkpoints: Checkpoint, heads: Any = None) -> set[str]:
    history = fresh()
    found = verify(
        records,
        history.requests,
        history.exceptions,
        PUBLIC,
        history.heads if heads is None else heads,
        checkpoints=[("shop", checkpoint) for checkpoint in checkpoints],
    )
    return {finding.code.value for finding in found}


def test_a_checkpoint_is_a_text() -> None:
    found = checkpoint(3)
    assert Checkpoint.parse(f" {found}\n") == found
    assert str(found).endswith("Z")
    for text in ("", str(head(3)), f"{head(3)} yesterday", f"{head(3)} 2026-03-01", f"{found} x"):
        with pytest.raises(ValueError, match="is no checkpoint"):
            Checkpoint.parse(text)


@given(st.integers(1, 6))
def test_the_prefix_is_what_is_older(number: int) -> None:
    [prefix] = prefixes(reversed(RECORDS), {}, minutes(number + 1))
    assert prefix.records == RECORDS[:number]
    assert prefix.checkpoint == checkpoint(number)
    assert prefix.namespace == "shop"
    assert codes(RECORDS[number:], prefix.checkpoint) == set()


def test_the_newest_record_stays_and_nothing_young_goes() -> None:
    [prefix] = prefixes(RECORDS, {}, LATE)
    assert prefix.records == RECORDS[:6]
    assert prefixes(RECORDS[6:], {"shop": checkpoint(6)}, LATE) == []
    assert prefixes(RECORDS, {}, minutes(1)) == []
    assert prefixes([], {}, LATE) == []


def test_what_a_crash_left_behind_the_checkpoint_goes_whatever_its_age() -> None:
    [prefix] = prefixes(RECORDS[2:], {"shop": checkpoint(4)}, minutes(0))
    assert prefix.records == RECORDS[2:4]
    assert prefix.checkpoint == checkpoint(4)
    [prefix] = prefixes(RECORDS[2:], {"shop": checkpoint(4)}, minutes(6))
    assert prefix.records == RECORDS[2:5]
    assert prefix.checkpoint == checkpoint(5)


def test_the_time_of_a_checkpoint_is_that_of_its_latest_record() -> None:
    records = copy.deepcopy(RECORDS)
    records[1]["spec"]["at"] = "2026-03-01T11:59:00Z"
    [prefix] = prefixes(records, {}, LATE)
    assert prefix.checkpoint.head == head(6)
    assert prefix.checkpoint.covers(datetime(2026, 3, 1, 11, 59, tzinfo=UTC))
    assert not prefix.checkpoint.covers(datetime(2026, 3, 1, 11, 59, 1, tzinfo=UTC))


@given(st.integers(1, 6), st.integers(0, 6))
def test_a_pruned_ledger_is_clean_wherever_the_prune_ended(number: int, deleted: int) -> None:
    left = RECORDS[min(deleted, number) :]
    assert codes(left, checkpoint(number)) == set()
    assert codes(RECORDS, checkpoint(number)) == set()
    # An older copy of the heads lies behind the checkpoint by now.
    assert codes(left, checkpoint(number), heads=[("shop", head(1))]) == set()


@given(st.integers(1, 6))
def test_without_a_checkpoint_what_is_missing_is_found(number: int) -> None:
    assert {"MissingRecord", "NotRecorded"} <= codes(RECORDS[number:])


@given(st.integers(1, 5), st.integers(2, 6))
def test_a_gap_before_the_checkpoint_is_found(number: int, gone: int) -> None:
    left = [r for r in RECORDS[number:] if r["spec"]["sequence"] != gone]
    assert ("MissingRecord" in codes(left, checkpoint(number))) is (gone > number)


def test_a_checkpoint_that_does_not_fit_is_found() -> None:
    other = Checkpoint(Head(3, DIGEST), minutes(3))
    assert codes(RECORDS[3:], other) == {"BrokenLink"}
    assert codes(RECORDS, other) == {"BrokenLink"}
    assert codes(RECORDS[3:], checkpoint(2)) == {"MissingRecord", "NotRecorded"}
    assert codes([], checkpoint(6)) == {"MissingRecord", "HeadGone", "NotRecorded"}
    assert codes(RECORDS, Checkpoint(Head(9, DIGEST), minutes(9))) == {"MissingRecord"}
    assert codes(RECORDS[3:], checkpoint(3), heads=[("shop", Head(3, DIGEST))]) == {"HeadGone"}


def test_a_record_behind_the_checkpoint_that_was_changed_is_found() -> None:
    left = copy.deepcopy(RECORDS[1:])
    left[0]["spec"]["rationale"] = "another"
    assert "ChangedRecord" in codes(left, checkpoint(4))
    left[0]["spec"]["digest"] = record_digest(left[0]["spec"])
    assert "BrokenLink" in codes(left, checkpoint(4))
    last = copy.deepcopy(RECORDS[3:])
    last[0]["spec"]["rationale"] = "another"
    last[0]["spec"]["digest"] = record_digest(last[0]["spec"])
    assert "BrokenLink" in codes(last, checkpoint(4))


def test_with_the_export_a_decision_that_it_lacks_is_found() -> None:
    history = fresh()
    entry = copy.deepcopy(history.requests[0]["status"]["decisions"][0])
    history.requests[0]["status"]["decisions"].append({**entry, "sequence": 3})
    known = [("shop", checkpoint(6))]

    def found(records: list[Raw]) -> list[str]:
        args = (records, history.requests, history.exceptions, PUBLIC, history.heads)
        return [finding.code.value for finding in verify(*args, checkpoints=known)]

    assert found(RECORDS) == ["NotRecorded", "WrongSignature"]
    assert found(RECORDS[6:]) == ["WrongSignature"]


def test_copies_of_several_checkpoints_are_held_to_all() -> None:
    assert codes(RECORDS[2:5], checkpoint(2), heads=[]) == {"NotRecorded"}
    assert codes(RECORDS, checkpoint(2), checkpoint(5)) == set()
    wrong = Checkpoint(Head(2, DIGEST), minutes(2))
    assert codes(RECORDS[2:], wrong, checkpoint(5)) == {"BrokenLink"}


def lines(records: list[Raw]) -> bytes:
    return b"".join(export_line(record) + b"\n" for record in records)


def test_an_export_says_what_it_lacks() -> None:
    content = lines(RECORDS[:3])
    found = exported(content)
    assert list(found) == [record["metadata"]["name"] for record in RECORDS[:3]]
    assert missing_in(found, RECORDS[:3]) == []
    assert missing_in(found, RECORDS[1:5]) == [export_line(record) for record in RECORDS[3:5]]
    changed = copy.deepcopy(RECORDS[:1])
    changed[0]["spec"]["rationale"] = "another"
    with pytest.raises(ExportError, match=r"shop\.00000001 is another record there"):
        missing_in(found, changed)


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b"\n",
        b"\xff\n",
        b'{"kind":"CABRequest"}\n',
        json.dumps(json.loads(lines(RECORDS[:1]))).encode() + b"\n",
        lines(RECORDS[:1] * 2),
    ],
)
def test_what_is_no_export_is_refused(content: bytes) -> None:
    with pytest.raises(ExportError, match="line "):
        exported(content)


@given(st.integers(0, 400))
def test_half_a_line_that_a_crash_left_is_known(cut: int) -> None:
    half = export_line(RECORDS[1])[:cut]
    assert torn(lines(RECORDS[:1]) + half, RECORDS) == len(half)
    assert torn(b"", RECORDS) == 0
    with pytest.raises(ExportError, match="its last line is not finished"):
        torn(lines(RECORDS[:1]) + half + b"?", RECORDS)


def test_age_is_asked_of_each_chain_by_itself() -> None:
    other = copy.deepcopy(RECORDS)
    for record in other:
        record["spec"]["subject"]["namespace"] = "other"
        record["spec"]["at"] = "2026-03-01T12:00:00Z"
    found = prefixes([*RECORDS, *other], {}, minutes(30) - timedelta(minutes=10))
    assert [prefix.namespace for prefix in found] == ["shop"]
