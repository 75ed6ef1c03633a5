# SPDX-License-Identifier: Apache-2.0
"""What is the same however a command ends: an exit code of the table, never another."""

import os
import sys
import traceback
from typing import Any

import click

from cabgate_cli.exit_codes import ExitCode


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
