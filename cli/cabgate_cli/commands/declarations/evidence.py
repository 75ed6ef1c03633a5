# SPDX-License-Identifier: Apache-2.0
"""`cabgate evidence`: evidence that is read, and not typed in."""

import click

from cabgate_cli.program import Commands


@click.group(
    commands=Commands(
        {
            "collect": "cabgate_cli.commands.declarations.evidence_collect:collect",
            "keygen": "cabgate_cli.commands.declarations.evidence_keygen:keygen",
            "sign": "cabgate_cli.commands.declarations.evidence_sign:sign",
            "verify": "cabgate_cli.commands.declarations.evidence_verify:verify",
        }
    ),
)
def evidence() -> None:
    """Read evidence from the reports of tools, and sign it."""
