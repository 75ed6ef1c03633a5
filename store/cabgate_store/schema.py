# SPDX-License-Identifier: Apache-2.0
"""The tables of a store, made and changed by numbered SQL files.

`0001_tables.sql` is for every database, `0002_append_only.sqlite.sql` for one. A file that was
released is never changed.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from importlib import resources

from cabgate.api.base import rfc3339
from cabgate_store.database import Database, typed
from cabgate_store.errors import StoreError

_FILE = re.compile(r"([0-9]{4})_[a-z_]+(?:\.([a-z]+))?\.sql")

_MIGRATIONS = "CREATE TABLE migrations (number INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)"


def migrations(kind: str) -> dict[int, str]:
    """The SQL of a kind of database by number, in order."""
    found: dict[int, str] = {}
    for file in resources.files("cabgate_store").joinpath("migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None and match[2] in (None, kind):
            found[int(match[1])] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def prepare(
    database: Database, now: datetime, writers: Sequence[str] = (), readers: Sequence[str] = ()
) -> list[int]:
    """Apply what is lacking, all or nothing, and let roles append and read; the numbers of what was
    applied. Raises `StoreError`."""
    with database.writing("migrations"):
        database.begin_schema()
        if not database.has_tables():
            database.script(f"{_MIGRATIONS};")
        lacking = _lacking(database)
        for number, text in lacking.items():
            database.script(text)
            database.insert("INSERT INTO migrations VALUES (?, ?)", [(number, rfc3339(now))])
        database.grant(writers, readers)
    return list(lacking)


def check(database: Database) -> None:
    """Raise `StoreError` unless the tables are those of this release."""
    if not database.has_tables() or _lacking(database):
        raise StoreError(
            "the store's tables are not there, or of an older release, or not to be seen by this "
            "user: run cabgate-relay prepare as their owner"
        )


def _lacking(database: Database) -> dict[int, str]:
    known = migrations(database.kind)
    found = database.rows("SELECT number FROM migrations")
    applied = {number for (number,) in typed("migrations", found, int)}
    newer = sorted(applied - set(known))
    if newer:
        raise StoreError(
            f"the store's tables are of a newer release, which applied migration {newer[-1]}: use "
            "that release"
        )
    return {number: text for number, text in known.items() if number not in applied}
