# SPDX-License-Identifier: Apache-2.0
"""SQLite: the store is one file, with one writer at a time."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cabgate_store.database import Row
from cabgate_store.errors import StoreAwayError, StoreError

BUSY_SECONDS = 10.0
"""How long a writer waits for another."""

T = TypeVar("T")


class Sqlite:
    """The file of a store. Raises `StoreError` and `StoreAwayError`."""

    kind = "sqlite"

    def __init__(self, path: Path, *, write: bool) -> None:
        # As bytes: a name of a file need not be UTF-8.
        self._name = bytes(path).decode(errors="backslashreplace")
        mode = "rwc" if write else "ro"
        with self._errors():
            self._connection = sqlite3.connect(
                f"file:{quote(bytes(path))}?mode={mode}",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            # On the disk before the next record is asked for: what was stored is never asked again.
            self._connection.execute("PRAGMA synchronous = FULL")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        with self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def insert(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows."""
        with self._errors():
            self._connection.executemany(sql, rows)

    def script(self, sql: str) -> None:
        """Execute statements one by one: `executescript` would commit before."""
        statement = ""
        with self._errors():
            for line in sql.splitlines(keepends=True):
                statement += line
                if sqlite3.complete_statement(statement):
                    self._connection.execute(statement)
                    statement = ""

    @contextmanager
    def writing(self, cluster: str) -> Iterator[None]:
        """A transaction in which nobody else writes."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._errors():
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def has_tables(self) -> bool:
        """Whether any migration was applied."""
        found = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'"
        return bool(self.rows(found))

    def begin_schema(self) -> None:
        """Nothing: a file has one schema."""

    def grant(self, writers: Sequence[str], readers: Sequence[str]) -> None:
        """Raise `StoreError` if roles are named: a file has none."""
        if writers or readers:
            raise StoreError("SQLite has no roles: who may write is who may write the file")

    def check_append_only(self) -> None:
        """Nothing: who may write the file may do anything with it."""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            # Locked, a full disk, a folder that is not mounted yet.
            raise StoreAwayError(f"{self._name}: {error}") from error
        except sqlite3.Error as error:
            raise StoreError(f"{self._name}: {error}") from error
