# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that read a ledger: from where, and what to verify it with."""

import functools
from collections.abc import Callable
from typing import Any

import click

from cabgate_cli.commands.options import check_one_source, cluster_options, export_option
from cabgate_cli.input.ledger_contents import Source
from cabgate_kube.installation import LEDGER_CHECKPOINTS, LEDGER_HEADS, SIGNING_KEYS

heads_option = click.option(
    "--heads",
    "head_files",
    metavar="FILE",
    multiple=True,
    help=f"A copy of the ConfigMap {LEDGER_HEADS}, or {LEDGER_CHECKPOINTS}, that was kept "
    "elsewhere. May be repeated.",
)
"""The option of the commands that verify a ledger by where its chains ended before."""

keys_option = click.option(
    "--keys",
    "key_files",
    metavar="FILE",
    multiple=True,
    help=f"Public keys, PEM or a copy of the ConfigMap {SIGNING_KEYS}, instead of the cluster's. "
    "May be repeated.",
)
"""The option of the commands that verify a ledger."""

_from_option = click.option(
    "--from",
    "store",
    metavar="URL",
    help="An event store instead of a cluster: sqlite:////absolute/file or "
    "postgresql://user@host/database, the password in PGPASSWORD or ~/.pgpass.",
)

_store_cluster_option = click.option(
    "--cluster",
    "store_cluster",
    metavar="NAME",
    help="Which cluster of the event store; default: the only one.",
)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of the commands that read a ledger, which get its `Source` of them as `source`.

    Raises `click.UsageError` where more than one source is named.
    """

    @functools.wraps(command)
    def with_source(*args: Any, **options: Any) -> None:
        names = ("files", "store", "store_cluster", "kubeconfig", "context")
        source = Source(**{name: options.pop(name) for name in names})
        _check_one(source)
        command(*args, source=source, **options)

    decorated: Callable[..., None] = with_source
    for option in (cluster_options, _store_cluster_option, _from_option, export_option):
        decorated = option(decorated)
    return decorated


def _check_one(source: Source) -> None:
    check_one_source(source.files, source.kubeconfig, source.context)
    in_cluster = source.kubeconfig or source.context
    if source.store is not None and (source.files or in_cluster):
        raise click.UsageError(
            "--from reads an event store, -f files, --kubeconfig and --context a cluster: one of "
            "them"
        )
    if source.store_cluster is not None and source.store is None:
        raise click.UsageError("--cluster chooses a cluster of an event store: give --from too")
