# SPDX-License-Identifier: Apache-2.0
"""A new store in each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cabgate_samples.models import NOW
from cabgate_store import schema
from cabgate_store.opening import database_of
from support.postgres import Postgres, postgres
from support.stores import Place, prepared


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new store, in a database of each kind."""
    if request.param == "postgresql":
        return prepared(request.getfixturevalue("postgresql"))
    url = f"sqlite:///{tmp_path}/store?.db".replace("?", "%3F")
    database = database_of(url, write=True)
    schema.prepare(database, NOW)
    database.close()
    return Place("sqlite", url, url, url)
