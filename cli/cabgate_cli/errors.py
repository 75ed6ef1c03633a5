# SPDX-License-Identifier: Apache-2.0
"""How a command ends when it cannot do what it was asked: a message and an exit code."""

import click

from cabgate.text.foreign import printed


class BadInput(click.ClickException):
    """What was given is wrong; the message names where, what, and what is allowed."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))

    @property
    def problems(self) -> list[str]:
        """Each problem on its own."""
        return self.message.splitlines()


class Unavailable(click.ClickException):
    """Something could not be reached or found; the message says what to do."""

    exit_code = 1
    lasting = False
    """Whether to ask again would be of no use."""


class CannotTell(click.ClickException):
    """Something could not be read, in a command whose exit code 1 is an answer."""

    exit_code = 2


def note(message: str) -> None:
    """Tell the user something beside the output, so that a pipe does not carry it."""
    click.echo(f"note: {printed(message)}", err=True)
