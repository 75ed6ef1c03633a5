# SPDX-License-Identifier: Apache-2.0
"""New event stores, and what somebody does to them who may do anything."""

import sqlite3
from dataclasses import dataclass
from typing import Any

import psycopg

from cabgate_samples.models import NOW
from cabgate_store import schema
from cabgate_store.opening import database_of
from support.postgres import Database, Postgres


@dataclass(frozen=True)
class Place:
    """Where a store is, for whom."""

    kind: str
    append: str
    """The URL of who appends."""
    read: str
    """That of who reads."""
    anything: str
    """That of who may do anything."""


def prepared(server: Postgres) -> Place:
    """A new database with the tables of a store."""
    made = server.database()
    prepared_in(made)
    urls = (made.url(role) for role in (made.writer, made.reader))
    return Place("postgresql", *urls, made.superuser)


def prepared_in(made: Database) -> None:
    """Make the tables of a store in a new database."""
    owner = database_of(made.url(made.owner), write=True)
    schema.prepare(owner, NOW, [made.writer], [made.reader])
    owner.close()


def change(place: Place, sql: str, *values: Any) -> None:
    """As who may do anything, with what refuses it out of the way."""
    if place.kind == "sqlite":
        (path,) = [
            row[2] for row in database_of(place.read, write=False).rows("PRAGMA database_list")
        ]
        with sqlite3.connect(path) as file:
            for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                file.execute(f"DROP TRIGGER {name}")
            assert file.execute(sql, values).rowcount == 1
        file.close()
        return
    with psycopg.connect(place.anything) as connection:
        connection.execute("SET search_path = cabgate")
        for table in ("records", "objects"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        assert connection.execute(sql.replace("?", "%s"), values).rowcount == 1
