# SPDX-License-Identifier: Apache-2.0
"""`cabgate freeze`: when nothing new is rolled out."""

import click

from cabgate_cli.program import Commands


@click.group(
    commands=Commands(
        {
            "list": "cabgate_cli.commands.freezes.freeze_list:list_freezes",
            "plan": "cabgate_cli.commands.freezes.freeze_plan:plan",
        }
    ),
)
def freeze() -> None:
    """Make change freezes of calendars, and list which of them hold."""
