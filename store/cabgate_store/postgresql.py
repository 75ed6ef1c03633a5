# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 14 or newer."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql as names
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cabgate_store.database import Row
from cabgate_store.errors import StoreAwayError, StoreError

SCHEMA = "cabgate"
"""Where the tables are: a database may hold other things."""

OLDEST = 14

_DEFAULTS = {
    "application_name": "cabgate",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Of a connection, where its URL does not say otherwise."""

_SESSION = (
    # pg_temp last, or a temporary table would stand for one of ours.
    f"SET search_path = {SCHEMA}, pg_temp",
    "SET statement_timeout = '60s'",
    "SET lock_timeout = '30s'",
)

_MAY_CHANGE = """
SELECT c.relname FROM pg_catalog.pg_class c
WHERE c.relnamespace = to_regnamespace(?) AND c.relkind = 'r'
AND (has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE')
     OR has_table_privilege(c.oid, 'TRUNCATE') OR has_table_privilege(c.oid, 'TRIGGER')
     OR has_any_column_privilege(c.oid, 'UPDATE') OR pg_has_role(c.relowner, 'MEMBER'))
ORDER BY c.relname
"""

_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, for a moment after a failover
)


class Postgresql:
    """A connection. Raises `StoreAwayError` and `StoreError`."""

    kind = "postgresql"

    def __init__(self, url: str, *, write: bool) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error:  # which quotes it
            raise StoreError(
                "the store's URL cannot be read; see libpq's connection URIs"
            ) from None
        with _errors():
            self._connection = psycopg.connect(
                make_conninfo("", **{**_DEFAULTS, **given}), autocommit=True
            )
            version = self._connection.info.server_version // 10000
            if version < OLDEST:
                self._connection.close()
                raise StoreError(f"PostgreSQL {version} is too old: {OLDEST} or newer is needed")
            for statement in _SESSION:
                self._connection.execute(statement)
            if not write:
                self._connection.execute("SET default_transaction_read_only = on")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a query."""
        with _errors():
            return self._connection.execute(_named(sql), parameters).fetchall()

    def insert(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows."""
        with _errors(), self._connection.cursor() as cursor:
            cursor.executemany(_named(sql), rows)

    def script(self, sql: str) -> None:
        """Execute statements without parameters."""
        with _errors():
            self._connection.execute(sql.encode())

    @contextmanager
    def writing(self, cluster: str) -> Iterator[None]:
        """A transaction in which nobody else writes for this cluster: not a relay either that led
        before and does not know better."""
        with _errors(), self._connection.transaction():
            lock = hashlib.sha256(f"cabgate {cluster}".encode()).digest()[:8]
            number = int.from_bytes(lock, "big", signed=True)
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (number,))
            yield

    def has_tables(self) -> bool:
        """Whether any migration was applied, as far as this role may see it."""
        return self.rows("SELECT to_regclass(?)", (f"{SCHEMA}.migrations",)) != [(None,)]

    def begin_schema(self) -> None:
        """Make the schema."""
        self.script(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

    def grant(self, writers: Sequence[str], readers: Sequence[str]) -> None:
        """Let roles append, and let others read."""
        for roles, rights in ((writers, "SELECT, INSERT"), (readers, "SELECT")):
            for role in roles:
                to = names.Identifier(role)
                schema = names.Identifier(SCHEMA)
                with _errors():
                    self._connection.execute(
                        names.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, to)
                    )
                    for table in ("beginnings", "records", "anomalies"):
                        statement = f"GRANT {rights} ON {table} TO {{}}"
                        self._connection.execute(names.SQL(statement).format(to))
                    self._connection.execute(
                        names.SQL("GRANT SELECT ON migrations TO {}").format(to)
                    )

    def check_append_only(self) -> None:
        """Raise `StoreError` if this role may change or delete what is stored, or switch off what
        refuses it."""
        found = [str(name) for (name,) in self.rows(_MAY_CHANGE, (SCHEMA,))]
        if found:
            role = self._connection.info.user
            raise StoreError(
                f"role {role} owns, or may change, {', '.join(found)}: the event store is "
                "append-only. Use a role that may only append: cabgate-relay prepare --writer ROLE"
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _named(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        kind = StoreAwayError if isinstance(error, _PASSING) else StoreError
        raise kind(f"PostgreSQL: {_text(error)}") from error


def _text(error: psycopg.Error) -> str:
    """What the server said, without the detail, which quotes values."""
    primary = error.diag.message_primary
    return primary or " ".join(str(error).split()) or type(error).__name__
