# SPDX-License-Identifier: Apache-2.0
"""What an archive takes of a chain: all of it once, in order, and nothing that does not follow."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.decision import CABDecision
from cabgate.ledger.archive import Additions, additions
from cabgate.ledger.chain import Checkpoint, Head, record_digest
from cabgate.ledger.links import Chain, Record, chains_of, check_chain
from cabgate.ledger.pruning import export_line
from cabgate.ledger.verification import verify
from cabgate_samples.models import NOW
from unit.core.ledger.histories import PUBLIC, STORY, fresh

RECORDS = STORY.records
LINES = [export_line(record) for record in RECORDS]


def head_of(position: int) -> Head | None:
    """The head of the story's first records."""
    return None if position == 0 else Head.of(CABDecision.model_validate(RECORDS[position - 1]))


def checkpoint_at(position: int) -> Checkpoint:
    head = head_of(position)
    assert head is not None
    return Checkpoint(head, NOW)


class Archive:
    """What was added."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.lines: dict[int, bytes] = {}

    def add(self, raws: list[Any], checkpoint: Checkpoint | None = None) -> Additions:
        made = additions("shop", raws, head=self.head, held=self.lines, checkpoint=checkpoint)
        if made.beginning is not None:
            self.head = made.beginning.head
        for each in made.records:
            assert each.head.sequence not in self.lines, "nothing is replaced"
            self.lines[each.head.sequence] = each.line
            self.head = each.head
        return made


@given(st.lists(st.lists(st.sampled_from(RECORDS))))
def test_whatever_comes_in_whatever_order_the_archive_is_a_beginning_of_the_chain(
    batches: list[list[Any]],
) -> None:
    archive = Archive()
    for batch in batches:
        made = archive.add(batch)
        assert not made.anomalies
        here = list(archive.lines.values())
        assert here == LINES[: len(here)]
        if made.missing is not None:
            assert made.missing == len(here) + 1
    archive.add(RECORDS)
    assert list(archive.lines.values()) == LINES


@given(st.integers(1, len(RECORDS) - 1), st.integers(0, 3))
def test_a_pruned_chain_is_taken_up_at_its_checkpoint(pruned: int, left: int) -> None:
    archive = Archive()
    rest = RECORDS[max(1, pruned - left) :]  # a prune that is under way left some
    made = archive.add(rest, checkpoint_at(pruned))
    assert made.beginning == checkpoint_at(pruned)
    assert list(archive.lines.values()) == LINES[pruned:]
    assert not made.anomalies
    assert archive.add(rest, checkpoint_at(pruned)) == Additions(None, [], [], None)


@given(st.integers(1, len(RECORDS)), st.integers(0, len(RECORDS)))
def test_what_a_forged_beginning_hides_is_told_of(forged: int, pruned: int) -> None:
    """Somebody who may insert rows, and no more, said that the chain had been pruned."""
    archive = Archive()
    archive.head = head_of(forged)
    checkpoint = checkpoint_at(pruned) if pruned else None
    found = archive.add(RECORDS, checkpoint).anomalies
    assert [each.sequence for each in found] == list(range(pruned + 1, forged + 1))
    assert {each.code for each in found} <= {"MissingRecord"}
    assert [each.line for each in found] == LINES[pruned:forged]
    assert list(archive.lines.values()) == LINES[forged:]


def test_a_whole_chain_begins_at_its_first_record_though_there_is_a_checkpoint() -> None:
    archive = Archive()
    assert archive.add(RECORDS, checkpoint_at(3)).beginning is None
    assert len(archive.lines) == len(RECORDS)


def test_a_gap_stops_the_chain_until_what_is_missing_comes() -> None:
    archive = Archive()
    assert archive.add(RECORDS[2:]).missing == 1
    assert archive.add(RECORDS[:1]).missing is None
    # What was pruned before it was archived is missing: a later checkpoint does not hide that.
    assert archive.add(RECORDS[4:], checkpoint_at(4)).missing == 2
    assert archive.add(RECORDS[1:]).missing is None
    assert list(archive.lines.values()) == LINES


@pytest.mark.parametrize("refit", [False, True], ids=["digest left", "digest made to fit"])
@given(position=st.integers(0, len(RECORDS) - 1))
def test_another_record_at_a_place_that_is_taken_is_told_of(refit: bool, position: int) -> None:
    archive = Archive()
    archive.add(RECORDS)
    other = copy.deepcopy(RECORDS[position])
    other["spec"]["author"]["username"] = "mallory"
    if refit:
        other["spec"]["digest"] = record_digest(other["spec"])
    (found,) = archive.add([other]).anomalies
    assert (found.sequence, found.code) == (position + 1, "Fork")
    assert b"mallory" in found.line
    assert list(archive.lines.values()) == LINES


def test_a_record_that_does_not_follow_is_never_taken() -> None:
    history = fresh()
    history.records[3]["spec"]["previousDigest"] = "sha256:" + "1" * 64
    history.records[3]["spec"]["digest"] = record_digest(history.records[3]["spec"])
    archive = Archive()
    made = archive.add(history.records)
    assert [found.code for found in made.anomalies] == ["BrokenLink"]
    assert made.missing == 4
    assert list(archive.lines.values()) == LINES[:3]
    assert archive.add(RECORDS).missing is None, "the genuine one"


def test_a_first_record_that_names_one_before_it_is_never_taken() -> None:
    history = fresh()
    history.records[0]["spec"]["previousDigest"] = "sha256:" + "1" * 64
    assert [found.code for found in Archive().add(history.records).anomalies] == ["BrokenLink"]


def test_a_record_that_was_changed_before_it_came_is_kept_as_it_came_and_told_of() -> None:
    history = fresh()
    history.records[2]["spec"]["author"]["username"] = "mallory"
    archive = Archive()
    (found,) = archive.add(history.records).anomalies
    assert (found.sequence, found.code) == (3, "ChangedRecord")
    assert len(archive.lines) == len(RECORDS), "the chain goes on"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r["spec"].pop("verdict"), "Unreadable"),
        (lambda r: r.update(spec=None), "BrokenLink"),
        (lambda r: r["metadata"].update(name="shop.x"), "Misnamed"),
        (lambda r: r["metadata"].update(name="other.00000003"), "Misnamed"),
        (lambda r: r["metadata"].update(name="shop.00000000"), "Misnamed"),
        (lambda r: r.update(metadata={}), "Misnamed"),
        (lambda r: r["spec"].update(entry=2**60), "ChangedRecord"),
    ],
)
def test_what_cannot_be_read_is_told_of_and_never_raises(change: Any, code: str) -> None:
    history = fresh()
    change(history.records[2])
    made = Archive().add(history.records)
    assert [found.code for found in made.anomalies] == [code]


@given(st.data())
def test_it_takes_what_verify_finds_no_break_in_and_nothing_else(data: st.DataObject) -> None:
    """The archive follows by the rule by which a chain is verified."""
    history = fresh()
    for _ in range(data.draw(st.integers(0, 2))):
        position = data.draw(st.integers(0, len(RECORDS) - 1))
        field = data.draw(st.sampled_from(["previousDigest", "digest"]))
        digits = data.draw(st.sampled_from(["1", "2"])) * 64
        history.records[position]["spec"][field] = f"sha256:{digits}"
    archive = Archive()
    archive.add(history.records)
    taken = history.records[: len(archive.lines)]
    codes = {found.code for found in verify(taken, [], [], PUBLIC)}
    assert not codes & {"BrokenLink", "MissingRecord", "Fork"}
    if len(taken) < len(RECORDS):
        more = history.records[: len(taken) + 1]
        records = [Record(CABDecision.model_validate(raw), raw["spec"]) for raw in more]
        chain: Chain = chains_of(records)["shop"]
        assert {found.code for found in check_chain(chain)} == {"BrokenLink"}
