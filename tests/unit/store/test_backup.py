# SPDX-License-Identifier: Apache-2.0
"""A store that is restored from a backup is append-only as before, and what came after the backup
is appended anew."""

import contextlib
import sqlite3
import subprocess
from pathlib import Path

import psycopg
import pytest

from cabgate.ledger.kept import kept
from cabgate.ledger.pruning import export_line
from cabgate_samples.models import NOW
from cabgate_store.opening import open_to_append, open_to_read
from support.postgres import GIVEN, Database, Postgres, programs
from support.stores import prepared_in
from unit.core.ledger.histories import STORY

LINES = [export_line(each) for each in STORY.records]
UIDS = [each["metadata"]["uid"] for each in STORY.requests]


def append(url: str, records: int, requests: int) -> None:
    """Append the first records, and keep the first of the requests that they are about."""
    with contextlib.closing(open_to_append(url, NOW)) as store:
        store.append("one", STORY.records[:records], {}, NOW)
        store.keep("one", [kept("CABRequest", each) for each in STORY.requests[:requests]], NOW)


def lines(url: str) -> list[bytes]:
    with contextlib.closing(open_to_read(url)) as store:
        return [export_line(each) for each in store.records("one")]


def contents(url: str) -> list[str]:
    """Uid of each request whose content is kept."""
    with contextlib.closing(open_to_read(url)) as store:
        return [each["metadata"]["uid"] for each in store.objects("one", "CABRequest")]


@pytest.mark.slow
@pytest.mark.skipif(bool(GIVEN), reason="pg_dump has to be of the version of its server")
def test_a_dump_of_postgresql(postgresql: Postgres) -> None:
    first = postgresql.database()
    prepared_in(first)
    append(first.url(first.writer), 4, 2)
    command = [programs() / "pg_dump", "--schema=cabgate", first.superuser]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    append(first.url(first.writer), 7, 4)

    second = Database(postgresql, f"{first.name}_restored")
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{second.name}" OWNER "{first.owner}"'.encode())
    restore = [programs() / "psql", "-v", "ON_ERROR_STOP=1", "-q", second.superuser]
    subprocess.run(restore, check=True, input=dump, text=True, capture_output=True)
    writer = second.url(first.writer)
    assert lines(second.url(first.reader)) == LINES[:4]
    assert contents(second.url(first.reader)) == UIDS[:2]
    append(writer, 7, 4)
    assert lines(writer) == LINES
    assert contents(writer) == UIDS
    for table in (b"records", b"objects"):
        with psycopg.connect(second.superuser) as connection:
            connection.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                connection.execute(b"DELETE FROM cabgate." + table)


def test_a_backup_of_an_sqlite_file(tmp_path: Path) -> None:
    url, copy = (f"sqlite:///{tmp_path}/{name}.db" for name in ("events", "copy"))
    append(url, 4, 2)
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "events.db")) as source,
        contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as target,
    ):
        source.backup(target)
    append(url, 7, 4)
    assert lines(copy) == LINES[:4]
    assert contents(copy) == UIDS[:2]
    append(copy, 7, 4)
    assert lines(copy) == LINES
    assert contents(copy) == UIDS
    for statement in ("DELETE FROM records", "DELETE FROM objects"):
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "copy.db")) as file,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            file.execute(statement)
