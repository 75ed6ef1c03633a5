# SPDX-License-Identifier: Apache-2.0
"""`cabgate policy`: what a change policy asks for, and whether there are people who can give it."""

import click

from cabgate_cli.program import Commands


@click.group(
    commands=Commands(
        {
            "check": "cabgate_cli.commands.policies.policy_check:check",
            "explain": "cabgate_cli.commands.policies.policy_explain:explain",
        }
    ),
)
def policy() -> None:
    """Say what a change policy asks for, and whether it can be met."""
