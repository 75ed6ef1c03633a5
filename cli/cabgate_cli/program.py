# SPDX-License-Identifier: Apache-2.0
"""What is the same however a command ends: an exit code of the table, never another."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, TextIO

import click

from cabgate_cli.exit_codes import ExitCode


class Commands(MutableMapping[str, click.Command]):
    """The commands of a group, each imported when it is asked for: to import all of them takes
    longer than most of them run."""

    def __init__(self, places: Mapping[str, str]) -> None:
        """`places` says of each name where its command stands: `package.module:attribute`."""
        self._places = dict(places)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._places[name].partition(":")
            self._loaded[name] = getattr(import_module(module), attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places.setdefault(name, "")
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Program(click.Group):
    """The group of all commands. Left alone, Python and click end with 1 by a fault, by Ctrl-C and
    by a closed pipe, and a script would read that as the answer no."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program: even an error that cannot be printed ends with a code of the table."""
        try:
            return super().main(*args, **kwargs)
        except OSError:
            # To standard error, by click: there is nobody to tell.
            _discard(sys.stdout, sys.stderr)
            sys.exit(ExitCode.UNAVAILABLE)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options of the program itself; `--help` and `--version` print, and end here."""
        try:
            return super().make_context(*args, **kwargs)
        except OSError as error:
            raise click.exceptions.Exit(_unwritten(error)) from None
        except KeyboardInterrupt:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and end with a code that says how."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            ctx.exit(ExitCode.INTERRUPTED)
        except OSError as error:
            if error.errno not in _OUTPUT_FAULTS:
                _tell_bug()
                ctx.exit(ExitCode.INTERNAL)
            ctx.exit(_unwritten(error))
        except Exception:  # noqa: BLE001
            _tell_bug()
            ctx.exit(ExitCode.INTERNAL)


_OUTPUT_FAULTS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What fails where output cannot be written; what reads and writes files handles its own faults."""


def _unwritten(error: OSError) -> ExitCode:
    """End the output, which nobody takes or which does not fit: what Python still holds of it has
    nowhere to go."""
    _discard(sys.stdout)
    if error.errno != errno.EPIPE:  # else whoever read it has seen enough
        click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
    return ExitCode.UNAVAILABLE


def _discard(*streams: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


def _tell_bug() -> None:
    click.echo(traceback.format_exc(), err=True, nl=False)
    click.echo("unexpected error: please report it with the lines above", err=True)
