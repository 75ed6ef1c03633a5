# SPDX-License-Identifier: Apache-2.0
"""The `cabgate-relay` command."""

import asyncio
import sys
from collections.abc import Sequence

import click

from cabgate.api.base import build_models
from cabgate_kube.clock import utc_now
from cabgate_kube.credentials import AccessError
from cabgate_kube.process.ending import end
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.running import run_until_stopped
from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_relay.replica import Replica
from cabgate_relay.settings import Settings
from cabgate_relay.sinks.configuration import HttpsSink, StdoutSink, read_sinks
from cabgate_store import schema
from cabgate_store.errors import StoreError
from cabgate_store.opening import database_of

PROGRAM = "cabgate-relay"
PREPARE = "prepare"


def main(arguments: Sequence[str] | None = None) -> None:
    """The `cabgate-relay` command. Exits with 2 and a message if a setting is wrong, with 1 if
    there is no way to an API server or a store cannot be prepared."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == [PREPARE]:
        prepare.main(words[1:], prog_name=f"{PROGRAM} {PREPARE}")
    try:
        settings = read_settings(Settings, words, PROGRAM)
        sinks = () if settings.sinks is None else read_sinks(settings.sinks)
        set_up_logging(settings.log_format)
        asyncio.run(_main(settings, sinks))
    except SettingsError as error:
        end(PROGRAM, 2, error)
    except AccessError as error:
        end(PROGRAM, 1, error)


@click.command()
@click.option(
    "--store",
    envvar="CABGATE_STORE",
    metavar="URL",
    required=True,
    help="The store, as the role that is to own its tables. Also read from CABGATE_STORE.",
)
@click.option(
    "--writer",
    "writers",
    metavar="ROLE",
    multiple=True,
    help="A role of PostgreSQL that may append: the relay's. May be repeated.",
)
@click.option(
    "--reader",
    "readers",
    metavar="ROLE",
    multiple=True,
    help="A role of PostgreSQL that may read: an auditor's. May be repeated.",
)
def prepare(store: str, writers: tuple[str, ...], readers: tuple[str, ...]) -> None:
    """Make or update the tables of an event store, and let roles append and read.

    To be run as another role than the relay's, at the first time and after each upgrade. What is
    there stays.
    """
    try:
        database = database_of(store, write=True)
        try:
            applied = schema.prepare(database, utc_now(), writers, readers)
        finally:
            database.close()
    except StoreError as error:
        end(PROGRAM, 1, error)
    click.echo(f"applied migrations: {', '.join(map(str, applied)) or 'none, all were there'}")


async def _main(settings: Settings, sinks: Sequence[HttpsSink | StdoutSink]) -> None:
    build_models()
    replica = Replica(settings, sinks)
    where = settings.host, settings.health_port
    await run_until_stopped(replica.run(), replica.pages(), host=where[0], port=where[1])


if __name__ == "__main__":
    main()
