# SPDX-License-Identifier: Apache-2.0
"""The event store, in real databases: whole, in order, never changed."""

import copy
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cabgate.ledger.chain import Checkpoint, Head, record_digest
from cabgate.ledger.kept import kept
from cabgate.ledger.pruning import export_line
from cabgate.ledger.verification import verify
from cabgate_samples.models import NOW
from cabgate_store import schema
from cabgate_store.errors import StoreAwayError, StoreError
from cabgate_store.opening import database_of, open_to_append, open_to_read
from cabgate_store.store import EventStore
from support.postgres import Postgres
from support.stores import Place, change, prepared
from unit.core.ledger.histories import PUBLIC, STORY, fresh

RECORDS = STORY.records
TABLES = ("records", "anomalies", "beginnings", "objects")


REFUSED = "append-only|permission denied|must be owner|duplicate key"


def chain_of_two_namespaces() -> list[dict[str, Any]]:
    """The story in `shop`, and the same in `till`."""
    other = copy.deepcopy(RECORDS)
    previous = None
    for record in other:
        spec = record["spec"]
        record["metadata"]["name"] = record["metadata"]["name"].replace("shop", "till")
        spec["subject"]["namespace"] = "till"
        spec["subject"]["uid"] += "-till"
        if previous is not None:
            spec["previousDigest"] = previous
        previous = spec["digest"] = record_digest(spec)
    return [each for pair in zip(RECORDS, other, strict=True) for each in pair]


def stored(store: EventStore, cluster: str = "one") -> list[bytes]:
    return [export_line(record) for record in store.records(cluster)]


def test_it_gives_back_each_record_as_it_was_to_the_byte(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    made = store.append("one", chain_of_two_namespaces(), {}, NOW)
    assert (made.records, made.anomalies, made.missing) == (14, [], {})
    reader = open_to_read(place.read)
    assert reader.clusters() == ["one"]
    found = list(reader.records("one"))
    assert [export_line(r) for r in found if "shop" in r["metadata"]["name"]] == [
        export_line(r) for r in RECORDS
    ]
    assert not verify(found[:7], STORY.requests, STORY.exceptions, PUBLIC, STORY.heads)
    again = store.append("one", chain_of_two_namespaces(), {}, NOW)
    assert (again.records, again.anomalies) == (0, [])


def test_clusters_share_a_database_and_nothing_else(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    store.append("one", RECORDS, {}, NOW)
    other = fresh()
    other.records[0]["spec"]["author"]["username"] = "another"
    other.rebuild()
    made = store.append("two", other.records[:3], {}, NOW)
    assert (made.records, made.anomalies) == (3, [])
    assert store.clusters() == ["one", "two"]
    assert stored(store) == [export_line(r) for r in RECORDS]
    assert stored(store, "two") == [export_line(r) for r in other.records[:3]]
    assert stored(store, "three") == []


def test_a_pruned_chain_begins_at_its_checkpoint_and_verifies(place: Place) -> None:
    head = Head(3, RECORDS[2]["spec"]["digest"])
    store = open_to_append(place.append, NOW)
    checkpoint = Checkpoint(head, NOW)
    assert store.append("one", RECORDS[3:5], {"shop": checkpoint}, NOW).records == 2
    assert store.append("one", RECORDS[3:], {"shop": checkpoint}, NOW).records == 2
    assert store.beginnings("one") == {"shop": checkpoint}
    found = list(store.records("one"))
    assert verify(found, [], [], PUBLIC)
    assert not verify(found, [], [], PUBLIC, checkpoints=store.beginnings("one").items())


def test_a_beginning_that_no_prune_explains_is_told_of(place: Place) -> None:
    """Who may append, and nothing else, can claim a chain before its first record comes."""
    database = database_of(place.append, write=True)
    false = Checkpoint(Head(9, "sha256:" + "1" * 64), NOW)
    database.insert("INSERT INTO beginnings VALUES (?, ?, ?)", [("one", "shop", str(false))])
    database.close()
    store = open_to_append(place.append, NOW)
    assert store.append("one", RECORDS[:1], None, NOW).anomalies == []
    found = store.append("one", RECORDS, {}, NOW).anomalies
    assert [(each.sequence, each.code) for each in found] == [
        (number, "MissingRecord") for number in range(1, 8)
    ]
    assert store.append("one", RECORDS, {}, NOW).anomalies == [], "each once"


def test_a_gap_waits_for_what_is_missing(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    assert store.append("one", RECORDS[1:], {}, NOW).missing == {"shop": 1}
    assert stored(store) == []
    assert store.append("one", RECORDS, {}, NOW).records == 7


def test_another_record_at_the_same_place_is_an_anomaly_once_and_replaces_nothing(
    place: Place,
) -> None:
    store = open_to_append(place.append, NOW)
    store.append("one", RECORDS, {}, NOW)
    forged = copy.deepcopy(RECORDS[2])
    forged["spec"]["author"]["username"] = "mallory"
    forged["spec"]["digest"] = record_digest(forged["spec"])
    (anomaly,) = store.append("one", [forged], {}, NOW).anomalies
    assert (anomaly.chain, anomaly.sequence, anomaly.code) == ("shop", 3, "Fork")
    assert store.append("one", [forged], {}, NOW).anomalies == []
    assert store.anomalies("one") == [anomaly]
    assert store.anomalies("two") == []
    assert stored(store) == [export_line(r) for r in RECORDS]


def test_what_an_anomaly_holds_may_be_of_any_text(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    broken = copy.deepcopy(RECORDS[0])
    broken["spec"]["rationale"] = "\x00 \ud800 '; DROP TABLE records; --"
    assert store.append("one", [broken], {}, NOW).anomalies
    (name_of_nothing,) = store.append("one", [{"metadata": {"name": "x"}}], {}, NOW).anomalies
    assert name_of_nothing.code == "Misnamed"


def test_what_fails_within_a_batch_leaves_nothing_of_it(place: Place) -> None:
    store = open_to_append(place.append, NOW)
    store.append("one", RECORDS[:1], {}, NOW)

    database = database_of(place.append, write=True)
    row = ("one", "till", 1, RECORDS[0]["spec"]["digest"], "{}", "2026-01-01T00:00:00Z")

    def fail() -> None:
        with database.writing("one"):
            database.insert("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", [row])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(stored(store)) == 1
    assert EventStore(database).append("one", RECORDS, {}, NOW).records == 6


def test_two_who_append_at_once_make_one_chain(place: Place) -> None:
    """A relay that led before, and does not know better."""
    forked = fresh()
    for record in forked.records:
        record["spec"]["rationale"] = "of another"
    forked.rebuild()

    def append(records: list[dict[str, Any]]) -> None:
        store = open_to_append(place.append, NOW)
        for record in records:
            store.append("one", [record], {}, NOW)
        store.close()

    with ThreadPoolExecutor(2) as both:
        list(both.map(append, [RECORDS, forked.records]))
    store = open_to_read(place.read)
    found = list(store.records("one"))
    codes = {each.code for each in verify(found, [], [], PUBLIC)}
    assert not codes & {"BrokenLink", "MissingRecord", "Fork"}
    assert {each.code for each in store.anomalies("one")} <= {"Fork", "BrokenLink"}
    assert store.anomalies("one")


@pytest.mark.parametrize("table", TABLES)
def test_nothing_can_be_changed_or_deleted(place: Place, table: str) -> None:
    store = open_to_append(place.append, NOW)
    checkpoint = Checkpoint(Head(3, RECORDS[2]["spec"]["digest"]), NOW)
    store.append("one", [*RECORDS[3:], RECORDS[0] | {"metadata": {}}], {"shop": checkpoint}, NOW)
    store.keep("one", [kept("CABRequest", STORY.requests[0])], NOW)
    before = database_of(place.read, write=False).rows(f"SELECT * FROM {table}")
    assert before
    places = "?, " * (len(before[0]) - 1) + "?"
    attacks = [
        (f"UPDATE {table} SET cluster = 'two'", ()),
        (f"DELETE FROM {table}", ()),
        (f"INSERT INTO {table} VALUES ({places})", before[0]),
    ]
    if place.kind == "sqlite":
        attacks.append((f"INSERT OR REPLACE INTO {table} VALUES ({places})", before[0]))
    else:
        attacks += [
            (f"TRUNCATE {table}", ()),
            (f"DROP TABLE {table}", ()),
            (f"ALTER TABLE {table} DISABLE TRIGGER ALL", ()),
            (f"DROP TRIGGER append_only ON {table}", ()),
            (f"INSERT INTO {table} VALUES ({places}) ON CONFLICT ON CONSTRAINT {table}_pkey "
             "DO UPDATE SET cluster = 'x'", before[0]),
            (f"CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING", ()),
        ]  # fmt: skip
    # Not the writer, and not whoever may do anything unless he takes pains.
    for url in (place.append, place.anything):
        refused = attacks[:3] if url != place.append else attacks
        for sql, values in refused:
            database = database_of(url, write=True)
            with pytest.raises(StoreError, match=REFUSED):
                database.insert(sql, [values])
            database.close()
    assert database_of(place.read, write=False).rows(f"SELECT * FROM {table}") == before


def test_who_reads_writes_nothing(place: Place) -> None:
    store = open_to_read(place.read)
    with pytest.raises(StoreError):
        store.append("one", RECORDS, {}, NOW)
    with pytest.raises(StoreError):
        database_of(place.read, write=False).script("CREATE TABLE x (y TEXT);")


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE records SET content = replace(content, 'rita', 'mallory') WHERE sequence = 3",
         {"ChangedRecord", "WrongSignature"}),
        ("UPDATE records SET content = 'gone' WHERE sequence = 3", {"Unreadable", "MissingRecord"}),
        ("UPDATE records SET content = '[]' WHERE sequence = 3", {"Unreadable", "MissingRecord"}),
        ("UPDATE records SET cluster = 'two' WHERE sequence = 3", {"MissingRecord"}),
        ("DELETE FROM records WHERE sequence = 3", {"MissingRecord"}),
        ("DELETE FROM records WHERE sequence = 7", {"HeadGone"}),
    ],
)  # fmt: skip
def test_verify_finds_what_was_changed_in_the_database(
    place: Place, sql: str, found: set[str]
) -> None:
    open_to_append(place.append, NOW).append("one", RECORDS, {}, NOW)
    change(place, sql)
    records = list(open_to_read(place.read).records("one"))
    codes = {each.code.value for each in verify(records, [], [], PUBLIC, STORY.heads)}
    assert codes >= found


def test_a_forged_digest_of_the_last_record_stops_the_chain_and_hides_nothing(
    place: Place,
) -> None:
    store = open_to_append(place.append, NOW)
    store.append("one", RECORDS[:3], {}, NOW)
    change(place, "UPDATE records SET digest = ? WHERE sequence = 3", "sha256:" + "1" * 64)
    made = store.append("one", RECORDS, {}, NOW)
    assert made.missing == {"shop": 4}
    assert [each.code for each in made.anomalies] == ["BrokenLink"]


def test_a_store_of_a_newer_release_is_left_alone(place: Place) -> None:
    database = database_of(place.anything, write=True)
    database.insert("INSERT INTO migrations VALUES (?, ?)", [(9999, "2026-01-01T00:00:00Z")])
    for opened in (lambda: open_to_append(place.append, NOW), lambda: open_to_read(place.read)):
        with pytest.raises(StoreError, match="newer release"):
            opened()


def test_to_prepare_twice_changes_nothing(place: Place) -> None:
    if place.kind == "postgresql":
        return  # only its owner may, below
    database = database_of(place.append, write=True)
    assert schema.prepare(database, NOW) == []
    with pytest.raises(StoreError, match="no roles"):
        schema.prepare(database, NOW, ["somebody"])


@pytest.mark.slow
def test_who_could_change_what_is_stored_is_no_user_to_append_with(postgresql: Postgres) -> None:
    made = postgresql.database()
    owner = database_of(made.url(made.owner), write=True)
    with pytest.raises(StoreError, match="cabgate-relay prepare"):
        open_to_append(made.url(made.writer), NOW)
    assert schema.prepare(owner, NOW, [made.writer]) == [1, 2, 3, 4]
    assert schema.prepare(owner, NOW, [made.writer], [made.reader]) == []
    for url in (made.url(made.owner), made.superuser):
        with pytest.raises(StoreError, match="append-only"):
            open_to_append(url, NOW)
    open_to_append(made.url(made.writer), NOW).close()
    with psycopg.connect(made.superuser, autocommit=True) as connection:
        connection.execute(f"GRANT UPDATE (content) ON cabgate.records TO {made.writer}")
    with pytest.raises(StoreError, match="may change, records"):
        open_to_append(made.url(made.writer), NOW)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("ALTER SCHEMA cabgate OWNER TO {}", "schema cabgate"),
        ("ALTER FUNCTION cabgate.refuse_change() OWNER TO {}", r"function refuse_change\(\)"),
        ("ALTER DATABASE {database} OWNER TO {}", "database t"),
    ],
)
@pytest.mark.parametrize("member", [False, True])
def test_who_could_drop_what_is_stored_is_no_user_to_append_with(
    postgresql: Postgres, statement: str, found: str, member: bool
) -> None:
    """Its tables are another's, and go with their schema all the same."""
    made = postgresql.database()
    owner = database_of(made.url(made.owner), write=True)
    schema.prepare(owner, NOW, [made.writer], [made.reader])
    open_to_append(made.url(made.writer), NOW).close()
    with psycopg.connect(made.superuser, autocommit=True) as connection:
        to = made.reader if member else made.writer
        connection.execute(statement.format(to, database=made.name))
        if member:
            connection.execute(f"GRANT {made.reader} TO {made.writer}")
    with pytest.raises(StoreError, match=f"owns, or may change, {found}"):
        open_to_append(made.url(made.writer), NOW)


@pytest.mark.slow
def test_a_table_of_ones_own_stands_for_none_of_the_stores(postgresql: Postgres) -> None:
    place = prepared(postgresql)
    open_to_append(place.append, NOW).append("one", RECORDS, {}, NOW)
    database = database_of(place.append, write=True)
    database.script("CREATE TEMP TABLE records (LIKE cabgate.records)")
    assert len(list(EventStore(database).records("one"))) == 7


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "mysql://u:secret@h/d", "sqlite://", "sqlite:///", "sqlite://host/x"),
        *("sqlite:////tmp/x?mode=rw", "postgresql://", "postgresql://u:secret@h:x/d?nonsense=1"),
        # A password that is not escaped: libpq takes its rest for a host, a port or a database.
        *("postgresql://relay:s3cr@secret!pw@127.0.0.1/d", "postgresql://u:x@secret@/d?host=/x"),
        *("postgresql://relay:secret/x@127.0.0.1/d", "postgresql://relay:12/secret@127.0.0.1/d"),
        *("postgresql://u:12?dbname=secret@127.0.0.1/d", "postgresql://relay:secret/d"),
        *("postgresql://u:secret\udcff@127.0.0.1/d", "postgresql://u:secret%ff@127.0.0.1:1/d"),
    ],
)
def test_what_is_no_url_of_a_store_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(StoreError) as error:
        open_to_read(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("records", ("one", "shop", "abc", "d", "{}", "t")),
        ("records", ("one", b"shop", 1, "d", "{}", "t")),
        ("records", (b"one", "shop", 1, "d", "{}", "t")),
        ("records", ("one", "shop", 1, "d", b"\xff", "t")),
        ("records", ("one", "shop", 1, b"d", "{}", "t")),
        ("beginnings", ("one", b"shop", "x")),
        ("beginnings", ("one", "shop", b"x")),
        ("anomalies", ("one", b"shop", 1, "Fork", "s", "m", "c", "t")),
        ("anomalies", ("one", "shop", "x", "Fork", "s", "m", "c", "t")),
        ("anomalies", ("one", "shop", 1, "Fork", "s", b"\xff", "c", "t")),
    ],
)
def test_a_forged_file_with_values_of_other_types_is_refused(
    tmp_path: Path, table: str, row: tuple[Any, ...]
) -> None:
    url = f"sqlite:///{tmp_path}/forged.db"
    open_to_append(url, NOW).close()
    with sqlite3.connect(tmp_path / "forged.db") as file:
        file.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    file.close()

    def read() -> None:
        store = open_to_read(url)
        store.clusters()
        list(store.records("one"))
        store.head("one", "shop")
        store.beginnings("one")
        store.anomalies("one")

    with pytest.raises(StoreError, match=f"table .*{table} .*not written by cabgate"):
        read()


def test_a_file_whose_name_is_not_utf_8_is_one_like_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store\udcff.db"
    open_to_append(url, NOW).close()
    assert open_to_read(url).clusters() == []


def test_a_store_that_is_not_there_is_away(tmp_path: Any) -> None:
    for url in (f"sqlite:///{tmp_path}/none.db", f"postgresql://u@/d?host={tmp_path}"):
        with pytest.raises(StoreAwayError):
            open_to_read(url)
    assert not list(tmp_path.iterdir()), "to read makes no file"
    (tmp_path / "other").write_text("no database at all, by far " * 100)
    with pytest.raises(StoreError):
        open_to_read(f"sqlite:///{tmp_path}/other")
