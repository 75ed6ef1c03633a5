# SPDX-License-Identifier: Apache-2.0
"""The process: arguments, TLS, uvicorn."""

import logging
import sys
from pathlib import Path

import click
import uvicorn

from cabgate.modes import Mode
from cabgate.rings import HIGHEST
from cabgate.signatures import SigningKeys
from cabgate.workloads import GatedKind, GatedKindError, configured_kind
from cabgate_webhook.apiserver import ApiServer
from cabgate_webhook.app import OPERATOR, Clock, Settings, create_app, utc_now
from cabgate_webhook.credentials import CredentialsError, load_credentials

KEEP_ALIVE_SECONDS = 120
"""Longer than the API server keeps an idle connection (90 s), so that it is the API server that
closes, and never finds a connection closed under it."""

DRAIN_SECONDS = 10
"""Time that a stopping process gives the reviews under way."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def server_config(
    *, certificate: Path, key: Path, host: str, port: int, settings: Settings, clock: Clock
) -> uvicorn.Config:
    """The settings of the server. Raises `CredentialsError`."""
    app = create_app(ApiServer(load_credentials()), settings, clock)
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        access_log=False,
        server_header=False,
        log_level="warning",
    )


@click.command(context_settings={"auto_envvar_prefix": "CABGATE"})
@click.option("--certificate", type=_FILE, required=True, help="TLS certificate chain, PEM.")
@click.option("--key", type=_FILE, required=True, help="TLS private key, PEM.")
@click.option(
    "--signing-key",
    type=_FILE,
    required=True,
    help="Ed25519 private keys, PEM: the first signs people's decisions, the others are accepted.",
)
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")  # noqa: S104 - a Pod is reached from elsewhere
@click.option("--port", type=click.IntRange(1, 65535), default=8443, show_default=True)
@click.option("--operator", default=OPERATOR, show_default=True, help="The operator's user name.")
@click.option(
    "--default-ring",
    type=click.IntRange(0, HIGHEST),
    default=0,
    show_default=True,
    help="Ring of a namespace without the ring label.",
)
@click.option(
    "--gated-kind",
    "gated_kinds",
    multiple=True,
    metavar="GROUP/KIND=PATH",
    help="Another kind to gate, and where its pod template stands; can be given more than once.",
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.ENFORCE.value,
    show_default=True,
    help="What becomes of a rollout that is denied; a namespace's label can only be stricter.",
)
@click.option(
    "--require-digests-from",
    type=click.IntRange(0, HIGHEST),
    metavar="RING",
    help="Lowest ring whose intents must name images by digest; none has to if it is not given.",
)
@click.pass_obj
def main(
    clock: Clock | None,
    certificate: Path,
    key: Path,
    signing_key: Path,
    host: str,
    port: int,
    operator: str,
    default_ring: int,
    gated_kinds: tuple[str, ...],
    mode: str,
    require_digests_from: int | None,
) -> None:
    """Serve cabgate's admission webhook.

    The API server is found through the Pod's service account, or KUBECONFIG.
    Each option is also read from the environment, as CABGATE_CERTIFICATE and so on.
    """
    run(
        certificate=certificate,
        key=key,
        host=host,
        port=port,
        settings=Settings(
            _signing_keys(signing_key),
            operator,
            default_ring,
            _gated_kinds(gated_kinds),
            Mode(mode),
            require_digests_from,
        ),
        clock=clock or utc_now,
    )


def _signing_keys(path: Path) -> SigningKeys:
    try:
        return SigningKeys(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: {error}"
        raise click.BadParameter(message, param_hint="--signing-key") from None


def _gated_kinds(texts: tuple[str, ...]) -> tuple[GatedKind, ...]:
    try:
        return tuple(configured_kind(text) for text in texts)
    except GatedKindError as error:
        raise click.BadParameter(str(error), param_hint="--gated-kind") from None


def run(
    *, certificate: Path, key: Path, host: str, port: int, settings: Settings, clock: Clock
) -> None:
    """Serve until SIGTERM; end the process with 1 and a message if that cannot be."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config = server_config(
            certificate=certificate,
            key=key,
            host=host,
            port=port,
            settings=settings,
            clock=clock,
        )
    except CredentialsError as error:
        click.echo(f"cabgate-webhook: {error}", err=True)
        sys.exit(1)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
