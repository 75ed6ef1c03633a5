# SPDX-License-Identifier: Apache-2.0
"""The `cabgate-operator` command, and the only place where kopf's decorators are used."""

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

import kopf

from cabgate.api.base import build_models
from cabgate_kube.credentials import AccessError, access_of
from cabgate_kube.process.ending import end
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.running import run_until_stopped
from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_kube.resources import Object
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.runtime.replica import Replica
from cabgate_operator.runtime.watches import Following, Watches, traced
from cabgate_operator.settings import Settings
from cabgate_operator.work.controller import Watch

log = logging.getLogger(__name__)

PROGRAM = "cabgate-operator"

SILENT_SECONDS = 150.0
"""After how long a watch that brings nothing is asked for anew. Bookmarks come about once a minute,
so it is the connection that brings nothing."""


def make_registry(
    manager: Manager, watches: Watches, loop: asyncio.AbstractEventLoop
) -> kopf.OperatorRegistry:
    """Handlers that tell the manager what was seen, and do nothing else.

    `on.event` alone: every other kind of handler writes finalizers or annotations. They return
    None, because kopf writes what a handler returns into the object's status.
    """
    registry = kopf.OperatorRegistry()

    def tell_loop(what: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # our loop has ended first
            loop.call_soon_threadsafe(what, *args)

    def handle(watch: Watch) -> None:
        resource = watch.resource
        group, _, version = resource.api_version.rpartition("/")

        def concerns_us(body: Any, **_: Any) -> bool:
            return not watch.metadata_only or bool(manager.keys_of(resource, body))

        @kopf.on.event(
            *(group, version, resource.plural),
            id=resource.plural,
            when=concerns_us,
            registry=registry,
        )
        async def seen(event: Any, **_: Any) -> None:
            body: Object = event["object"]
            tell_loop(manager.saw, resource, {"type": event["type"], "object": body})

    watched = list(manager.watches.values())
    for watch in watched:
        handle(watch)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        try:
            access = access_of()
            access.tells = False  # the operator's own calls follow the same files
            return traced(
                access,
                lambda plural, since: tell_loop(began, plural, since),
                lambda plural: tell_loop(failed, plural),
                manager.metrics.called,
                asked=lambda plural: tell_loop(watches.failed, plural),
                follow=Following(access, restart),
                metadata_only={each.resource.plural for each in watched if each.metadata_only},
            )
        except (AccessError, OSError) as error:
            raise kopf.PermanentError(str(error)) from None

    def restart(why: str) -> None:
        tell_loop(watches.restart, why)

    def began(plural: str, since: int) -> None:
        watches.began(plural)
        manager.watch_began(plural, since)

    def failed(plural: str) -> None:
        watches.failed(plural)
        manager.watch_failed(plural)

    return registry


def make_kopf_settings() -> kopf.OperatorSettings:
    """How kopf watches."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    # A page is decoded whole, for each kind at once, and may be of the largest objects.
    settings.watching.chunk_size = 25
    settings.watching.server_timeout = 590
    settings.watching.client_timeout = 620
    settings.watching.inactivity_timeout = SILENT_SECONDS
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1.0
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = (0.5, 1, 2)
    settings.queueing.exit_timeout = 0.3
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = None
    return settings


def make_watches(manager: Manager) -> Watches:
    """What watches for a manager. To be called in its event loop."""
    loop = asyncio.get_running_loop()
    watches = Watches(
        lambda: make_registry(manager, watches, loop),
        make_kopf_settings,
        expected=lambda: [resource.plural for resource in manager.watched],
        restarted=manager.watches_restarted,
    )
    manager.on_stale_watch = watches.restart
    return watches


async def run(replica: Replica, sockets: list[socket.socket] | None = None) -> None:
    """Run a replica until SIGTERM or SIGINT; its pages on `sockets` or where its settings say."""
    settings = replica.settings
    await run_until_stopped(
        replica.run(),
        replica.pages(),
        host=settings.host,
        port=settings.health_port,
        sockets=sockets,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The `cabgate-operator` command. Exits with 2 and a message if a setting is wrong, with 1 if
    there is no way to an API server."""
    try:
        settings = read_settings(
            Settings, sys.argv[1:] if arguments is None else arguments, PROGRAM
        )
        set_up_logging(settings.log_format)
        asyncio.run(_main(settings))
    except SettingsError as error:
        end(PROGRAM, 2, error)
    except AccessError as error:
        end(PROGRAM, 1, error)


async def _main(settings: Settings) -> None:
    build_models()  # or the first intent would wait for it
    await run(Replica(settings, make_watches))


if __name__ == "__main__":
    main()
