# SPDX-License-Identifier: Apache-2.0
"""Records of a chain: whatever is changed, deleted, moved or forked is found."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.ledger.chain import (
    record_digest,
    record_name,
)
from cabgate.ledger.findings import ADVICE, FindingCode
from cabgate.ledger.verification import verify
from cabgate_samples.models import NOW
from cabgate_samples.objects import GOOD
from unit.core.ledger.histories import PUBLIC, STORY, fresh

POSITIONS = st.integers(0, len(STORY.records) - 1)


def test_an_untouched_ledger_is_clean() -> None:
    assert len(STORY.records) == 7
    assert not fresh().findings()
    verdicts = [record["spec"]["verdict"] for record in STORY.records]
    assert verdicts[:4] == ["UnderReview", "AutoApproved", "Approved", "ConditionallyApproved"]
    assert [record["spec"]["sequence"] for record in STORY.records] == list(range(1, 8))
    for before, after in zip(STORY.records, STORY.records[1:], strict=False):
        assert after["spec"]["previousDigest"] == before["spec"]["digest"]


def test_the_order_in_which_records_are_read_does_not_matter() -> None:
    history = fresh()
    history.records = [*reversed(history.records), copy.deepcopy(history.records[2])]
    assert not history.findings()


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return [path]
    return [leaf for key, item in items for leaf in _leaves(item, (*path, key))]


def _parent(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path[:-1]:
        value = value[part]
    return value


def _other(value: Any) -> Any:
    """Another value that the schema takes, if there is one."""
    if isinstance(value, int):
        return value + 1
    swaps = {"Person": "System", "System": "Person", "Approved": "Rejected", "0": "1"}
    if value in swaps:
        return swaps[value]
    last = "1" if value[-1:] == "0" else "0"
    return value[:-1] + last


@given(st.data())
def test_every_changed_field_of_a_record_is_found(data: st.DataObject) -> None:
    history = fresh()
    record = history.records[data.draw(POSITIONS)]
    path = data.draw(st.sampled_from(_leaves(record["spec"])))
    parent = _parent(record["spec"], path)
    if data.draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = _other(parent[path[-1]])
    assert history.codes(heads=False, subjects=False) & {
        "ChangedRecord",
        "Unreadable",
    }


@given(st.data())
def test_a_changed_field_with_every_digest_made_to_fit_is_found(data: st.DataObject) -> None:
    """By a copy of the head always; by the signature if it is what a person said."""
    history = fresh()
    number = data.draw(POSITIONS)
    spec = history.records[number]["spec"]
    paths = [p for p in _leaves(spec) if p[0] not in ("digest", "previousDigest", "sequence")]
    path = data.draw(st.sampled_from(paths))
    parent = _parent(spec, path)
    person = spec["author"]["type"] == "Person"
    parent[path[-1]] = _other(parent[path[-1]])
    history.rebuild()
    assert history.codes(subjects=False) & {"HeadGone", "Unreadable"}
    signed = {"author", "at", "verdict", "rationale", "conditions", "entry", "signature"}
    if person and (path[0] in signed or path == ("subject", "uid")):
        assert history.codes(heads=False, subjects=False)


@given(st.sets(POSITIONS, min_size=1))
def test_deleted_records_are_found(numbers: set[int]) -> None:
    history = fresh()
    history.records = [r for n, r in enumerate(history.records) if n not in numbers]
    assert history.codes(subjects=False)
    assert "NotRecorded" in history.codes(heads=False)
    last = set(range(min(numbers), 7)) == numbers  # a cut: only a copy of the head tells
    assert bool(history.codes(heads=False, subjects=False)) is not last
    history.rebuild()
    assert "HeadGone" in history.codes(subjects=False)
    assert "NotRecorded" in history.codes(heads=False)


@given(st.permutations(range(7)))
def test_reordered_records_are_found(order: list[int]) -> None:
    history = fresh()
    history.records = [history.records[n] for n in order]
    if order == sorted(order):
        return
    for number, record in enumerate(history.records, 1):  # only the names
        record["metadata"]["name"] = record_name("shop", number)
    assert "Misnamed" in history.codes(heads=False, subjects=False)
    for number, record in enumerate(history.records, 1):  # and the positions
        record["spec"]["sequence"] = number
    assert "ChangedRecord" in history.codes(heads=False, subjects=False)
    history.rebuild()
    assert "HeadGone" in history.codes(subjects=False)
    if order[-1] == 6 and order[0] == 1:
        assert history.codes(heads=False, subjects=False) <= {"OutOfOrder"}


def test_decisions_of_one_subject_in_the_wrong_order_are_found() -> None:
    history = fresh()
    own = [n for n, r in enumerate(history.records) if r["spec"]["subject"]["uid"] == "r-1"]
    first, second = own
    records = history.records
    records[first], records[second] = records[second], records[first]
    history.rebuild()
    assert history.codes(heads=False) == {"OutOfOrder"}


@given(POSITIONS, POSITIONS)
def test_a_record_that_stands_twice_is_found(number: int, place: int) -> None:
    history = fresh()
    history.records.insert(place, copy.deepcopy(history.records[number]))
    history.rebuild()
    assert "RecordedTwice" in history.codes(heads=False, subjects=False)


@given(POSITIONS)
def test_a_fork_is_found(number: int) -> None:
    history = fresh()
    forged = copy.deepcopy(history.records[number])
    forged["spec"]["rationale"] = "another"
    forged["spec"]["digest"] = record_digest(forged["spec"])
    history.records.append(forged)
    assert "Fork" in history.codes(heads=False, subjects=False)


def test_a_record_of_another_chain_is_found() -> None:
    history = fresh()
    moved = history.records[6]
    moved["spec"]["subject"]["namespace"] = "elsewhere"
    moved["spec"]["digest"] = record_digest(moved["spec"])
    codes = history.codes(heads=False, subjects=False)
    assert {"Misnamed", "MissingRecord"} <= codes


@pytest.mark.parametrize("number", [0, 5])
def test_records_that_cannot_be_read_are_found(number: int) -> None:
    history = fresh()
    history.records[number] = {"kind": "CABDecision"}
    assert {"Unreadable", "MissingRecord"} <= history.codes(heads=False)


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Person"]),
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.data())
def test_whatever_an_export_holds_there_is_an_answer(data: st.DataObject) -> None:
    history = fresh()
    everything = [history.records, history.requests, history.exceptions]
    for _ in range(data.draw(st.integers(1, 3))):
        items = data.draw(st.sampled_from(everything))
        item = data.draw(st.sampled_from(items))
        path = data.draw(st.sampled_from(_leaves(item) or [()]))
        path = path[: data.draw(st.integers(1, max(len(path), 1)))]
        if path:
            _parent(item, path)[path[-1]] = data.draw(JUNK)
    history.codes()
    verify(*everything, PUBLIC, now=NOW)


def test_a_first_record_with_one_before_it_is_found() -> None:
    history = fresh()
    history.records[0]["spec"]["previousDigest"] = "sha256:" + "0" * 64
    assert "BrokenLink" in history.codes(heads=False)


def test_every_finding_has_advice() -> None:
    assert set(ADVICE) == set(FindingCode)
    assert GOOD  # the story rests on it


def test_every_finding_is_explained_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "ledger.md").read_text()
    explained = set(re.findall(r"^\| `([A-Z][A-Za-z]+)` \|", page, re.MULTILINE))
    assert explained == {code.value for code in FindingCode}
