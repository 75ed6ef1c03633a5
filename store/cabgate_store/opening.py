# SPDX-License-Identifier: Apache-2.0
"""Which database a URL names."""

from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cabgate_store import schema
from cabgate_store.database import Database
from cabgate_store.errors import StoreError
from cabgate_store.store import EventStore

FORMS = "sqlite:////absolute/file, sqlite:///file or postgresql://user@host/database"


def database_of(url: str, *, write: bool) -> Database:
    """The database at a URL. Raises `StoreAwayError`, and `StoreError` for what is no such URL: the
    message does not repeat it, since there may be a password in it."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        path = unquote(rest[1:])
        if not rest.startswith("/") or not path or urlsplit(url).query:
            raise StoreError(f"no file is named in the store's URL; allowed: {FORMS}")
        from cabgate_store.sqlite import Sqlite

        return Sqlite(Path(path), write=write)
    if scheme in ("postgresql", "postgres") and rest:
        try:
            from cabgate_store.postgresql import Postgresql
        except ImportError as error:
            raise StoreError(
                f"PostgreSQL needs psycopg, which cannot be loaded ({error}): install "
                "cabgate[relay]"
            ) from None
        return Postgresql(url, write=write)
    raise StoreError(f"not the URL of a store; allowed: {FORMS}")


def open_to_read(url: str) -> EventStore:
    """A store to read. Raises `StoreAwayError` and `StoreError`."""
    return _checked(database_of(url, write=False))


def open_to_append(url: str, now: datetime) -> EventStore:
    """A store to append to, by a user who may do nothing else. A file is made if it is not there.

    Raises `StoreAwayError`, and `StoreError` for a role that may change what is stored.
    """
    database = database_of(url, write=True)
    if database.kind == "sqlite":
        schema.prepare(database, now)
    store = _checked(database)
    database.check_append_only()
    return store


def _checked(database: Database) -> EventStore:
    try:
        schema.check(database)
    except StoreError:
        database.close()
        raise
    return EventStore(database)
