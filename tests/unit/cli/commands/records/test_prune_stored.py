# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger prune` where a relay keeps the ledger in an event store: what the store does not
have stays, whatever somebody did to the store, and where nobody knows nothing is deleted."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cabgate.ledger.chain import Checkpoint, Head
from cabgate_samples.models import NOW
from cabgate_store.opening import open_to_append
from support.stores import Place, change
from unit.cli.commands.records.test_ledger import config_map, serve
from unit.cli.commands.records.test_prune import CHECKPOINTS, RECORDS, Writable
from unit.cli.support import run
from unit.store.conftest import place as place
from unit.store.conftest import postgresql as postgresql


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Writable:
    """One that has the Lease of a relay."""
    found = Writable()
    found.lease = None
    serve(monkeypatch, found)
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "2026.jsonl"


def filled(place: Place, count: int, first: int = 1) -> Place:
    """A store that has so many records of the ledger."""
    appending = open_to_append(place.append, NOW)
    checkpoints = {}
    if first > 1:
        checkpoints["shop"] = point(first - 1)
    appending.append("one", RECORDS[first - 1 : count], checkpoints, NOW)
    appending.close()
    return place


def point(number: int) -> Checkpoint:
    return Checkpoint(Head(number, RECORDS[number - 1]["spec"]["digest"]), NOW)


def pruned(out: Path, *args: str, code: int = 0) -> Any:
    return run("ledger", "prune", "--older-than", "0", "--out", str(out), *args, code=code)


def nothing_happened(cluster: Writable, out: Path) -> None:
    assert cluster.log == []
    assert not out.exists()
    assert len(cluster.lists["cabdecisions"]) == len(RECORDS)


def test_what_the_store_has_is_pruned(cluster: Writable, out: Path, place: Place) -> None:
    store = filled(place, 6)
    result = pruned(out, "--stored-in", store.read, "--cluster", "one")
    assert result.stdout.endswith(f"pruned: 6 records, exported to {out}\n")
    assert len(cluster.lists["cabdecisions"]) == 1


def test_where_a_relay_runs_nothing_is_pruned_without_its_store(
    cluster: Writable, out: Path
) -> None:
    result = pruned(out, code=2)
    assert "--stored-in" in result.stderr
    assert "Lease cabgate-relay" in result.stderr
    nothing_happened(cluster, out)


@pytest.mark.parametrize(
    "answer",
    [ApiException(status=403), ApiException(status=500), HTTPError("no route"), ValueError("html")],
    ids=["forbidden", "failed", "away", "nonsense"],
)
def test_where_nobody_knows_whether_one_runs_nothing_is_pruned(
    cluster: Writable, out: Path, answer: Exception
) -> None:
    cluster.lease = answer
    pruned(out, code=4)
    nothing_happened(cluster, out)


def test_without_a_relay_no_store_is_asked_for(cluster: Writable, out: Path) -> None:
    cluster.lease = ApiException(status=404)
    assert "pruned: 6 records" in pruned(out).stdout


def test_a_record_that_the_store_has_not_yet_keeps_all_in_the_cluster(
    cluster: Writable, out: Path, place: Place
) -> None:
    store = filled(place, 4)
    for words in ((), ("--dry-run",)):
        result = pruned(out, "--stored-in", store.read, *words, code=1)
        assert [line for line in result.stdout.splitlines() if line.startswith("shop.")] == [
            "shop.00000005: the event store does not have it",
            "shop.00000006: the event store does not have it",
        ]
        nothing_happened(cluster, out)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("UPDATE records SET content = replace(content, 'rita', 'mallory') WHERE sequence = ?", 3),
        ("UPDATE records SET content = '{}' WHERE sequence = ?", 3),
        ("UPDATE records SET content = 'no JSON' WHERE sequence = ?", 3),
        ("DELETE FROM records WHERE sequence = ?", 3),
    ],
    ids=["changed", "emptied", "garbage", "deleted"],
)
def test_a_record_that_somebody_changed_in_the_store_stays_in_the_cluster(
    cluster: Writable, out: Path, place: Place, sql: str, values: int
) -> None:
    store = filled(place, 7)
    change(store, sql, values)
    result = pruned(out, "--stored-in", store.read, code=1)
    assert "shop.00000003: the event store " in result.stdout
    nothing_happened(cluster, out)


def test_a_copy_elsewhere_in_the_store_stands_for_no_record(
    cluster: Writable, out: Path, place: Place
) -> None:
    store = filled(place, 7)
    content = json.dumps({"metadata": {"name": "shop.00000003"}, "spec": {}})
    change(store, "UPDATE records SET content = ? WHERE sequence = ?", content, 3)
    change(
        store,
        "UPDATE records SET content = ? WHERE sequence = ?",
        *(json.dumps(RECORDS[2]), 7),
    )
    result = pruned(out, "--stored-in", store.read, code=1)
    assert "shop.00000003: the event store has another record there" in result.stdout
    nothing_happened(cluster, out)


def test_the_store_of_another_cluster_or_an_empty_one_is_refused(
    cluster: Writable, out: Path, place: Place
) -> None:
    store = filled(place, 7)
    assert (
        "nothing of cluster two"
        in pruned(out, "--stored-in", store.read, "--cluster", "two", code=2).stderr
    )
    assert "give --stored-in" in pruned(out, "--cluster", "one", code=2).stderr
    nothing_happened(cluster, out)


def test_a_store_that_does_not_answer_is_refused(
    cluster: Writable, out: Path, tmp_path: Path
) -> None:
    pruned(out, "--stored-in", f"sqlite:///{tmp_path}/none.db", code=4)
    nothing_happened(cluster, out)


def test_what_an_earlier_prune_left_and_the_store_never_asked_for_goes(
    cluster: Writable, out: Path, place: Place
) -> None:
    """A prune that was killed before there was a relay: a checkpoint, and records behind it."""
    store = filled(place, 7, first=4)
    cluster.maps[CHECKPOINTS] = config_map(CHECKPOINTS, {"shop": str(point(3))})
    assert "pruned: 6 records" in pruned(out, "--stored-in", store.read).stdout


def test_a_beginning_that_somebody_wrote_into_the_store_excuses_nothing(
    cluster: Writable, out: Path, place: Place
) -> None:
    store = filled(place, 7, first=4)
    result = pruned(out, "--stored-in", store.read, code=1)
    assert "shop.00000003: the event store does not have it" in result.stdout
    nothing_happened(cluster, out)
