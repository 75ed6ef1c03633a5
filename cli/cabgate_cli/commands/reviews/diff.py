# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab diff`: what a request changes."""

import click

from cabgate_cli.commands.kubectl_options import kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.kubectl.process import Kubectl


@click.command(
    epilog="""\b
Examples:
  kubectl cab diff -n shop checkout-1f2e3d4c
"""
    + of_command("images and evidence are those of what was approved last", "they are others")
)
@click.argument("name", metavar="NAME")
@namespace_option
@output_option
@kubectl_options
@click.pass_context
def diff(
    ctx: click.Context, kubectl: Kubectl, name: str, namespace: str | None, output: str
) -> None:
    """Show what a request changes against the last approved one.

    Images and evidence of the CABRequest named NAME, or with cabex/NAME of that of a CABException,
    beside those of the request of the same workloads that was approved last; of one that is
    decided, the last before it.
    """
    from cabgate.views.plain import plain
    from cabgate_cli.input.kubectl.reviewing import named, read_changes
    from cabgate_cli.output.objects import write, write_machine
    from cabgate_cli.output.views import comparison_text

    what = named(name)
    changes = read_changes(kubectl, kubectl.namespace(namespace), what)
    if output == "text":
        write(comparison_text(changes))
    else:
        write_machine(plain(changes), output)
    ctx.exit(ExitCode.OK if changes.same else ExitCode.NO)
