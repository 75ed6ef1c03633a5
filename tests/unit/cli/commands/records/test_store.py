# SPDX-License-Identifier: Apache-2.0
"""Commands that read the ledger from an event store say what they say of the cluster's export, and
find what somebody changed in the database."""

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cabgate.ledger.chain import Checkpoint, Head, record_digest
from cabgate.ledger.kept import kept
from cabgate_samples.models import NOW
from cabgate_samples.objects import GOOD
from cabgate_store.opening import open_to_append
from support.stores import Place, change
from unit.cli.commands.records.test_ledger import KEYS, config_map, exported, heads
from unit.cli.support import run
from unit.core.ledger.histories import STORY, fresh
from unit.core.ledger.test_other_models import STRICT, forged, scored
from unit.store.conftest import place as place
from unit.store.conftest import postgresql as postgresql

TIME = ("--since", "2026-03-01", "--until", "2026-03-02")


@pytest.fixture
def store(place: Place) -> Place:
    """A store that has the ledger of cluster `one`."""
    appending = open_to_append(place.append, NOW)
    appending.append("one", STORY.records, {}, NOW)
    appending.close()
    return place


@pytest.fixture
def copies(tmp_path: Path) -> list[str]:
    """Options with copies of keys and heads that are kept elsewhere."""
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    (tmp_path / "heads.json").write_text(json.dumps(heads()))
    return ["--keys", f"{tmp_path}/keys.json", "--heads", f"{tmp_path}/heads.json"]


def test_the_ledger_of_a_store_verifies(store: Place, copies: list[str]) -> None:
    result = run("ledger", "verify", "--from", store.read, *copies)
    assert result.stdout.startswith("nothing is wrong: 7 records in 1 chain, against 0 requests, ")
    assert result.stderr == ""


def test_a_record_that_was_changed_in_the_database_is_found(
    store: Place, copies: list[str]
) -> None:
    change(
        store,
        "UPDATE records SET content = replace(content, 'rita', 'mallory') WHERE sequence = ?",
        3,
    )
    result = run("ledger", "verify", "--from", store.read, *copies, code=1)
    assert "CABDecision shop.00000003: ChangedRecord" in result.stdout


def test_a_record_that_was_changed_with_all_digests_behind_it_is_found(
    store: Place, copies: list[str]
) -> None:
    history = fresh()
    history.records[2]["spec"]["author"]["username"] = "mallory"
    history.rebuild()
    for number, record in enumerate(history.records, 1):
        assert record["spec"]["digest"] == record_digest(record["spec"])
        change(
            store,
            "UPDATE records SET content = ?, digest = ? WHERE sequence = ?",
            *(json.dumps(record), record["spec"]["digest"], number),
        )
    result = run("ledger", "verify", "--from", store.read, *copies, code=1)
    assert "CABDecision shop.00000003: WrongSignature" in result.stdout
    assert "chain of shop: HeadGone" in result.stdout


def test_what_was_cut_off_at_the_end_only_a_copy_of_the_heads_shows(
    store: Place, copies: list[str]
) -> None:
    change(store, "DELETE FROM records WHERE sequence = ?", 7)
    run("ledger", "verify", "--from", store.read, *copies[:2])
    result = run("ledger", "verify", "--from", store.read, *copies, code=1)
    assert "HeadGone" in result.stdout


def point(number: int) -> Head:
    return Head(number, STORY.records[number - 1]["spec"]["digest"])


def published(file: Path, name: str, what: object) -> Path:
    file.write_text(json.dumps(config_map(name, {"shop": str(what)})))
    return file


def test_what_was_cut_off_at_the_beginning_is_not_excused_by_the_store_itself(
    store: Place, copies: list[str], tmp_path: Path
) -> None:
    """Who can delete records can write that they were pruned."""
    for number in range(1, 6):
        change(store, "DELETE FROM records WHERE sequence = ?", number)
    change(
        store, "INSERT INTO beginnings VALUES ('one', 'shop', ?)", str(Checkpoint(point(5), NOW))
    )
    for number in (3, 5):
        old = published(tmp_path / "old.json", "cabgate-ledger-heads", point(number))
        arguments = ("ledger", "verify", "--from", store.read, *copies, "--heads", old)
        result = run(*arguments, code=1)
        assert "chain of shop: HeadGone" in result.stdout
        assert f"record {number}, which was published, is not there" in result.stdout
        assert "shop up to record 5" in result.stderr
        report = json.loads(run(*arguments, "-o", "json", code=1).stdout)
        assert report["headsNotLookedFor"] == []


@pytest.mark.parametrize(("pruned", "code"), [(2, 1), (3, 0), (5, 0)])
def test_a_copy_of_the_checkpoints_says_what_was_pruned_before_the_store_had_it(
    place: Place, copies: list[str], tmp_path: Path, pruned: int, code: int
) -> None:
    appending = open_to_append(place.append, NOW)
    appending.append("one", STORY.records[5:], {"shop": Checkpoint(point(5), NOW)}, NOW)
    appending.close()
    old = published(tmp_path / "old.json", "cabgate-ledger-heads", point(3))
    kept = published(
        tmp_path / "kept.json", "cabgate-ledger-checkpoints", Checkpoint(point(pruned), NOW)
    )
    arguments = (
        *("ledger", "verify", "--from", place.read),
        *(*copies, "--heads", old, "--heads", kept),
    )
    result = run(*arguments, code=code)
    assert ("HeadGone" in result.stdout) == bool(code)
    assert ("1 published head not looked for" in result.stderr) == (not code)
    report = json.loads(run(*arguments, "-o", "json", code=code).stdout)
    named = [] if code else [{"namespace": "shop", "sequence": 3}]
    assert report["headsNotLookedFor"] == named


def test_anomalies_of_a_store_are_told(store: Place, copies: list[str]) -> None:
    forged = fresh().records[2]
    forged["spec"]["author"]["username"] = "mallory"
    open_to_append(store.append, NOW).append("one", [forged], {}, NOW)
    result = run("ledger", "verify", "--from", store.read, *copies)
    assert "1 anomaly in the store" in result.stderr
    assert "record 3 of shop: Fork" in result.stderr
    report = json.loads(run("ledger", "verify", "--from", store.read, *copies, "-o", "json").stdout)
    assert [each["code"] for each in report["anomalies"]] == ["Fork"]


def test_report_list_and_audit_say_what_they_say_of_the_export(
    store: Place, copies: list[str], tmp_path: Path
) -> None:
    export = tmp_path / "export.json"
    export.write_text(json.dumps(exported()))
    report: Any = ("report", *TIME, "-o", "json")
    assert run(*report, "--from", store.read).stdout == run(*report, "-f", export).stdout
    listed: Any = ("ledger", "list", "--verdict", "Approved")
    assert run(*listed, "--from", store.read).stdout == run(*listed, "-f", export).stdout
    out = tmp_path / "audit.zip"
    run("audit", "export", "--from", store.read, *TIME, *copies, "--out", out)
    with zipfile.ZipFile(out) as archive:
        lines = archive.read("ledger.jsonl").splitlines()
    assert [json.loads(line)["spec"] for line in lines] == [r["spec"] for r in STORY.records]


def test_what_the_store_kept_is_verified_and_goes_into_the_archive(
    store: Place, copies: list[str], tmp_path: Path
) -> None:
    """The request and the model are long gone in the cluster."""
    appending = open_to_append(store.append, NOW)
    appending.append("one", STORY.records, {}, NOW)
    right, model = scored(GOOD), STRICT.to_dict()
    requests = [*STORY.requests, right]
    appending.keep("one", [kept("CABRequest", each) for each in requests], NOW)
    verified: Any = ("ledger", "verify", "--from", store.read, *copies)
    result = run(*verified)
    assert "against 5 requests" in result.stdout
    assert "1 score not computed anew: the risk model (strict)" in result.stderr
    appending.keep("one", [kept("RiskModel", model)], NOW)
    assert "not computed anew" not in run(*verified).stderr

    appending.keep("one", [kept("CABRequest", forged(right, score="99.00"))], NOW)
    result = run(*verified, code=1)
    assert "WrongAssessment" in result.stdout
    out = tmp_path / "audit.zip"
    run("audit", "export", "--from", store.read, *TIME, *copies, "--out", out, code=1)
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path)
    files: Any = ("-f", tmp_path / "ledger.jsonl", "-f", tmp_path / "checkpoints.json")
    of_archive = run("ledger", "verify", *files, *copies, code=1)
    assert of_archive.stdout == result.stdout


def test_what_a_forged_record_holds_steers_no_terminal(store: Place) -> None:
    record = fresh().records[2]
    record["metadata"]["name"] = "shop\x1b[2J.00000003"
    record["spec"]["subject"]["name"] = "pay\x1b]0;x\x07\u202e"
    change(store, "UPDATE records SET content = ? WHERE sequence = ?", json.dumps(record), 3)
    result = run("ledger", "list", "--from", store.read)
    assert "[2J" in result.stdout
    printed = (result.stdout + result.stderr).replace("\n", "")
    assert printed.isprintable()


@pytest.mark.parametrize("command", [("list",), ("verify", "--keys")])
def test_a_forged_file_ends_no_command_by_an_unexpected_error(
    tmp_path: Path, copies: list[str], command: tuple[str, ...]
) -> None:
    url = f"sqlite:///{tmp_path}/forged.db"
    open_to_append(url, NOW).close()
    with sqlite3.connect(tmp_path / "forged.db") as file:
        file.execute("INSERT INTO records VALUES ('one', 'shop', 'abc', 'd', '{}', 't')")
    file.close()
    result = run("ledger", *command, *copies[1 : len(command)], "--from", url, code=2)
    assert "table records has a row with a value of another type" in result.stderr


def test_of_several_clusters_one_is_chosen(store: Place, copies: list[str]) -> None:
    open_to_append(store.append, NOW).append("two", STORY.records[:2], {}, NOW)
    result = run("ledger", "verify", "--from", store.read, *copies, code=2)
    assert "choose with --cluster: one, two" in result.stderr
    two: Any = ("ledger", "list", "--from", store.read, "--cluster", "two")
    assert len(run(*two).stdout.splitlines()) == 3
    result = run("ledger", "list", "--from", store.read, "--cluster", "three", code=2)
    assert "nothing of cluster three: it has one, two" in result.stderr


def test_without_keys_nothing_is_verified(store: Place) -> None:
    assert "--keys FILE" in run("ledger", "verify", "--from", store.read, code=2).stderr


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["--from", "sqlite:////nowhere/x.db"], "cannot be read", 4),
        (["--from", "mysql://u:secret@h/d"], "not the URL of a store", 2),
        (["--from", "sqlite:////x.db", "-f", "-"], "one of them", 2),
        (["--from", "sqlite:////x.db", "--context", "prod"], "one of them", 2),
        (["--cluster", "one"], "give --from too", 2),
    ],
)
def test_what_cannot_be_read_is_said(words: list[str], says: str, code: int) -> None:
    result = run("report", *words, code=code)
    assert says in result.stderr
    assert "secret" not in result.stderr
