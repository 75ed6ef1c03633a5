# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 14 or newer."""

import hashlib
import re
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

_MAY_DROP = """
SELECT 'schema ' || n.nspname FROM pg_catalog.pg_namespace n
WHERE n.oid = to_regnamespace(?) AND pg_has_role(n.nspowner, 'MEMBER')
UNION ALL
SELECT 'function ' || p.proname || '()' FROM pg_catalog.pg_proc p
WHERE p.pronamespace = to_regnamespace(?) AND pg_has_role(p.proowner, 'MEMBER')
UNION ALL
SELECT 'database ' || d.datname FROM pg_catalog.pg_database d
WHERE d.datname = current_database() AND pg_has_role(d.datdba, 'MEMBER')
"""
"""Who owns what the tables are in may drop them; who owns the triggers' function may replace it."""

_PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, for a moment after a failover
)


class Postgresql:
    """A connection. Raises `StoreAwayError` and `StoreError`."""

    kind = "postgresql"

    def __init__(self, url: str, *, write: bool) -> None:
        given = _parameters(url)
        with _errors(given.get("password")):
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
                    for table in ("beginnings", "records", "anomalies", "objects"):
                        statement = f"GRANT {rights} ON {table} TO {{}}"
                        self._connection.execute(names.SQL(statement).format(to))
                    self._connection.execute(
                        names.SQL("GRANT SELECT ON migrations TO {}").format(to)
                    )

    def check_append_only(self) -> None:
        """Raise `StoreError` if this role may change or delete what is stored, or switch off what
        refuses it."""
        found = [str(name) for (name,) in self.rows(_MAY_CHANGE, (SCHEMA,))]
        found += [str(name) for (name,) in self.rows(_MAY_DROP, (SCHEMA, SCHEMA))]
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


def _parameters(url: str) -> dict[str, str]:
    """What a URL says. Raises `StoreError`, which quotes nothing of it.

    In one with an `@`, `/` or `?` in its password that is not escaped, libpq takes the rest of the
    password for a host, a port or a database, and its errors quote those.
    """
    rest = url.partition("://")[2]
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    if rest.count("@") > 1 or rest.count("@") != authority.count("@"):
        raise StoreError(
            "the store's URL has an @ that is not the one before the host: in a user name, a "
            "password or a parameter write @ as %40, / as %2F and ? as %3F"
        )
    try:
        given = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):  # which quote it
        raise StoreError("the store's URL cannot be read; see libpq's connection URIs") from None
    found = {key: str(value) for key, value in given.items() if value is not None}
    if not re.fullmatch("[0-9,]*", found.get("port", "")):
        raise StoreError(
            "the port in the store's URL is no number: postgresql://user:password@host:5432/database"
        )
    return found


@contextmanager
def _errors(password: str | None = None) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        kind = StoreAwayError if isinstance(error, _PASSING) else StoreError
        text = _text(error)
        raise kind(f"PostgreSQL: {text.replace(password, '***') if password else text}") from error
    except UnicodeError:  # which quotes what it cannot encode
        raise StoreError("PostgreSQL: a text holds what is not UTF-8") from None


def _text(error: psycopg.Error) -> str:
    """What the server said, without the detail, which quotes values."""
    primary = error.diag.message_primary
    return primary or " ".join(str(error).split()) or type(error).__name__
