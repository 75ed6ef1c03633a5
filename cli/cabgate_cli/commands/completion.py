# SPDX-License-Identifier: Apache-2.0
"""`cabgate completion`: what a shell needs to complete `cabgate`."""

import click
from click.shell_completion import BashComplete, ShellComplete, ZshComplete

from cabgate_cli.exit_codes import of_command

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete}

PROGRAM = "cabgate"


@click.command(
    epilog="""\b
Examples:
  source <(cabgate completion bash)
  source <(cabgate completion zsh)
"""
    + of_command(cluster=False)
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which bash or zsh completes `cabgate`.

    Of `kubectl cab`, kubectl's own completion asks the program kubectl_complete-cab on PATH, which
    is installed with it.
    """
    command = ctx.find_root().command
    chosen = _SHELLS[shell](command, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE")
    # Not by source(), which looks for a bash that is new enough on this machine.
    click.echo(chosen.source_template % chosen.source_vars())
