# SPDX-License-Identifier: Apache-2.0
"""What the store asks of a database, whichever it is. Parameters stand as `?` in all SQL."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from cabgate_store.errors import StoreError

Row = tuple[Any, ...]


def typed(table: str, rows: Sequence[Row], *columns: type) -> Sequence[Row]:
    """The rows, if each column is of its type; else raises `StoreError`. SQLite lets whoever writes
    a file put anything anywhere."""
    for row in rows:
        if tuple(map(type, row)) != columns:
            raise StoreError(
                f"table {table} has a row with a value of another type than its column: it was "
                "not written by cabgate. Compare the store with a backup"
            )
    return rows


class Database(Protocol):
    """A connection to a database, for one thread at a time.

    Every method raises `StoreAwayError` where the database does not answer, and `StoreError` where
    it refuses.
    """

    kind: str
    """`postgresql` or `sqlite`: which of the migrations are its own."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""

    def insert(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows."""

    def script(self, sql: str) -> None:
        """Execute statements without parameters."""

    def writing(self, cluster: str) -> AbstractContextManager[None]:
        """A transaction in which nobody else writes for this cluster: committed at its end, rolled
        back where something is raised."""

    def has_tables(self) -> bool:
        """Whether any migration was applied."""

    def begin_schema(self) -> None:
        """Make what the first migration rests on."""

    def grant(self, writers: Sequence[str], readers: Sequence[str]) -> None:
        """Let roles append, and let others read."""

    def check_append_only(self) -> None:
        """Raise `StoreError` if this user may change or delete what is stored."""

    def close(self) -> None:
        """Close the connection."""
