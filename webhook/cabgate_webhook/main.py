# SPDX-License-Identifier: Apache-2.0
"""The process: settings, logs, and what runs until SIGTERM."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvicorn

from cabgate.api.base import build_models
from cabgate.ledger.signatures import SigningKeys
from cabgate.rollout.modes import Mode
from cabgate.rollout.workloads import configured_kind
from cabgate_kube.clock import Clock, utc_now
from cabgate_kube.credentials import AccessError, access_of
from cabgate_kube.process.ending import end
from cabgate_kube.process.health import health_config
from cabgate_kube.process.http import Server
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.serving import Draining, Loop
from cabgate_kube.process.settings import SettingsError, option_of, read_settings, variable_of
from cabgate_kube.process.signals import Stopping
from cabgate_kube.tls.serve import CertificateError, Files, ServingCertificate
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.http.app import Settings, create_app
from cabgate_webhook.http.probes import Readiness, pages_of
from cabgate_webhook.http.serving import Sockets, admission_config
from cabgate_webhook.metrics import Metrics
from cabgate_webhook.settings import WebhookSettings

log = logging.getLogger("cabgate_webhook.main")  # also where it runs as __main__

PROGRAM = "cabgate-webhook"

T = TypeVar("T")


@dataclass
class Process:
    """What one process consists of."""

    settings: WebhookSettings
    api: LiveReads
    certificate: ServingCertificate
    readiness: Readiness
    app: Draining
    admission: uvicorn.Config
    probes: uvicorn.Config


def make_process(settings: WebhookSettings, clock: Clock = utc_now) -> Process:
    """Everything, made and not yet running.

    Raises `SettingsError`, `AccessError` and `CertificateError`.
    """
    build_models()  # or the first admission request would wait for it
    metrics = Metrics()
    files = Files(settings.certificate, settings.key, settings.client_ca)
    # By the machine's clock: that is what whoever connects goes by.
    certificate = ServingCertificate(files, utc_now, metrics.reload_failures.inc)
    metrics.certificate_left.set_function(certificate.seconds_left)
    api = LiveReads(access_of(), metrics)
    readiness = Readiness(certificate.doubt)
    app = Draining(create_app(api, _app_settings(settings), metrics, clock))
    return Process(
        settings,
        api,
        certificate,
        readiness,
        app,
        admission_config(
            app,
            certificate.context,
            metrics,
            host=settings.host,
            port=settings.port,
            max_connections=settings.max_connections,
        ),
        health_config(
            pages_of(api, metrics, readiness),
            host=settings.host,
            port=settings.health_port,
            dropped=lambda why: metrics.connections_dropped.labels(why).inc(),
        ),
    )


def _app_settings(settings: WebhookSettings) -> Settings:
    keys = _read(
        "signing_key", settings.signing_key, lambda path: SigningKeys(path.read_text("utf-8"))
    )
    caller = _read("admission_proof", settings.admission_proof, Caller)
    kinds = tuple(configured_kind(text) for text in settings.gated_kind)
    return Settings(
        keys,
        caller,
        settings.operator,
        settings.default_ring,
        kinds,
        Mode(settings.mode),
        settings.require_digests_from,
        settings.machines,
        frozenset(settings.excluded_namespace),
    )


def _read(name: str, path: Path, read: Callable[[Path], T]) -> T:
    """What the file of a setting holds. Raises `SettingsError` for one that cannot be used."""
    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{option_of(name)} ({variable_of(name)}): {path}: {error}") from None


async def serve(process: Process, sockets: Sockets | None = None) -> None:
    """Serve until SIGTERM, on `sockets` or on the addresses of the settings.

    Then drain: readiness fails first, admission requests are taken for a while and answered with
    the word to close the connection behind them, what is under way is answered.
    """
    stopping = Stopping()
    admission, probes = Server(process.admission), Server(process.probes)
    admission_at = None if sockets is None else [sockets.admission]
    probes_at = None if sockets is None else [sockets.probes]
    async with process.api:
        tasks = [
            asyncio.create_task(admission.serve(admission_at), name="admission"),
            asyncio.create_task(probes.serve(probes_at), name="probes"),
            asyncio.create_task(process.certificate.watch(), name="certificate"),
        ]
        stopped = asyncio.create_task(stopping.begun.wait())
        await asyncio.wait({*tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        process.readiness.draining = process.app.begun = True
        log.info("stopping")
        if stopped.done():
            await stopping.linger(process.settings.drain_seconds)
        admission.should_exit = True
        await asyncio.wait({tasks[0]})
        probes.should_exit = True
        tasks[2].cancel()
        await asyncio.wait(tasks)
        stopped.cancel()
        log.info("stopped")
        for task in tasks:
            if not task.cancelled():
                task.result()  # one that ended by a fault ends the process with it


def _spare_what_stays() -> None:
    """Have the garbage collector pass over what was made by now: types and decoders, which live as
    long as the process. To go through them all takes 30 to 50 ms, for which every admission request
    waited that was under way."""
    gc.collect()
    gc.freeze()


def main(
    arguments: Sequence[str] | None = None,
    clock: Clock = utc_now,
    sockets: Sockets | None = None,
) -> None:
    """The `cabgate-webhook` command. Exits with 2 and a message if a setting is wrong,
    with 1 if what it needs is not there."""
    try:
        settings = read_settings(
            WebhookSettings, sys.argv[1:] if arguments is None else arguments, PROGRAM
        )
        set_up_logging(settings.log_format)
        process = make_process(settings, clock)
    except SettingsError as error:
        end(PROGRAM, 2, error)
    except (AccessError, CertificateError) as error:
        end(PROGRAM, 1, error)
    else:
        _spare_what_stays()
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(serve(process, sockets))


if __name__ == "__main__":
    main()
