# SPDX-License-Identifier: Apache-2.0
"""The `cabgate-operator` command, and the only place where kopf's decorators are used."""

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

import click
import kopf

from cabgate.breakglass import ANNOTATION
from cabgate.retention import DEFAULT_KEPT
from cabgate_operator.apiserver import (
    Object,
    Resource,
)
from cabgate_operator.app import Operator, Settings
from cabgate_operator.certificates import WEBHOOK_NAME
from cabgate_operator.glass import WORKLOADS
from cabgate_operator.health import serve_health
from cabgate_operator.watches import Watches, traced

log = logging.getLogger(__name__)


def make_registry(operator: Operator, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
    """Handlers that tell the operator what was seen, and do nothing else.

    `on.event` alone: every other kind of handler writes finalizers or annotations. They return
    None, because kopf writes what a handler returns into the object's status.
    """
    registry = kopf.OperatorRegistry()

    def tell_loop(what: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # our loop has ended first
            loop.call_soon_threadsafe(what, *args)

    def watch(resource: Resource) -> None:
        group, _, version = resource.api_version.rpartition("/")
        # Workloads by their annotation: of all the others nothing is to be known.
        annotations = {ANNOTATION: kopf.PRESENT} if resource in WORKLOADS else None

        @kopf.on.event(
            *(group, version, resource.plural),
            id=resource.plural,
            annotations=annotations,
            registry=registry,
        )
        async def seen(event: Any, **_: Any) -> None:
            body: Object = event["object"]
            tell_loop(operator.saw, resource, {"type": event["type"], "object": body})

    for resource in operator.watched:
        watch(resource)

    @kopf.on.login(registry=registry)
    async def login(**kwargs: Any) -> kopf.AiohttpSession:
        info = log_in(**kwargs)
        if info is None:
            raise kopf.PermanentError("no service account and no KUBECONFIG")
        return traced(
            info,
            lambda plural, since: tell_loop(operator.watch_began, plural, since),
            lambda: tell_loop(operator.watch_failed),
        )

    return registry


def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Credentials for kopf: by the service account in a cluster, else by KUBECONFIG, as for the
    operator's own calls."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if not host:
        return kopf.login_with_kubeconfig(**kwargs)
    info = kopf.login_with_service_account(**kwargs)
    if info is None:
        return None
    # kopf takes the name in the cluster's DNS; the address does without.
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return dataclasses.replace(info, server=server)


def make_kopf_settings() -> kopf.OperatorSettings:
    """How kopf watches."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.chunk_size = 250
    settings.watching.server_timeout = 590
    settings.watching.client_timeout = 620
    # Bookmarks come about once a minute.
    settings.watching.inactivity_timeout = 150
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1.0
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = (0.5, 1, 2)
    settings.queueing.exit_timeout = 0.3
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = None
    return settings


async def run(operator: Operator) -> None:
    """Run an operator until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    watches = Watches(
        lambda: make_registry(operator, loop),
        make_kopf_settings,
        expected=lambda: len(operator.watched),
        restarted=operator.watches_restarted,
    )
    operator.on_stale_watch = watches.restart
    port = operator.settings.health_port
    server = await serve_health(operator, port) if port else None
    work = asyncio.create_task(_work(operator, watches))
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = work.done()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        stopping.cancel()
        if server is not None:
            await server.cleanup()
        log.info("stopped%s", " by itself" if ended else "")


async def _work(operator: Operator, watches: Watches) -> None:
    try:
        await operator.start()
        await watches.run_forever()
    finally:
        await operator.stop()


def set_up_logging() -> None:
    """Plain lines on standard error."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # kopf repeats each event and each error of a watch; what matters of it we say ourselves.
    logging.getLogger("kopf").setLevel(logging.ERROR)


@click.command()
@click.option(
    "--default-ring",
    type=click.IntRange(0, 4),
    default=0,
    show_default=True,
    envvar="CABGATE_DEFAULT_RING",
    help="Ring of a namespace without the ring label.",
)
@click.option(
    "--health-port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of /healthz, /readyz and /metrics; 0 for none.",
)
@click.option(
    "--sweep-seconds",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Time between two looks at every object.",
)
@click.option(
    "--keep-approved",
    type=click.IntRange(min=1),
    default=DEFAULT_KEPT,
    show_default=True,
    envvar="CABGATE_KEEP_APPROVED",
    help="Approved requests of each target that stay: how far back a rollback can go.",
)
@click.option(
    "--manage-certificates",
    is_flag=True,
    envvar="CABGATE_MANAGE_CERTIFICATES",
    help="Make the webhook's certificates and signing key, and renew the certificates.",
)
@click.option(
    "--webhook-name",
    "webhook_names",
    multiple=True,
    default=[WEBHOOK_NAME],
    show_default=True,
    envvar="CABGATE_WEBHOOK_NAME",
    help="DNS name or address that the API server reaches the webhook by; more than once for more.",
)
def main(
    default_ring: int,
    health_port: int,
    sweep_seconds: float,
    keep_approved: int,
    manage_certificates: bool,
    webhook_names: tuple[str, ...],
) -> None:
    """Turn deployment intents into scored requests, and keep their state."""
    set_up_logging()
    settings = Settings(
        default_ring=default_ring,
        health_port=health_port,
        sweep_seconds=sweep_seconds,
        keep_approved=keep_approved,
        manage_certificates=manage_certificates,
        webhook_names=webhook_names,
    )
    asyncio.run(_main(settings))


async def _main(settings: Settings) -> None:
    await run(Operator(settings))


if __name__ == "__main__":
    main()
