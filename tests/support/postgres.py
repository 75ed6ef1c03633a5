# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL for tests, on a socket in a folder of its own, and a database in it for each
test."""

import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cabgate_devcluster import wait_until

GIVEN = os.environ.pop("CABGATE_TEST_POSTGRES", "")
"""URL of a server to use instead, as a superuser. Out of the environment: no process of ours has
such a setting."""

_numbers = itertools.count(1)

SETTINGS = ("fsync=off", "listen_addresses=", "max_connections=40", "shared_buffers=16MB")


class Postgres:
    """A server. `url` is that of its superuser, in a database that is there."""

    def __init__(self, url: str) -> None:
        self.url = url

    def database(self) -> "Database":
        """A new database, and roles of its own."""
        name = f"t{next(_numbers)}_{secrets.token_hex(4)}"
        found = Database(self, name)
        with psycopg.connect(self.url, autocommit=True) as connection:
            for role in (found.owner, found.writer, found.reader):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            named = (sql.Identifier(name), sql.Identifier(found.owner))
            connection.execute(statement.format(*named))
        return found


class Database:
    """A database: who owns it, who appends and who reads."""

    def __init__(self, server: Postgres, name: str) -> None:
        self._server, self.name = server, name
        self.owner, self.writer, self.reader = (f"{name}_{r}" for r in ("owner", "relay", "audit"))

    def url(self, role: str) -> str:
        """The URL for a role."""
        return _as_url(self._server.url, dbname=self.name, user=role)

    @property
    def superuser(self) -> str:
        """The URL for one whom nothing is refused."""
        return _as_url(self._server.url, dbname=self.name)


def _as_url(url: str, **changed: str) -> str:
    given = psycopg.conninfo.conninfo_to_dict(url) | changed
    user, name = quote(str(given.pop("user"))), quote(str(given.pop("dbname")))
    rest = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in given.items())
    return f"postgresql://{user}@/{name}?{rest}"


class Server(Postgres):
    """A server that can be killed and started again. Not as root, whom it refuses to run as."""

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(make_conninfo("", host=str(folder), user="postgres", dbname="postgres"))
        self._folder, self._programs = folder, programs
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, str | int] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup"}
            shutil.chown(folder, "nobody", "nogroup")
        command = [programs / "initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "-N"]
        subprocess.run(
            [*command, "-E", "UTF8", "--locale=C"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **self._as,  # type: ignore[arg-type]
        )
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        """Start it; returns when it answers."""
        settings = [word for each in (*SETTINGS, f"unix_socket_directories={self._folder}")
                    for word in ("-c", each)]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *settings],
                stdout=log,
                stderr=log,
                cwd="/",
                **self._as,  # type: ignore[call-overload]
            )
        wait_until(self._answers, "PostgreSQL answers")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """End it at once, without a word to its clients."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: its children go with it
            self._process.wait(60)
            self._process = None


def programs() -> Path:
    """Where PostgreSQL's programs are; skips where the system has none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return Path(on_path).resolve().parent


@contextmanager
def running() -> Iterator[Server]:
    """A server of its own, for who kills it; skips where the system has none."""
    folder_of_programs = programs()
    # Not in pytest's folder, which nobody else may look into.
    prefix = "cabgate-pg-"
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), folder_of_programs)
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """The server that was given, or one of its own."""
    if GIVEN:
        yield Postgres(GIVEN)
        return
    with running() as server:
        yield server
