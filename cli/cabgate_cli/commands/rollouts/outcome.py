# SPDX-License-Identifier: Apache-2.0
"""`cabgate outcome`: what became of rollouts."""

import click

from cabgate_cli.program import Commands


@click.group(
    commands=Commands(
        {
            "list": "cabgate_cli.commands.rollouts.outcome_list:list_outcomes",
            "report": "cabgate_cli.commands.rollouts.outcome_report:report_incident",
        }
    ),
)
def outcome() -> None:
    """List what became of rollouts, and report an incident of one."""
