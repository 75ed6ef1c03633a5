# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that verify a ledger."""

import click

from cabgate_kube.installation import LEDGER_HEADS, SIGNING_KEYS

heads_option = click.option(
    "--heads",
    "head_files",
    metavar="FILE",
    multiple=True,
    help=f"A copy of the ConfigMap {LEDGER_HEADS} that was kept elsewhere. May be repeated.",
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
