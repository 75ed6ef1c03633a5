# SPDX-License-Identifier: Apache-2.0
"""What is the same however a command ends: an exit code of the table, never another."""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

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

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and end with a code that says how."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            ctx.exit(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            # Whoever read the output has seen enough. What Python still holds has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(ExitCode.UNAVAILABLE)
        except Exception:  # noqa: BLE001
            click.echo(traceback.format_exc(), err=True, nl=False)
            click.echo("unexpected error: please report it with the lines above", err=True)
            ctx.exit(ExitCode.INTERNAL)
