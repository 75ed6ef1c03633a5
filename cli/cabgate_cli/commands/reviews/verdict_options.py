# SPDX-License-Identifier: Apache-2.0
"""Options that the commands share which give a verdict."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from cabgate_cli.commands.kubectl_options import because_option, kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option


def verdict_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Names, the cluster, and how it is asked; the command gets a `Given` of them, as `given`."""

    @wraps(command)
    def gathered(
        *args: Any,
        because: str | None,
        yes: bool,
        digests: tuple[str, ...],
        uids: tuple[str, ...],
        show_command: bool,
        output: str,
        **rest: Any,
    ) -> Any:
        from cabgate_cli.commands.reviews.deciding import Given

        given = Given(because, yes, digests, uids, show_command, output)
        return command(*args, given=given, **rest)

    found: Callable[..., Any] = gathered
    for option in (
        click.option(
            "--show-command",
            is_flag=True,
            help="Print the kubectl command whose effect is the same, and send nothing.",
        ),
        click.option(
            "--digest",
            "digests",
            metavar="DIGEST",
            multiple=True,
            help="Evidence digest that you looked at; another is refused. Needed without a "
            "terminal; for several names one each, in their order.",
        ),
        click.option(
            "--uid",
            "uids",
            metavar="UID",
            multiple=True,
            help="Uid of what you looked at; another object of its name is refused. Needed for "
            "exceptions without a terminal; for several names one each, in their order.",
        ),
        click.option("-y", "--yes", is_flag=True, help="Do not ask whether to send it."),
        output_option,
        because_option,
        namespace_option,
        kubectl_options,
        click.argument("names", metavar="NAME...", nargs=-1, required=True),
    ):
        found = option(found)
    return found
