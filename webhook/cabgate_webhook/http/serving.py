# SPDX-License-Identifier: Apache-2.0
"""The server of admission."""

import socket
import ssl
from dataclasses import dataclass

import uvicorn

from cabgate_kube.process.http import COMMON
from cabgate_kube.process.serving import STOP_SECONDS, Draining, protocol_of
from cabgate_webhook.metrics import Metrics

KEEP_ALIVE_SECONDS = 120
"""Longer than the API server keeps an idle connection (90 s), so that it is the API server that
closes, and never finds a connection closed under it."""


def admission_config(
    app: Draining,
    context: ssl.SSLContext,
    metrics: Metrics,
    *,
    host: str,
    port: int,
    max_connections: int,
) -> uvicorn.Config:
    """The server of admission."""
    protocol = protocol_of(
        max_connections, lambda why: metrics.connections_dropped.labels(why).inc()
    )
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
        ssl_context_factory=lambda _config, _default: context,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=min(max_connections, socket.SOMAXCONN),
        **COMMON,
    )


@dataclass(frozen=True)
class Sockets:
    """Sockets that are bound already, instead of those of the settings' addresses."""

    admission: socket.socket
    probes: socket.socket
