# SPDX-License-Identifier: Apache-2.0
"""How a command ends when it cannot do what it was asked: a message and an exit code."""

import click

from cabgate.text.foreign import printed
from cabgate_cli.exit_codes import ExitCode


class BadInput(click.ClickException):
    """What was given is wrong; the message names where, what, and what is allowed."""

    exit_code = ExitCode.USAGE

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))

    @property
    def problems(self) -> list[str]:
        """Each problem on its own."""
        return self.message.splitlines()


class Unavailable(click.ClickException):
    """Something could not be reached, found, read or written; the message says what to do."""

    exit_code = ExitCode.UNAVAILABLE
    lasting = False
    """Whether to ask again would be of no use."""


class Refused(click.ClickException):
    """What was asked for is fine, and the answer is no: the gate would refuse it, or there is too
    little to answer by."""

    exit_code = ExitCode.NO


def note(message: str) -> None:
    """Tell the user something beside the output, so that a pipe does not carry it."""
    click.echo(f"note: {printed(message)}", err=True)
