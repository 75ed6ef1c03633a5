# SPDX-License-Identifier: Apache-2.0
"""The `cabgate-portal` command."""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from cabgate.api.base import build_models
from cabgate_kube.clock import utc_now
from cabgate_kube.credentials import Access
from cabgate_kube.process.ending import end
from cabgate_kube.process.health import Pages, health_config
from cabgate_kube.process.http import COMMON, Server
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.serving import Draining, Loop, protocol_of
from cabgate_kube.process.settings import SettingsError, option_of, read_settings, variable_of
from cabgate_kube.process.signals import Stopping
from cabgate_kube.tls.serve import CertificateError, Files, ServingCertificate
from cabgate_kube.transport import Connections
from cabgate_portal.app import create_app
from cabgate_portal.calls import Portal
from cabgate_portal.client import WRITE_SECONDS
from cabgate_portal.limits import CallLimits
from cabgate_portal.metrics import Metrics
from cabgate_portal.settings import PortalSettings

log = logging.getLogger("cabgate_portal.main")  # also where it runs as __main__

PROGRAM = "cabgate-portal"

API_CONNECTIONS = 100
"""Connections to the API server at a time, of all callers."""

STOP_SECONDS = int(WRITE_SECONDS) + 2
"""Time that a stopping process gives the calls under way: none ends between a write and its
answer."""

KEEP_ALIVE_SECONDS = 75
"""How long a client's connection is kept that nobody uses."""


@dataclass(frozen=True)
class Sockets:
    """Sockets that are bound already, instead of those of the settings' addresses."""

    api: socket.socket
    health: socket.socket


class Process:
    """Everything that one process consists of, made and not yet running.

    Raises `SettingsError` and `CertificateError`.
    """

    def __init__(self, settings: PortalSettings) -> None:
        build_models()
        self.settings = settings
        self.metrics = Metrics()
        self.connections = Connections(_access(settings), API_CONNECTIONS)
        limits = CallLimits(settings.calls_per_second)
        portal = Portal(
            self.connections,
            self.metrics,
            limits,
            utc_now,
            settings.machines,
            stopping=lambda: self.draining,
        )
        by_tls = settings.certificate is not None
        self.app = Draining(create_app(portal, _page(portal, settings), by_tls=by_tls))
        self.certificate = self._certificate()
        self.draining = False

    def _certificate(self) -> ServingCertificate | None:
        certificate, key = self.settings.certificate, self.settings.key
        if certificate is None or key is None:
            return None
        files = Files(certificate, key)
        found = ServingCertificate(files, utc_now, self.metrics.reload_failures.inc)
        self.metrics.certificate_left.set_function(found.seconds_left)
        return found

    def api_config(self) -> uvicorn.Config:
        """The server of the API."""
        certificate = self.certificate
        context = None if certificate is None else certificate.context
        return uvicorn.Config(
            self.app,
            host=self.settings.host,
            port=self.settings.port,
            http=protocol_of(self.settings.max_connections, self._dropped),
            ssl_context_factory=None if context is None else lambda _config, _default: context,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            backlog=min(self.settings.max_connections, socket.SOMAXCONN),
            **COMMON,
        )

    def health_config(self) -> uvicorn.Config:
        """The server of the health pages."""
        pages = Pages(lambda: (), self._unready, self.metrics.text)
        return health_config(
            pages,
            host=self.settings.health_host,
            port=self.settings.health_port,
            dropped=self._dropped,
        )

    def _dropped(self, why: str) -> None:
        self.metrics.connections_dropped.labels(why).inc()

    async def _unready(self) -> Sequence[str]:
        """Not whether the API server answers: each call says that itself, and without it a
        reviewer is told so rather than that there is no portal."""
        doubt = None if self.certificate is None else self.certificate.doubt()
        return [*([doubt] if doubt else []), *(["it is stopping"] if self.draining else [])]


def _page(portal: Portal, settings: PortalSettings) -> ASGIApp | None:
    """The page, where a login is set up for it. Raises `SettingsError`."""
    if not settings.oidc_issuer:
        return None
    try:
        # Here: without the page none of it is needed, nor installed.
        from cabgate_portal.page.cluster import create_page
        from cabgate_portal.page.login.door import CALLBACK
        from cabgate_portal.page.login.issuer import Client
        from cabgate_portal.page.login.sealing import keys_of
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--oidc-issuer: the page needs {error.name}: pip install 'cabgate[portal]'"
        ) from None
    client = Client(
        settings.oidc_issuer,
        settings.oidc_client_id,
        _content("oidc_client_secret_file", settings.oidc_client_secret_file).strip(),
        settings.oidc_scopes.split(),
        f"{settings.page_url}{CALLBACK}",
        settings.oidc_ca,
    )
    name = "cookie_key_file"
    try:
        keys = keys_of(_content(name, settings.cookie_key_file))
    except ValueError as error:
        raise SettingsError(f"{option_of(name)} ({variable_of(name)}): {error}") from None
    return create_page(portal, client, settings.page_url, keys)


def _content(name: str, path: Path | None) -> str:
    try:
        return "" if path is None else path.read_text("ascii")
    except (OSError, ValueError) as error:
        why = f"cannot be read: {type(error).__name__}"
        raise SettingsError(f"{option_of(name)} ({variable_of(name)}): {why}") from None


def _access(settings: PortalSettings) -> Access:
    """The API server without any credentials: each call brings its own."""
    try:
        return Access(settings.api_server, settings.api_server_ca)
    except (OSError, ValueError) as error:
        name = "api_server_ca"
        raise SettingsError(f"{option_of(name)} ({variable_of(name)}): {error}") from None


async def serve(process: Process, sockets: Sockets | None = None) -> None:
    """Serve until SIGTERM, on `sockets` or on the addresses of the settings; then drain."""
    stopping = Stopping()
    api, health = Server(process.api_config()), Server(process.health_config())
    tasks = [
        asyncio.create_task(api.serve(None if sockets is None else [sockets.api])),
        asyncio.create_task(health.serve(None if sockets is None else [sockets.health])),
    ]
    if process.certificate is not None:
        tasks.append(asyncio.create_task(process.certificate.watch()))
    stopped = asyncio.create_task(stopping.begun.wait())
    await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
    process.draining = process.app.begun = True
    log.info("stopping")
    if stopped.done():
        await stopping.linger(process.settings.drain_seconds)
    api.should_exit = True
    await asyncio.wait({tasks[0]})
    health.should_exit = True
    for task in tasks[2:]:
        task.cancel()
    await asyncio.wait(tasks)
    stopped.cancel()
    process.connections.close()
    log.info("stopped")
    for task in tasks:
        if not task.cancelled():
            task.result()  # one that ended by a fault ends the process with it


def main(arguments: Sequence[str] | None = None, sockets: Sockets | None = None) -> None:
    """The `cabgate-portal` command. Exits with 2 and a message if a setting is wrong, with 1 if the
    certificate cannot be used."""
    try:
        settings = read_settings(
            PortalSettings, sys.argv[1:] if arguments is None else arguments, PROGRAM
        )
        set_up_logging(settings.log_format)
        process = Process(settings)
    except SettingsError as error:
        end(PROGRAM, 2, error)
    except CertificateError as error:
        end(PROGRAM, 1, error)
    else:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(serve(process, sockets))


if __name__ == "__main__":
    main()
